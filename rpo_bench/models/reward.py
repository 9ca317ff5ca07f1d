"""Reward models: Hugging Face sequence classifiers with one label as reward functions."""

import logging
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_folder
from rpo_bench.models.folder import check_model_folder, is_adapter, read_json
from rpo_bench.models.hub import shown_name
from rpo_bench.models.loading import load_classifier
from rpo_bench.models.plain_text import encode
from rpo_bench.models.positions import token_limit
from rpo_bench.models.prompting import chat_ids, prompt_ids, response_ids
from trainers.sequence_scores import Encoded, all_scores, reads_padding

#: How prompt and response form one sequence. "appended": the policy's prompt, the response and
#: end-of-sequence. "pair": the tokenizer's format for two texts. "chat": its chat template.
Layout = Literal["appended", "pair", "chat"]

#: Config keys of models trained here: the layout, and the offset subtracted from scores.
LAYOUT_KEY, CENTRE_KEY = "reward_layout", "reward_centre"

_BATCH = 64
_UNLIMITED = 10**6  # tokenizers without a limit report a much larger number
_KEPT = 2
#: Prompts and responses for testing whether a score depends on its batch.
_PROBES = (("a", "b"), ("c", "d"), ("a", "e"), ("a b c d", "e f g h"))

log = logging.getLogger(__name__)


class RewardModel:
    """A reward function: (prompts, responses) → scores.

    A score depends only on its prompt and response. The last call's scores are cached, as several metrics
    need those of the same samples.

    Attributes:
        name: Folder and content hash, for results.
        model: The classifier.
        tokenizer: Its tokenizer.
    """

    def __init__(self, model: Any, tokenizer: Any, name: str, layout: Layout, centre: float = 0.0) -> None:
        self.name = name
        self.model = model.eval()
        self.tokenizer = tokenizer
        self._layout: Layout = layout
        self._centre = centre
        self._equal_lengths = False
        self._limit = _length_limit(model.config, tokenizer)
        self._last: tuple[tuple[str, ...], tuple[str, ...], list[float]] = ((), (), [])

    @classmethod
    def load(
        cls, folder: Path, *, allow_pickle: bool = False, trust_remote_code: bool = False, what: str = ""
    ) -> "RewardModel":
        """Loads a folder written by ``save_pretrained``.

        Args:
            folder: The folder.
            allow_pickle: Whether pickled weights may be loaded.
            trust_remote_code: Whether code in the folder may run.
            what: The flag that named it, for messages.

        Raises:
            UserError: It isn't a sequence classifier with one label, or it can't be read.
        """
        trust = {"allow_pickle": allow_pickle, "trust_remote_code": trust_remote_code}
        check_reward_folder(folder, what, **trust)
        model, tokenizer = load_classifier(folder, what or str(folder), **trust)
        centre = float(getattr(model.config, CENTRE_KEY, 0.0))
        layout = getattr(model.config, LAYOUT_KEY, None) or usual_layout(model.config, tokenizer)
        name = f"{shown_name(folder)} ({hash_folder(folder)[:8]})"
        found = cls(model, tokenizer, name, layout, centre)
        probes = [found.encode(*pair) for pair in _PROBES]
        found._equal_lengths = reads_padding(found.model, probes, what or f"The reward model {name}")
        return found

    def __call__(self, prompts: Sequence[Prompt], responses: Sequence[str]) -> list[float]:
        """Scores N responses to N prompts."""
        texts = tuple(prompt.text for prompt in prompts)
        given = tuple(responses)
        if self._last[:2] != (texts, given):
            self._last = (texts, given, self.scores(texts, given).tolist())
        return list(self._last[2])

    def scores(
        self, prompts: Sequence[str], responses: Sequence[str], batch_size: int = _BATCH
    ) -> NDArray[np.float64]:
        """Scores of N responses to N prompts; (N,). ``batch_size`` affects only memory and rounding."""
        if not responses:
            return np.zeros(0)
        rows = self.encoded(prompts, responses)
        found = all_scores(self.model, rows, batch_size, self._equal_lengths)
        scores: NDArray[np.float64] = found.double().numpy()
        return scores - self._centre

    def encoded(self, prompts: Sequence[str], responses: Sequence[str]) -> list[Encoded]:
        """The N input sequences; if one exceeds the context, the prompt is cut."""
        rows = [self.encode(prompt, text) for prompt, text in zip(prompts, responses, strict=True)]
        cut = sum(self._too_long(row) for row in rows)
        if cut:
            log.warning("%d of %d texts were cut to fit the context of %s.", cut, len(rows), self.name)
        return [self._cut(row) for row in rows]

    def encode(self, prompt: str, response: str) -> Encoded:
        """The uncut sequence of a prompt and response; without a chat template, turns are read as text."""
        tokenizer = self.tokenizer
        if self._layout == "appended":
            ids = prompt_ids(tokenizer, str(prompt), bool(self.model.config.is_encoder_decoder))
            return Encoded([*ids, *response_ids(tokenizer, [response])[0]])
        if self._layout == "chat":
            return Encoded(chat_ids(tokenizer, prompt, response))
        found = encode(tokenizer, str(prompt), response)
        return Encoded(found.input_ids, found.get("token_type_ids"))

    def _too_long(self, row: Encoded) -> bool:
        return self._limit is not None and len(row.ids) > self._limit

    def _cut(self, row: Encoded) -> Encoded:
        """The first token (beginning-of-sequence, if any) and the last tokens that fit."""
        if self._limit is None or not self._too_long(row):
            return row
        kept = [0, *range(len(row.ids) - self._limit + 1, len(row.ids))]
        segments = None if row.segments is None else [row.segments[i] for i in kept]
        return Encoded([row.ids[i] for i in kept], segments)


def check_reward_folder(
    folder: Path, what: str = "", *, allow_pickle: bool = False, trust_remote_code: bool = False
) -> None:
    """Checks, without loading the model, that a folder holds a sequence classifier with one label.

    Raises:
        UserError: It doesn't; the message says what it holds.
    """
    where = what or str(folder)
    if not folder.exists():
        raise UserError(f"{where}: there is no folder {folder}.")
    if is_adapter(folder):
        raise UserError(f"{where}: that is an adapter: merge it into its base model first.")
    check_model_folder(folder, allow_pickle)
    config = read_json(folder / "config.json")
    kinds = [str(kind) for kind in config.get("architectures") or ()]
    if kinds and not trust_remote_code and not any("SequenceClassification" in kind for kind in kinds):
        raise UserError(
            f"{where}: {folder} holds a {kinds[0]}, not a sequence classifier: train one from it with "
            "'rpo-bench reward-model'."
        )
    labels = config.get("id2label") or {str(i): f"LABEL_{i}" for i in range(config.get("num_labels", 2))}
    if len(labels) != 1:
        raise UserError(
            f"{where}: the classifier in {folder} has {len(labels)} labels ({', '.join(labels.values())}); a "
            "reward model has one, whose score is the reward."
        )


def usual_layout(config: Any, tokenizer: Any) -> Layout:
    """The probable layout of a classifier that doesn't state it."""
    from transformers.models.auto.modeling_auto import (
        MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
        MODEL_FOR_MASKED_LM_MAPPING_NAMES,
    )

    if getattr(tokenizer, "chat_template", None):
        return "chat"
    kind = config.model_type
    causal = kind in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES and kind not in MODEL_FOR_MASKED_LM_MAPPING_NAMES
    return "appended" if causal and tokenizer.eos_token_id is not None else "pair"


def reward_model(folder: Path, *, allow_pickle: bool, trust_remote_code: bool, what: str) -> RewardModel:
    """``RewardModel.load``, cached by content."""
    return _kept(folder.resolve(), hash_folder(folder), allow_pickle, trust_remote_code, what)


@lru_cache(maxsize=_KEPT)
def _kept(folder: Path, _content: str, allow_pickle: bool, trust_remote_code: bool, what: str) -> RewardModel:
    return RewardModel.load(folder, allow_pickle=allow_pickle, trust_remote_code=trust_remote_code, what=what)


def _length_limit(config: Any, tokenizer: Any) -> int | None:
    """The model's limit in tokens; None where positions are relative and the tokenizer has no limit."""
    positions = token_limit(config)
    own = tokenizer.model_max_length if tokenizer.model_max_length < _UNLIMITED else None
    if positions is None:
        return None if config.is_encoder_decoder else own
    return positions if own is None else min(positions, int(own))
