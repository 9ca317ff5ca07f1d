"""Decides whether a classifier's logits go through a sigmoid per label or a softmax over labels."""

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
#: A label that negates another: "not_toxic", "nothate".
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


def split_activation(name: str) -> tuple[str, Activation | None]:
    """Splits ``NAME=sigmoid`` or ``NAME=softmax`` into name and activation; None if not given."""
    given, _, requested = name.rpartition("=")
    return (given, requested) if given and requested in ACTIVATIONS else (name, None)


def activation_of(config: Any, requested: Activation | None, flag: str) -> Activation:
    """The activation of a classifier: a sigmoid per label, or a softmax.

    The user's choice comes first, then ``problem_type``. Without both, the labels decide. A single label has
    a sigmoid, two opposite labels share a softmax, and several harmful ones without a neutral one don't.

    Args:
        config: The classifier's transformers config.
        requested: The user's choice.
        flag: The flag that named the classifier, for messages: ``--toxicity hf:FOLDER``.

    Raises:
        UserError: The config doesn't decide it.
    """
    labels = [str(name) for name in config.id2label.values()]
    found = requested or _BY_PROBLEM.get(config.problem_type or "") or _by_labels(config.problem_type, labels)
    if found is None:
        raise UserError(
            f"{flag}: its config doesn't say whether its labels ({', '.join(labels)}) exclude each other: "
            f"give {flag}=softmax (exactly one label applies) or {flag}=sigmoid (each label applies or not)."
        )
    return found


def _by_labels(problem: str | None, labels: Sequence[str]) -> Activation | None:
    if problem is not None:  # the outputs of a regression aren't probabilities
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
