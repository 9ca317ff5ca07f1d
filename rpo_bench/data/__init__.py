"""Training rows: reading, validating, reporting, splitting and converting them."""
