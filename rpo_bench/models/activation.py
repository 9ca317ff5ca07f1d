"""How a classifier's logits become the probability of one label: a sigmoid each, or a softmax over all."""

import re
from collections.abc import Sequence
from typing import Any, Literal

from rpo_bench.errors import UserError

Activation = Literal["sigmoid", "softmax"]
ACTIVATIONS: tuple[Activation, ...] = ("sigmoid", "softmax")

_HARM = re.compile(
    r"tox|offens|hat(e|red|eful)\b|hate|abus|insult|profan|obscen|threat|identity|sexual|violen|harass|slur"
    r"|harm|vulgar|racis|sexis|bully|extrem",
    re.IGNORECASE,
)
#: A label that denies another: "not_toxic", "nothate".
NEGATED = re.compile(r"\b(non|not|no)\b|^(non|not|no)[-_ ]?", re.IGNORECASE)
_NEUTRAL = re.compile(
    r"^(neutral|normal|none|neither|other|ok|okay|safe|clean|benign|civil|acceptable|appropriate|negative)$",
    re.IGNORECASE,
)
_BY_PROBLEM: dict[str, Activation] = {
    "multi_label_classification": "sigmoid",
    "single_label_classification": "softmax",
}


def harmful(label: str) -> bool:
    """Whether a label's name says that a text is harmful."""
    return bool(_HARM.search(label)) and not NEGATED.search(label)


def asked_activation(name: str) -> tuple[str, Activation | None]:
    """``NAME=sigmoid`` or ``NAME=softmax`` → the name, and what was asked for; None where nothing was."""
    given, _, asked = name.rpartition("=")
    return (given, asked) if given and asked in ACTIVATIONS else (name, None)


def activation_of(config: Any, asked: Activation | None, flag: str) -> Activation:
    """Whether a classifier's labels have a sigmoid each or share a softmax.

    What was asked for goes first, then ``problem_type``. Without one the labels tell: a single one has a
    sigmoid, of two one is the other's opposite, several names of harm without a neutral one aren't exclusive.

    Args:
        config: The classifier's transformers config.
        asked: What the user said.
        flag: What named the classifier, for the message: ``--toxicity hf:FOLDER``.

    Raises:
        UserError: It can't be told.
    """
    labels = [str(name) for name in config.id2label.values()]
    found = asked or _BY_PROBLEM.get(config.problem_type or "") or _by_labels(config.problem_type, labels)
    if found is None:
        raise UserError(
            f"{flag}: whether its labels ({', '.join(labels)}) exclude each other can't be told from its "
            f"config: say so by {flag}=softmax (one of them is right) or {flag}=sigmoid (each is right or "
            "not by itself)."
        )
    return found


def _by_labels(problem: str | None, labels: Sequence[str]) -> Activation | None:
    if problem is not None:  # a regression's numbers are no probabilities
        return None
    if len(labels) == 1:
        return "sigmoid"
    harms = [name for name in labels if harmful(name)]
    neutral = [name for name in labels if _NEUTRAL.match(name.strip()) or NEGATED.search(name)]
    if len(labels) == 2:
        return None if len(harms) == 2 else "softmax"
    if len(harms) > 1 and not neutral:
        return "sigmoid"
    return "softmax" if harms and neutral else None
