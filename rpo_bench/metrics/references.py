"""Overlap with reference texts: ROUGE-L, BLEU, METEOR, BERTScore and length ratio.

Each number comes from the library behind ``evaluate``'s metric of the same name (rouge_score, sacrebleu,
nltk, bert_score). With several references, the highest score counts.
"""

import importlib.util
from abc import abstractmethod
from collections.abc import Sequence
from importlib.metadata import version
from typing import Any

from rpo_bench.data.fields import REFERENCE, REFERENCES
from rpo_bench.data.row import Prompt
from rpo_bench.data.words import (
    cased_words,
    composed,
    other_letters,
    spoken_words,
    unspaced,
    words,
)
from rpo_bench.metrics.protocol import SHARE, Metric, MetricContext, SampleMetric, Score, Unscored
from rpo_bench.results.samples import StoredSample

NO_REFERENCE = Unscored("the prompt has no reference")
NO_WORDS = Unscored("the reference has no words")
EMPTY = Unscored("empty text")
#: Data for nltk's METEOR, by the names of its downloader.
_NLTK_DATA = {
    "wordnet": ("corpora/wordnet", "corpora/wordnet.zip"),
    "punkt_tab": ("tokenizers/punkt_tab/english", "tokenizers/punkt_tab.zip"),
}


def references_of(prompt: Prompt) -> list[str]:
    """A prompt's references: ``references``, a list, and ``reference``, of its metadata; each text once.

    Numbers are converted to text; null and empty values count as absent.
    """
    found: list[Any] = []
    for name in (REFERENCES, REFERENCE):
        value = prompt.metadata.get(name)
        found += value if isinstance(value, list | tuple) else [value]
    numbers = (one for one in found if isinstance(one, str | int | float) and not isinstance(one, bool))
    return [text for text in dict.fromkeys(map(str, numbers)) if text.strip()]


def reference_metrics(context: MetricContext) -> list[Metric]:
    """The metrics; empty if no prompt has a reference."""
    return [RougeL(), SentenceBleu(), Meteor(), LengthRatio()] if context.references else []


class Referenced(SampleMetric):
    """A score of a text against references; missing without a reference or without words."""

    unit = "0 to 1"
    higher_is_better: bool | None = True
    bounds = SHARE
    package: str | None = None
    detail = ""

    @property
    def backend(self) -> str | None:  # type: ignore[override]
        """The library and its version."""
        return None if self.package is None else f"{self.package} {version(self.package)}{self.detail}"

    @property
    def missing(self) -> Unscored | None:
        """Why it can't be measured here; None if it can."""
        if self.package is not None and importlib.util.find_spec(self.package) is None:
            return Unscored(f"{self.package} isn't installed: pip install 'rpo-bench[references]'")
        return None

    def score(self, prompts: Sequence[Prompt], samples: Sequence[StoredSample]) -> list[Score]:
        """Each sample's score, or the reason for a missing one."""
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
        """The scores of N texts against their references."""


class RougeL(Referenced):
    """F1 of the longest common subsequence of words (Lin 2004), without stemming."""

    name = "rouge_l"
    package = "rouge_score"

    def scores(self, texts: Sequence[str], references: Sequence[list[str]]) -> Sequence[Score]:
        """The highest F1 over the references."""
        from rouge_score.rouge_scorer import RougeScorer
        from rouge_score.tokenizers import DefaultTokenizer

        splitters: tuple[Any, Any] = DefaultTokenizer(), _Spoken()
        found: list[Score] = []
        for text, against in zip(texts, references, strict=True):
            splitter = splitters[any(map(other_letters, [text, *against]))]
            known = [one for one in against if splitter.tokenize(one)]
            scorer = RougeScorer(["rougeL"], tokenizer=splitter)
            best = scorer.score_multi(known, text)["rougeL"].fmeasure if known else NO_WORDS
            found.append(best if isinstance(best, Unscored) else float(best))
        return found


class _Spoken:
    """A tokenizer for rouge_score, whose own drops all letters except a to z."""

    def tokenize(self, text: str) -> list[str]:
        """The words of a text, without punctuation."""
        return spoken_words(text)


class SentenceBleu(Referenced):
    """Sentence BLEU-4 with exponential smoothing and effective order, against all references at once."""

    name = "bleu"
    package = "sacrebleu"
    detail = ", by sentence"

    def scores(self, texts: Sequence[str], references: Sequence[list[str]]) -> Sequence[Score]:
        """sacreBLEU's score / 100."""
        from sacrebleu.metrics import BLEU

        bleus = BLEU(effective_order=True), BLEU(effective_order=True, tokenize="none")
        found: list[Score] = []
        for text, against in zip(texts, references, strict=True):
            apart = any(map(unspaced, [text, *against]))
            split = _spaced if apart else composed
            score = bleus[apart].sentence_score(split(text), [split(one) for one in against]).score
            found.append(min(1.0, score / 100))
        return found


class Meteor(Referenced):
    """METEOR (Banerjee and Lavie 2005): words, stems and WordNet's synonyms."""

    name = "meteor"
    package = "nltk"

    @property
    def missing(self) -> Unscored | None:
        """Whether the package or its data are missing."""
        if super().missing is not None:
            return super().missing
        absent = [name for name, places in _NLTK_DATA.items() if not any(map(_is_there, places))]
        if absent:
            return Unscored(f"nltk's data are missing: python -m nltk.downloader {' '.join(absent)}")
        return None

    def scores(self, texts: Sequence[str], references: Sequence[list[str]]) -> Sequence[Score]:
        """The highest score over the references, with texts tokenised as in ``evaluate``."""
        from nltk import word_tokenize
        from nltk.translate.meteor_score import meteor_score

        found: list[Score] = []
        for text, against in zip(texts, references, strict=True):
            apart = any(map(unspaced, [text, *against]))
            split = cased_words if apart else lambda one: word_tokenize(composed(one))
            found.append(float(meteor_score([split(one) for one in against], split(text))))
        return found


def _spaced(text: str) -> str:
    """The text with spaces between its words, and between characters of scripts without spaces."""
    return " ".join(cased_words(text))


def _is_there(place: str) -> bool:
    """Whether nltk finds this part of its data."""
    import nltk

    try:
        nltk.data.find(place)
    except LookupError:
        return False
    return True


class LengthRatio(Referenced):
    """Words of the text over words of the reference nearest in length."""

    name = "length_ratio"
    unit = "ratio"
    higher_is_better = None
    bounds = None  # type: ignore[assignment]

    def scores(self, texts: Sequence[str], references: Sequence[list[str]]) -> Sequence[Score]:
        """1 if the text is as long as its reference."""
        pairs = zip(texts, references, strict=True)
        return [_ratio(len(words(text)), [len(words(one)) for one in against]) for text, against in pairs]


def _ratio(length: int, references: Sequence[int]) -> Score:
    known = [reference for reference in references if reference]
    if not known:
        return NO_WORDS
    return length / min(known, key=lambda reference: (abs(reference - length), reference))
