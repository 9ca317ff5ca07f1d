"""Overlap with reference texts, where prompts have some: ROUGE-L, BLEU, METEOR, BERTScore, length ratio.

Each number is that of the library behind ``evaluate``'s metric of the same name (rouge_score, sacrebleu,
nltk, bert_score), with the highest score over a prompt's references where there are several.
"""

import importlib.util
import math
from abc import abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rpo_bench.data.fields import REFERENCE, REFERENCES
from rpo_bench.data.row import Prompt
from rpo_bench.errors import UserError
from rpo_bench.hashing import hash_folder
from rpo_bench.metrics.protocol import SHARE, Metric, MetricContext, SampleMetric, Score, Unscored
from rpo_bench.metrics.words import words
from rpo_bench.results.samples import StoredSample

NO_REFERENCE = Unscored("the prompt has no reference")
EMPTY = Unscored("empty text")
_BATCH = 64
#: What nltk's METEOR reads, by the names of its downloader.
_NLTK_DATA = {
    "wordnet": ("corpora/wordnet", "corpora/wordnet.zip"),
    "punkt_tab": ("tokenizers/punkt_tab/english", "tokenizers/punkt_tab.zip"),
}


def references_of(prompt: Prompt) -> list[str]:
    """A prompt's references: ``references``, a list, and ``reference``, of its metadata; each text once.

    A number is the text that it is written as; whatever is null or empty counts as absent.
    """
    found: list[Any] = []
    for name in (REFERENCES, REFERENCE):
        value = prompt.metadata.get(name)
        found += value if isinstance(value, list | tuple) else [value]
    numbers = (one for one in found if isinstance(one, str | int | float) and not isinstance(one, bool))
    return [text for text in dict.fromkeys(map(str, numbers)) if text.strip()]


def reference_metrics(context: MetricContext) -> list[Metric]:
    """The family; nothing where no prompt has a reference."""
    return [RougeL(), SentenceBleu(), Meteor(), LengthRatio()] if context.references else []


class _Referenced(SampleMetric):
    """A score of a text beside references. Without a reference, or without a word, there is none."""

    unit = "0 to 1"
    higher_is_better: bool | None = True
    bounds = SHARE
    package: str | None = None
    detail = ""

    @property
    def backend(self) -> str | None:  # type: ignore[override]
        """The library with its version."""
        return None if self.package is None else f"{self.package} {version(self.package)}{self.detail}"

    @property
    def missing(self) -> Unscored | None:
        """Why it can't be measured here; None where it can."""
        if self.package is not None and importlib.util.find_spec(self.package) is None:
            return Unscored(f"{self.package} isn't installed: pip install 'rpo-bench[references]'")
        return None

    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """Each sample's score, or the reason why it has none."""
        missing = self.missing
        if missing is not None:
            return [missing] * len(samples)
        found: list[Score] = []
        texts, against = [], []
        for prompt, sample in zip(prompts, samples, strict=True):
            references = references_of(prompt)
            found.append(EMPTY if not sample.text.strip() else 0.0 if references else NO_REFERENCE)
            if found[-1] == 0.0:
                texts.append(sample.text)
                against.append(references)
        scores = iter(self.scores(texts, against))
        return [next(scores) if score == 0.0 else score for score in found]

    @abstractmethod
    def scores(self, texts: Sequence[str], references: Sequence[list[str]]) -> Sequence[Score]:
        """The scores of N texts beside their references."""


class RougeL(_Referenced):
    """F1 of the longest common subsequence of words (Lin 2004), without stemming."""

    name = "rouge_l"
    package = "rouge_score"

    def scores(self, texts: Sequence[str], references: Sequence[list[str]]) -> Sequence[Score]:
        """The highest F1 over the references."""
        from rouge_score.rouge_scorer import RougeScorer

        scorer = RougeScorer(["rougeL"])
        pairs = zip(texts, references, strict=True)
        return [float(scorer.score_multi(against, text)["rougeL"].fmeasure) for text, against in pairs]


class SentenceBleu(_Referenced):
    """Sentence BLEU-4 with exponential smoothing and effective order, against all references at once."""

    name = "bleu"
    package = "sacrebleu"
    detail = ", by sentence"

    def scores(self, texts: Sequence[str], references: Sequence[list[str]]) -> Sequence[Score]:
        """sacreBLEU's score / 100."""
        from sacrebleu.metrics import BLEU

        bleu = BLEU(effective_order=True)
        pairs = zip(texts, references, strict=True)
        return [min(1.0, bleu.sentence_score(text, against).score / 100) for text, against in pairs]


class Meteor(_Referenced):
    """METEOR (Banerjee and Lavie 2005): words, stems and WordNet's synonyms."""

    name = "meteor"
    package = "nltk"

    @property
    def missing(self) -> Unscored | None:
        """The package, or the data that it doesn't ship."""
        if super().missing is not None:
            return super().missing
        absent = [name for name, places in _NLTK_DATA.items() if not any(map(_is_there, places))]
        if absent:
            return Unscored(f"nltk's data aren't here: python -m nltk.downloader {' '.join(absent)}")
        return None

    def scores(self, texts: Sequence[str], references: Sequence[list[str]]) -> Sequence[Score]:
        """The highest score over the references, of texts split as ``evaluate``'s metric does."""
        from nltk import word_tokenize
        from nltk.translate.meteor_score import meteor_score

        pairs = zip(texts, references, strict=True)
        return [
            float(meteor_score([word_tokenize(one) for one in against], word_tokenize(text)))
            for text, against in pairs
        ]


def _is_there(place: str) -> bool:
    """Whether nltk finds a part of its data."""
    import nltk

    try:
        nltk.data.find(place)
    except LookupError:
        return False
    return True


class LengthRatio(_Referenced):
    """Words of the text over those of the reference that is nearest in length."""

    name = "length_ratio"
    unit = "ratio"
    higher_is_better = None
    bounds = None  # type: ignore[assignment]

    def scores(self, texts: Sequence[str], references: Sequence[list[str]]) -> Sequence[Score]:
        """1 for a text as long as its reference."""
        pairs = zip(texts, references, strict=True)
        return [_ratio(len(words(text)), [len(words(one)) for one in against]) for text, against in pairs]


def _ratio(length: int, references: Sequence[int]) -> Score:
    known = [reference for reference in references if reference]
    if not known:
        return Unscored("the reference has no words")
    return length / min(known, key=lambda reference: (abs(reference - length), reference))


class BertScore(_Referenced):
    """BERTScore's F1 (Zhang et al. 2020) by an encoder in a folder, without rescaling.

    Args:
        folder: A model folder as ``save_pretrained`` writes it.
        layer: Which layer's vectors are compared; None: the last.

    Raises:
        UserError: The package is missing, or the folder holds no such model.
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
        scores = [float(value) for value in f1]
        return [score if math.isfinite(score) else Unscored("bert_score gave no number") for score in scores]
