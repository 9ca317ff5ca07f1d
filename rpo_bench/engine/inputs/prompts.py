"""Stores the prompts of online methods next to the tokenised rows."""

from collections.abc import Sequence
from pathlib import Path

from rpo_bench.data.row import Prompt
from rpo_bench.files.atomic import atomic_file


def prompts_file(examples: Path) -> Path:
    """The file with the prompt texts of a file of tokenised rows."""
    return examples.with_suffix(".prompts.jsonl")


def save_prompts(examples: Path, prompts: Sequence[Prompt]) -> None:
    """Writes the prompts of online methods."""
    with atomic_file(prompts_file(examples)) as temporary:
        lines = [prompt.model_dump_json() for prompt in prompts]
        temporary.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")


def load_prompts(examples: Path) -> list[Prompt]:
    """Reads a file written by ``save_prompts``."""
    text = prompts_file(examples).read_text(encoding="utf-8")
    return [Prompt.model_validate_json(line) for line in text.split("\n") if line]
