"""Result records: their schema, their folders, and the environment they were made in."""
