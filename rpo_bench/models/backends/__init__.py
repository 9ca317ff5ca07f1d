"""Generation backends besides transformers: vLLM and servers with OpenAI-compatible completions."""
