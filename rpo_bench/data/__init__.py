"""The row, its readers, its validators and the pure converters to what each method needs."""
