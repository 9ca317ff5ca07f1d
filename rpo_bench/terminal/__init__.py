"""Safe terminal output: text from outside can't control the terminal."""
