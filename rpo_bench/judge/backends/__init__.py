"""Judge backends: servers, local models, Python functions, and the gold reward."""
