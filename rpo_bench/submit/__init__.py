"""Whether contributed results can become rows of the board."""
