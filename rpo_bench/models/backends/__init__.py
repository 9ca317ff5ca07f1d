"""Samplers beside transformers: vLLM's engine, and servers of OpenAI-compatible completions."""
