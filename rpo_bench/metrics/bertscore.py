"""BERTScore against reference texts, with an encoder from a folder."""

import importlib.util
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_folder
from rpo_bench.metrics.protocol import Score, Unscored
from rpo_bench.metrics.references import Referenced

UNKNOWN = Unscored("the encoder's tokenizer doesn't know most of the text")
_BATCH = 64


class BertScore(Referenced):
    """BERTScore's F1 (Zhang et al. 2020) with an encoder from a folder, without rescaling.

    Args:
        folder: A model folder written by ``save_pretrained``.
        layer: The layer whose vectors are compared; None: the last.

    Raises:
        UserError: The package is missing, or the folder has no such model.
    """

    name = "bertscore"
    package = "bert_score"
    bounds = (-1.0, 1.0)

    def __init__(self, folder: Path, layer: int | None = None) -> None:
        from rpo_bench.models.folder import check_model_folder, read_json

        if importlib.util.find_spec("bert_score") is None:
            raise UserError("--bertscore: bert_score isn't installed: pip install 'rpo-bench[references]'.")
        check_model_folder(folder, allow_pickle=False)
        config = read_json(folder / "config.json")
        names = ("num_hidden_layers", "n_layers", "num_layers")
        layers = int(next((config[name] for name in names if config.get(name)), 0))
        self._layer = layers if layer is None else layer
        if not 0 < self._layer <= layers:
            raise UserError(f"--bertscore {folder}:{self._layer}: the model has the layers 1 to {layers}.")
        self._folder = folder
        content = hash_folder(folder)[:8]
        self.detail = f", {folder.resolve().name} layer {self._layer} ({content})"

    @classmethod
    def of(cls, given: str) -> "BertScore":
        """``FOLDER`` or ``FOLDER:LAYER``."""
        folder, _, layer = given.rpartition(":")
        if folder and layer.isdigit():
            return cls(Path(folder), int(layer))
        return cls(Path(given))

    def scores(self, texts: Sequence[str], references: Sequence[list[str]]) -> Sequence[Score]:
        """The highest F1 over the references."""
        import bert_score

        from rpo_bench.models.quiet import quiet

        if not texts:
            return []
        with quiet():
            f1: Any = bert_score.score(
                list(texts),
                list(references),
                model_type=str(self._folder),
                num_layers=self._layer,
                batch_size=_BATCH,
            )[2]
        foreign = self._foreign([[text, *against] for text, against in zip(texts, references, strict=True)])
        scores = [float(value) for value in f1]
        return [
            UNKNOWN if unread else score if math.isfinite(score) else Unscored("bert_score gave no number")
            for score, unread in zip(scores, foreign, strict=True)
        ]

    def _foreign(self, groups: Sequence[list[str]]) -> list[bool]:
        """For each group, whether a text is mostly unknown tokens, which are all equal to the encoder."""
        from rpo_bench.models.loading import load_tokenizer

        tokenizer = load_tokenizer(str(self._folder))

        def unread(text: str) -> bool:
            ids = tokenizer(text, add_special_tokens=False, verbose=False).input_ids
            return bool(ids) and 2 * ids.count(tokenizer.unk_token_id) > len(ids)

        return [any(map(unread, group)) for group in groups]
