"""Words and n-grams for the text metrics, in all scripts.

A word is a run of letters and digits with their marks (accents, vowel signs, joiners) and inner apostrophes.
Any other character except spaces is a separate word. In scripts without spaces, each character (a letter
with its marks) counts as a word, as in sacreBLEU's "zh" and "char". ASCII texts take a faster path to the
same words.
"""

import re
import unicodedata
from functools import lru_cache
from typing import Any

_ASCII_WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")

#: Letters of scripts without spaces: those that break lines by dictionary (Thai, Lao, Khmer, Burmese, Tai …),
#: Chinese characters, kana, bopomofo, Yi.
_UNSPACED = r"[[\p{L}\p{Nl}]&&[\p{lb=SA}\p{scx=Han}\p{scx=Hira}\p{scx=Kana}\p{scx=Bopo}\p{sc=Yi}]]"
#: Such a letter with its marks, and with letters stacked below it in Khmer, Burmese and Tai Tham.
_CHARACTER = rf"(?={_UNSPACED})\X(?:\p{{M}}|(?<=[\u17d2\u1039\u1a60])\p{{L}})*"
_SPACE = r"[\s\x1c-\x1f\u200b]"
_JOINERS = r"\u200c\u200d"
_LETTER = rf"[[\p{{L}}\p{{N}}_]--{_UNSPACED}]"
_RUN = rf"{_LETTER}[{_LETTER}\p{{M}}{_JOINERS}]*"
_WORD = rf"{_CHARACTER}|{_RUN}(?:['’׳״]{_RUN})*|(?!{_SPACE}|[{_JOINERS}])\X"
_CHUNK = rf"{_CHARACTER}[^\s\p{{L}}\p{{N}}]*|(?:(?!{_SPACE}|{_UNSPACED})[\s\S])+"
#: Invisible characters, such as marks of direction and soft hyphens.
_INVISIBLE = re.compile("[\u00ad\u061c\u200e\u200f\u202a-\u202e\u2060\u2066-\u2069\ufeff]")

Ngram = tuple[str, ...]


def words(text: str) -> list[str]:
    """Lower-cased words (with inner apostrophes) and single punctuation marks, in order."""
    return cased_words(text.lower())


def cased_words(text: str) -> list[str]:
    """``words`` with their case."""
    if text.isascii():
        return _ASCII_WORD.findall(text)
    found: list[str] = _pattern(_WORD).findall(composed(text))
    return found


def spoken_words(text: str) -> list[str]:
    """``words`` without punctuation, split at apostrophes, as in ROUGE."""
    parts = [part for word in words(text) for part in re.split("['’]", word)]
    return [part for part in parts if _counts(part)]


def length_in_words(text: str) -> int:
    """Words separated by spaces; characters in scripts without spaces."""
    return len(text.split()) if text.isascii() else len(_pattern(_CHUNK).findall(composed(text)))


def unspaced(text: str) -> bool:
    """Whether the text has a letter of a script without spaces."""
    return not text.isascii() and _pattern(_UNSPACED).search(text) is not None


def other_letters(text: str) -> bool:
    """Whether the text has a non-ASCII letter, digit or mark."""
    return not text.isascii() and any(not char.isascii() and _counts(char) for char in text)


def composed(text: str) -> str:
    """The text in NFC, without invisible characters."""
    return text if text.isascii() else _INVISIBLE.sub("", unicodedata.normalize("NFC", text))


def ngrams(tokens: list[str], order: int) -> list[Ngram]:
    """The n-grams of a token list, in order; empty when it is shorter than ``order``."""
    return list(zip(*(tokens[start:] for start in range(order)), strict=False))


def _counts(text: str) -> bool:
    return any(unicodedata.category(char)[0] in "LNM" for char in text)


@lru_cache
def _pattern(source: str) -> Any:
    import regex  # type: ignore[import-untyped]  # late: few texts need it

    return regex.compile(source, regex.VERSION1)
