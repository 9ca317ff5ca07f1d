"""The spec of a run: its settings, presets, flags, and the command that reproduces it."""
