"""What lm-eval asks of arithmetic: its held-out sums, from the file beside, wherever lm-eval is started."""

import hashlib
import json
from pathlib import Path
from typing import Any

_PROMPTS = Path(__file__).resolve().parents[1] / "prompts/heldout.jsonl"
_OFF = (-10, 10, 1, -1)  # a carry that was forgotten or invented, and neighbours


def documents(**_: Any) -> dict[str, Any]:
    """The split "test": prompt, the right answer, and five choices with it at a place that varies."""
    from datasets import Dataset

    prompts = [json.loads(line) for line in _PROMPTS.read_text(encoding="utf-8").splitlines()]
    return {"test": Dataset.from_list([_document(prompt["text"]) for prompt in prompts])}


def _document(text: str) -> dict[str, Any]:
    """Answers are written from the ones upwards: 132 is "231"."""
    value = sum(map(int, text.removesuffix("=").split("+")))
    answers = [str(value + off)[::-1] for off in (0, *_OFF)]
    choices = sorted(answers, key=lambda answer: hashlib.sha256(f"{text}{answer}".encode()).hexdigest())
    return {"prompt": text, "choices": choices, "gold": choices.index(answers[0]), "answer": answers[0]}


def score(doc: dict[str, Any], results: list[str]) -> dict[str, float]:
    """Whether the response is the sum, as the task's verifier says."""
    from rpo_bench.data.row import Prompt
    from tasks.arithmetic.reward import right_sum

    (verdict,) = right_sum([Prompt(prompt_id=doc["prompt"], text=doc["prompt"])], [results[0]])
    return {"acc": float(verdict or 0.0)}
