"""Toxicity by any Hugging Face sequence classifier: a folder, or a model of the hub."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rpo_bench.errors import UserError
from rpo_bench.hashing import hash_folder
from rpo_bench.metrics.protocol import Score, Unscored
from rpo_bench.metrics.toxicity import Toxicity
from rpo_bench.models.fetching import model_folder
from rpo_bench.models.folder import check_model_folder
from rpo_bench.models.loading import load_tokenizer
from rpo_bench.models.plain_text import as_text
from rpo_bench.models.positions import token_limit
from rpo_bench.models.quiet import quiet

_BATCH = 64
_MAX_TOKENS = 512
_TOXIC = re.compile(r"tox|offens|hate|abus|insult|profan", re.IGNORECASE)
_NEGATED = re.compile(r"\b(non|not|no)\b|^(non|not|no)[-_ ]?", re.IGNORECASE)


@dataclass(frozen=True)
class Loaded:
    """A classifier with its tokenizer.

    Attributes:
        model: A transformers model that returns logits (B, L).
        tokenizer: Its tokenizer.
        label: Which of the L labels means toxic.
        independent: Whether labels have a sigmoid each, as in multi-label classifiers; a softmax otherwise.
    """

    model: Any
    tokenizer: Any
    label: int
    independent: bool


class Classifier(Toxicity):
    """The probability of the classifier's toxic label; texts are cut at its context.

    Args:
        loaded: The classifier.
        backend: Name and content hash, for results.
    """

    def __init__(self, loaded: Loaded, backend: str) -> None:
        self.backend = backend
        self._loaded = loaded
        self._limit = _length_limit(loaded.model.config, loaded.tokenizer)

    @classmethod
    def load(cls, name: str, allow_pickle: bool = False, flag: str = "") -> "Classifier":
        """Loads ``FOLDER``, ``FOLDER#LABEL``, or a hub model's ``ORG/NAME[@REVISION]`` in a folder's place.

        Args:
            name: Which.
            allow_pickle: Whether pickled weights may be loaded.
            flag: What was given, for messages; "": ``--toxicity hf:NAME``.

        Raises:
            UserError: It can't be had or read, or which label is toxic can't be told.
        """
        from transformers import AutoModelForSequenceClassification

        given, _, label = name.partition("#")
        what = flag or f"--toxicity hf:{given}"
        source = model_folder(given, what)
        check_model_folder(source.folder, allow_pickle)
        try:
            with quiet():
                model, info = AutoModelForSequenceClassification.from_pretrained(
                    str(source.folder),
                    dtype=torch.float32,
                    use_safetensors=None if allow_pickle else True,
                    output_loading_info=True,
                )
        except Exception as error:
            first = (str(error).splitlines() or [type(error).__name__])[0].rstrip(".")
            raise UserError(f"{what}: not a sequence classifier: {first}.") from error
        if info["missing_keys"]:
            absent = sorted(info["missing_keys"])[0]
            raise UserError(f"{what}: the weights lack {absent}: it isn't a whole classifier.")
        device = "cuda" if torch.cuda.is_available() else "cpu"
        index = toxic_label(model.config.id2label, label or None, given)
        kind = model.config.problem_type
        independent = kind == "multi_label_classification" or model.config.num_labels == 1
        loaded = Loaded(model.to(device).eval(), load_tokenizer(str(source.folder)), index, independent)
        content = hash_folder(source.folder)[:8]
        return cls(loaded, f"{source.name}#{model.config.id2label[index]} ({content})")

    def probabilities(self, texts: Sequence[str]) -> list[Score]:
        """The toxic label's probability for each text; a text on which the classifier fails is unscored."""
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        found: list[Score] = [0.0] * len(texts)
        for start in range(0, len(order), _BATCH):
            indices = order[start : start + _BATCH]
            for index, score in zip(indices, self._scores([texts[i] for i in indices]), strict=True):
                found[index] = score
        return found

    def _scores(self, texts: list[str]) -> list[Score]:
        """Scores of B texts in one batch; one by one if that fails, so that one can't spoil the others."""
        try:
            return [float(probability) for probability in self._batch(texts)]
        except Exception as error:
            if len(texts) == 1:
                words = " ".join(str(error).split())[:120]
                return [Unscored(f"the classifier failed: {type(error).__name__}: {words}")]
            return [score for text in texts for score in self._scores([text])]

    @torch.no_grad()
    def _batch(self, texts: list[str]) -> Any:
        """Probabilities of B texts, (B,) float64."""
        loaded = self._loaded
        shown, options = as_text(loaded.tokenizer, texts)
        inputs = loaded.tokenizer(
            shown, padding=True, truncation=True, max_length=self._limit, return_tensors="pt", **options
        )
        logits = loaded.model(**inputs.to(loaded.model.device)).logits.double()  # (B, L)
        shares = logits.sigmoid() if loaded.independent else logits.softmax(-1)
        return shares[:, loaded.label].cpu().numpy()


def _length_limit(config: Any, tokenizer: Any) -> int:
    """Tokens that the classifier reads of a text."""
    return int(min(tokenizer.model_max_length, token_limit(config) or _MAX_TOKENS, _MAX_TOKENS))


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
