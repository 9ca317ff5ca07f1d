"""What a run is asked for: its settings, presets, and the command that repeats it."""
