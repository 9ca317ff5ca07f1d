"""Statistics: pure numpy functions on arrays, with shapes in their docstrings."""
