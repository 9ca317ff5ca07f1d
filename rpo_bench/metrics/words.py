"""Words and n-grams, as the text metrics count them."""

import re

_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")

Ngram = tuple[str, ...]


def words(text: str) -> list[str]:
    """Lower-cased words (with inner apostrophes) and single punctuation marks, in order."""
    return _WORD.findall(text.lower())


def ngrams(tokens: list[str], order: int) -> list[Ngram]:
    """The n-grams of a token list, in order; empty when it is shorter than ``order``."""
    return list(zip(*(tokens[start:] for start in range(order)), strict=False))
