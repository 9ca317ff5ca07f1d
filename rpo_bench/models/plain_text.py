"""Tokenises and decodes texts as plain text: spelt special tokens stay text, and spaces are kept."""

import re
from collections.abc import Callable, Collection, Iterable, Sequence
from functools import lru_cache
from typing import Any

_OPEN, _CLOSE = "\ue000", "\ue001"  # private-use characters around a spelling's number
_PLACE = re.compile(f"{_OPEN}(\\d+){_CLOSE}")


def plain_ids(tokenizer: Any, text: str, ends: Collection[int] = ()) -> list[int]:
    """The tokens of a single text, none of them special; see ``as_text``."""
    return plain_batch(tokenizer, [text], ends)[0]


def plain_batch(tokenizer: Any, texts: Sequence[str], ends: Collection[int] = ()) -> list[list[int]]:
    """``plain_ids`` of many texts at once."""
    shown, options = as_text(tokenizer, texts, ends)
    found = tokenizer(shown, add_special_tokens=False, verbose=False, **options).input_ids
    return [list(ids) for ids in found]


def encode(tokenizer: Any, *texts: str) -> Any:
    """Tokenises a text or a pair of texts, with the special tokens that the tokenizer adds."""
    shown, options = as_text(tokenizer, texts)
    return tokenizer(*shown, verbose=False, **options)


def as_text(
    tokenizer: Any, texts: Sequence[str], ends: Collection[int] = ()
) -> tuple[list[str], dict[str, bool]]:
    """The arguments for a tokenizer with which spelt special tokens are read as plain text.

    If no text spells one, these are just the texts. Some tokenizers have the spelling in their vocabulary
    besides their special tokens (word-level, unigram). For these, a space is put after its first character.

    Args:
        tokenizer: A Hugging Face tokenizer.
        texts: Any texts.
        ends: Further tokens that count as special, such as the end of a turn.

    Returns:
        The texts, and keyword arguments.
    """
    found = {spelling for text in texts for spelling in spelt(tokenizer, text, ends)}
    if not found:
        return list(texts), {}
    stubborn = [one for one in found if _is_read(tokenizer, one, ends)]
    return [_broken(text, stubborn) for text in texts], {"split_special_tokens": True}


def spelt(tokenizer: Any, text: str, ends: Collection[int] = ()) -> list[str]:
    """The special tokens that a text spells, in order."""
    return _pattern(tokenizer, len(tokenizer), tuple(ends)).findall(text)


def begins_with_special(tokenizer: Any, text: str) -> str | None:
    """The special token that a text begins with, as if written by a template; None without."""
    found = _pattern(tokenizer, len(tokenizer), ()).match(text.lstrip())
    return None if found is None else found[0]


def hidden(tokenizer: Any, texts: Iterable[str], ends: Collection[int] = ()) -> tuple[list[str], list[str]]:
    """Texts with placeholders for spelt special tokens, and the spellings by number."""
    pattern = _pattern(tokenizer, len(tokenizer), tuple(ends))
    spellings: list[str] = []

    def place(match: re.Match[str]) -> str:
        spellings.append(match[0])
        return f"{_OPEN}{len(spellings) - 1}{_CLOSE}"

    return [pattern.sub(place, text) for text in texts], spellings


def written_ids(
    tokenizer: Any, written: str, spellings: Sequence[str], ends: Collection[int] = (), **options: Any
) -> list[int]:
    """The tokens of a template's output around hidden texts; the template's special tokens are special.

    Args:
        tokenizer: A Hugging Face tokenizer.
        written: The template's text, with the placeholders of ``hidden``.
        spellings: The spellings for the placeholders.
        ends: As in ``as_text``.
        options: ``add_special_tokens``.
    """
    if not spellings:
        return list(tokenizer(written, **options).input_ids)

    def shown(text: str) -> str:
        return _PLACE.sub(lambda match: (*spellings, match[0])[min(int(match[1]), len(spellings))], text)

    front, back = frame(tokenizer) if options.get("add_special_tokens", True) else ([], [])
    special = _special(tokenizer, len(tokenizer), tuple(ends))
    ids, done = [*front], 0
    for match in _pattern(tokenizer, len(tokenizer), tuple(ends)).finditer(written):
        ids += _behind(tokenizer, shown(written[done : match.start()]), ends, first=done == 0)
        ids.append(special[match[0]])
        done = match.end()
    return [*ids, *_behind(tokenizer, shown(written[done:]), ends, first=done == 0), *back]


def frame(tokenizer: Any, call: Callable[[str], Any] | None = None) -> tuple[list[int], list[int]]:
    """The special tokens that a tokenizer adds before and after every text.

    Args:
        tokenizer: A Hugging Face tokenizer.
        call: How it is called; None: as for any text.
    """
    whole = list((call or tokenizer)("a").input_ids)
    inner = list(tokenizer("a", add_special_tokens=False).input_ids)
    for start in range(len(whole) - len(inner) + 1):
        if whole[start : start + len(inner)] == inner:
            return whole[:start], whole[start + len(inner) :]
    return [], []


def decode(tokenizer: Any, rows: Sequence[Sequence[int]]) -> list[str]:
    """Decodes tokens without special ones; spaces are kept as sampled."""
    found: list[str] = tokenizer.batch_decode(
        [list(row) for row in rows], skip_special_tokens=True, clean_up_tokenization_spaces=False
    )
    return found


def _behind(tokenizer: Any, text: str, ends: Collection[int], first: bool) -> list[int]:
    """The tokens of a text after a special token, where some tokenizers add no leading space."""
    if first or not text:
        return plain_ids(tokenizer, text, ends)
    special = next(iter(_special(tokenizer, len(tokenizer), ())))
    if tokenizer(f"{special}a", add_special_tokens=False).input_ids[1:] == plain_ids(tokenizer, "a"):
        return plain_ids(tokenizer, text, ends)
    start, whole = plain_ids(tokenizer, "\n"), plain_ids(tokenizer, f"\n{text}", ends)
    return whole[len(start) :] if whole[: len(start)] == start else plain_ids(tokenizer, text, ends)


def _is_read(tokenizer: Any, spelling: str, ends: Collection[int]) -> bool:
    """Whether a spelling becomes a special token even when splitting is requested."""
    ids = tokenizer(spelling, add_special_tokens=False, split_special_tokens=True).input_ids
    return bool(
        set(ids) & set(_special(tokenizer, len(tokenizer), tuple(ends)).values()) - _unknown(tokenizer)
    )


def _broken(text: str, spellings: Iterable[str]) -> str:
    for spelling in spellings:
        text = text.replace(spelling, f"{spelling[0]} {spelling[1:]}" if len(spelling) > 1 else "")
    return text


def _unknown(tokenizer: Any) -> set[int]:
    """The tokenizer's unknown token, if it isn't used for anything else."""
    roles = {tokenizer.eos_token_id, tokenizer.bos_token_id, tokenizer.pad_token_id}
    return {tokenizer.unk_token_id} - roles - {None}


@lru_cache(maxsize=16)
def _special(tokenizer: Any, _size: int, ends: tuple[int, ...]) -> dict[str, int]:
    """Special tokens by spelling; ``_size`` invalidates the cache when tokens are added."""
    found = {t.content: i for i, t in tokenizer.added_tokens_decoder.items() if t.special or i in ends}
    named = dict(zip(tokenizer.all_special_tokens, tokenizer.all_special_ids, strict=True))
    return {spelling: i for spelling, i in (found | named).items() if spelling.strip()}


@lru_cache(maxsize=16)
def _pattern(tokenizer: Any, size: int, ends: tuple[int, ...]) -> re.Pattern[str]:
    spellings = sorted(_special(tokenizer, size, ends), key=len, reverse=True)
    return re.compile("|".join(map(re.escape, spellings)) or r"(?!)")
