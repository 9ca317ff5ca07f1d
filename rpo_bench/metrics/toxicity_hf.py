"""Toxicity by any Hugging Face sequence classifier that lies in a folder."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from rpo_bench.errors import UserError
from rpo_bench.hashing import hash_folder
from rpo_bench.metrics.protocol import Score
from rpo_bench.metrics.toxicity import Toxicity
from rpo_bench.models.folder import check_model_folder
from rpo_bench.models.loading import load_tokenizer
from rpo_bench.models.quiet import quiet

_BATCH = 64
_MAX_TOKENS = 512
_TOXIC = re.compile(r"tox|offens|hate|abus|insult|profan", re.IGNORECASE)
_NEGATED = re.compile(r"\b(non|not|no)\b|^(non|not|no)[-_ ]?", re.IGNORECASE)


@dataclass(frozen=True)
class _Loaded:
    model: Any
    tokenizer: Any
    label: int
    independent: bool  # labels have a sigmoid each, as in multi-label classifiers


class Classifier(Toxicity):
    """The probability of the classifier's toxic label; texts are cut at its context."""

    def __init__(self, loaded: _Loaded, backend: str) -> None:
        self.backend = backend
        self._loaded = loaded

    @classmethod
    def load(cls, name: str) -> "Classifier":
        """Loads ``FOLDER`` or ``FOLDER#LABEL``.

        Raises:
            UserError: The folder can't be used, or which label is toxic can't be told.
        """
        from transformers import AutoModelForSequenceClassification

        path, _, label = name.partition("#")
        check_model_folder(Path(path), allow_pickle=False)
        try:
            with quiet():
                model = AutoModelForSequenceClassification.from_pretrained(path, use_safetensors=True)
        except Exception as error:
            first = (str(error).splitlines() or [""])[0]
            raise UserError(f"--toxicity hf:{path}: not a sequence classifier: {first}") from error
        device = "cuda" if torch.cuda.is_available() else "cpu"
        index = toxic_label(model.config.id2label, label or None, path)
        kind = model.config.problem_type
        independent = kind == "multi_label_classification" or model.config.num_labels == 1
        loaded = _Loaded(model.to(device).eval(), load_tokenizer(path), index, independent)
        shown = f"{Path(path).name}#{model.config.id2label[index]} ({hash_folder(Path(path))[:8]})"
        return cls(loaded, shown)

    def probabilities(self, texts: Sequence[str]) -> list[Score]:
        """The toxic label's probability for each text."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        found = np.zeros(len(texts))
        for start in range(0, len(order), _BATCH):
            indices = order[start : start + _BATCH]
            found[indices] = self._batch([texts[index] for index in indices])
        return [float(probability) for probability in found]

    @torch.no_grad()
    def _batch(self, texts: list[str]) -> Any:
        """Probabilities of B texts, (B,) float64."""
        loaded = self._loaded
        limit = min(loaded.tokenizer.model_max_length, _MAX_TOKENS)
        inputs = loaded.tokenizer(texts, padding=True, truncation=True, max_length=limit, return_tensors="pt")
        logits = loaded.model(**inputs.to(loaded.model.device)).logits.double()  # (B, L)
        shares = logits.sigmoid() if loaded.independent else logits.softmax(-1)
        return shares[:, loaded.label].cpu().numpy()


def toxic_label(labels: dict[int, str], wanted: str | None, path: str) -> int:
    """Which label means toxic: the one asked for, one that is called so, or the second of two unnamed ones.

    Raises:
        UserError: No label, or more than one, could be meant.
    """
    names = {int(index): name for index, name in labels.items()}
    if wanted is not None:
        found = [index for index, name in names.items() if name.lower() == wanted.lower()]
    else:
        exact = [index for index, name in names.items() if name.lower() in ("toxic", "toxicity")]
        telling = [i for i, name in names.items() if _TOXIC.search(name) and not _NEGATED.search(name)]
        unnamed = [1] if sorted(names.values()) == ["LABEL_0", "LABEL_1"] else []
        single = [0] if len(names) == 1 else []
        found = exact or telling or unnamed or single
    if len(found) != 1:
        listed = ", ".join(names.values())
        raise UserError(
            f"--toxicity hf:{path}: say which label is toxic by hf:{path}#LABEL, one of {listed}."
        )
    return found[0]
