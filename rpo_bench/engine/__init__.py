"""The plan of cells and where it runs."""
