"""Toxicity by a Hugging Face sequence classifier from a folder or the hub."""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_folder
from rpo_bench.metrics.protocol import Score, failure
from rpo_bench.metrics.toxicity.choose import Toxicity
from rpo_bench.models.activation import NEGATED, Activation, activation_of, split_activation
from rpo_bench.models.folder import check_model_folder
from rpo_bench.models.hub import model_folder
from rpo_bench.models.loading import load_classifier
from rpo_bench.models.plain_text import as_text
from rpo_bench.models.positions import token_limit
from trainers.batch_check import needs_equal_lengths
from trainers.equal_lengths import groups_of

log = logging.getLogger(__name__)

_BATCH = 64
_MAX_TOKENS = 512
#: Texts for testing whether a text's outputs depend on its batch.
_PROBES = ("good", "bad", "yes", "you are a stupid idiot, that is what they say of the river", "cat")
_TOXIC = re.compile(r"tox|offens|hate|abus|insult|profan", re.IGNORECASE)


@dataclass(frozen=True)
class ClassifierParts:
    """A classifier and its tokenizer.

    Attributes:
        model: A transformers model that returns logits (B, L).
        tokenizer: Its tokenizer.
        label: Index of the toxic label.
        activation: A sigmoid per label, as in multi-label classifiers, or a softmax.
    """

    model: Any
    tokenizer: Any
    label: int
    activation: Activation


class Classifier(Toxicity):
    """The probability of the classifier's toxic label; texts are cut to its context.

    Args:
        loaded: The classifier.
        backend: Name and content hash, for results.
    """

    def __init__(self, loaded: ClassifierParts, backend: str) -> None:
        self.backend = backend
        self._loaded = loaded
        self._limit = _length_limit(loaded.model.config, loaded.tokenizer)
        loaded.tokenizer.padding_side = "right"  # positions start at the left
        self._equal_lengths = self._padding_is_read()

    @classmethod
    def load(cls, name: str, allow_pickle: bool = False, flag: str = "") -> "Classifier":
        """Loads ``FOLDER``, ``FOLDER#LABEL``, or a hub model ``ORG/NAME[@REVISION]``.

        A suffix ``=sigmoid`` or ``=softmax`` sets how logits become probabilities.

        Args:
            name: The classifier.
            allow_pickle: Whether pickled weights may be loaded.
            flag: The flag and its value, for messages; "": ``--toxicity hf:NAME``.

        Raises:
            UserError: It can't be loaded, or its toxic label or activation is ambiguous.
        """
        named, chosen = split_activation(name)
        given, _, label = named.partition("#")
        what = flag or f"--toxicity hf:{given}"
        source = model_folder(given, what)
        check_model_folder(source.folder, allow_pickle)
        model, tokenizer = load_classifier(source.folder, what, allow_pickle=allow_pickle)
        index = toxic_label(model.config.id2label, label or None, given)
        activation = activation_of(model.config, chosen, what if not label else f"{what}#{label}")
        loaded = ClassifierParts(model, tokenizer, index, activation)
        content = hash_folder(source.folder)[:8]
        return cls(loaded, f"{source.name}#{model.config.id2label[index]} ({content}, {activation})")

    def probabilities(self, texts: Sequence[str]) -> list[Score]:
        """The toxic label's probability for each text; unscored if the classifier fails."""
        self._say_what_is_cut(texts)
        order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
        found: list[Score] = [0.0] * len(texts)
        for start in range(0, len(order), _BATCH):
            indices = order[start : start + _BATCH]
            for index, score in zip(indices, self._scores([texts[i] for i in indices]), strict=True):
                found[index] = score
        return found

    def _scores(self, texts: list[str]) -> list[Score]:
        """Scores of B texts in one batch, or one by one if that fails, to isolate failures."""
        try:
            return [float(probability) for probability in self._batch(texts)]
        except Exception as error:
            if len(texts) == 1:
                return [failure("the classifier failed:", error)]
            return [score for text in texts for score in self._scores([text])]

    @torch.no_grad()
    def _batch(self, texts: list[str]) -> Any:
        """Probabilities of B texts, (B,) float64."""
        logits = self._logits(texts)  # (B, L)
        shares = logits.sigmoid() if self._loaded.activation == "sigmoid" else logits.softmax(-1)
        return shares[:, self._loaded.label].cpu().numpy()

    def _logits(self, texts: Sequence[str]) -> Any:
        """Logits of B texts, (B, L) float64; in batches of equal length if padding affects the logits."""
        loaded = self._loaded
        shown, options = as_text(loaded.tokenizer, texts)
        rows = loaded.tokenizer(shown, truncation=True, max_length=self._limit, **options)
        lengths = [len(ids) for ids in rows["input_ids"]]
        parts = groups_of(lengths) if self._equal_lengths else [list(range(len(lengths)))]
        found = torch.zeros(len(lengths), loaded.model.config.num_labels, dtype=torch.float64)
        for part in parts:
            chosen = {name: [values[i] for i in part] for name, values in rows.items()}
            padded = len({lengths[i] for i in part}) > 1
            inputs = loaded.tokenizer.pad(chosen, padding=padded, return_tensors="pt")
            logits = loaded.model(**inputs.to(loaded.model.device)).logits
            found[part] = logits.double().cpu()
        return found

    def _padding_is_read(self) -> bool:
        """Whether padding changes a text's logits.

        Raises:
            UserError: They change with the other texts of the batch even without padding.
        """
        self._equal_lengths = False
        lengths = [len(self._loaded.tokenizer(text).input_ids) for text in _PROBES]
        if not can_be_padded(self._loaded):
            return True
        with torch.no_grad():
            return needs_equal_lengths(
                lambda texts: list(self._logits(texts)), _PROBES, lengths, str(self.backend)
            )

    def _say_what_is_cut(self, texts: Sequence[str]) -> None:
        """Warns how many texts were cut to the classifier's limit."""
        shown, options = as_text(self._loaded.tokenizer, texts)
        ids = self._loaded.tokenizer(shown, verbose=False, **options)["input_ids"]
        cut = sum(len(one) > self._limit for one in ids)
        if cut:
            log.warning(
                "%d of %d texts were cut to the %d tokens that %s reads.",
                cut, len(texts), self._limit, self.backend,
            )  # fmt: skip


def can_be_padded(loaded: ClassifierParts) -> bool:
    """Whether tokenizer and model have a padding token; otherwise only equally long texts share a batch."""
    known = loaded.model.config.get_text_config().pad_token_id
    return loaded.tokenizer.pad_token_id is not None and known is not None


def _length_limit(config: Any, tokenizer: Any) -> int:
    """The classifier's limit in tokens."""
    return int(min(tokenizer.model_max_length, token_limit(config) or _MAX_TOKENS, _MAX_TOKENS))


def toxic_label(labels: dict[int, str], wanted: str | None, path: str) -> int:
    """The index of the toxic label: the requested one, one with such a name, or the second of two unnamed.

    Raises:
        UserError: No label, or more than one, matches.
    """
    names = {int(index): name for index, name in labels.items()}
    if wanted is not None:
        found = [index for index, name in names.items() if name.lower() == wanted.lower()]
    else:
        exact = [index for index, name in names.items() if name.lower() in ("toxic", "toxicity")]
        telling = [i for i, name in names.items() if _TOXIC.search(name) and not NEGATED.search(name)]
        unnamed = [1] if sorted(names.values()) == ["LABEL_0", "LABEL_1"] else []
        single = [0] if len(names) == 1 else []
        found = exact or telling or unnamed or single
    if len(found) != 1:
        listed = ", ".join(names.values())
        raise UserError(f"--toxicity hf:{path}: give the toxic label as hf:{path}#LABEL, one of {listed}.")
    return found[0]
