"""What a run starts from: base models, rows, prompts, methods and their strengths."""
