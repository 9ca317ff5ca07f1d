"""Grade-school word problems, with the number at the end checked."""
