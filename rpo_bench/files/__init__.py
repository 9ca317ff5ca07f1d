"""Files: written whole, hashed, and read within bounds."""
