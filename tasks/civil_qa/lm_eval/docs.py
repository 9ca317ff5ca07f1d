"""What lm-eval asks of civil_qa: its held-out prompts, from the file beside, wherever lm-eval is started."""

import hashlib
import json
from pathlib import Path
from typing import Any

_PROMPTS = Path(__file__).resolve().parents[1] / "prompts/heldout.jsonl"
_CHOICES = 4


def documents(**_: Any) -> dict[str, Any]:
    """The split "test": prompt, the right answer, and four choices with it at a place that varies."""
    from datasets import Dataset

    prompts = [json.loads(line) for line in _PROMPTS.read_text(encoding="utf-8").splitlines()]
    return {"test": Dataset.from_list([_document(prompt, prompts) for prompt in prompts])}


def _document(prompt: dict[str, Any], prompts: list[dict[str, Any]]) -> dict[str, Any]:
    """The wrong choices are right answers to the same question about other topics."""
    name, asked = prompt["prompt_id"], prompt["metadata"]
    others = {p["metadata"]["answer"] for p in prompts if p["metadata"]["type"] == asked["type"]}
    wrong = sorted(others - {asked["answer"]}, key=lambda answer: _drawn(name, answer))[: _CHOICES - 1]
    choices = sorted([asked["answer"], *wrong], key=lambda answer: _drawn(name, "place", answer))
    return {
        "prompt_id": name,
        "prompt": prompt["text"],
        "choices": choices,
        "gold": choices.index(asked["answer"]),
        "answer": asked["answer"],
    }


def _drawn(*parts: str) -> str:
    """A number that looks random and is the same everywhere."""
    return hashlib.sha256("/".join(parts).encode()).hexdigest()


def score(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Whether the response gives the right answer and no other, and its gold reward."""
    from rpo_bench.data.row import Prompt
    from tasks.civil_qa.questions import asked
    from tasks.civil_qa.reading import read
    from tasks.civil_qa.reward import gold_reward

    prompt = Prompt(prompt_id=doc["prompt_id"], text=doc["prompt"])
    reading = read(asked()[doc["prompt"]], results[0])
    (reward,) = gold_reward([prompt], [results[0]])
    return {"acc": float(reading.right and reading.answers == 1), "reward": float(reward or 0.0)}
