"""Checks whether contributed results can become rows of the board."""
