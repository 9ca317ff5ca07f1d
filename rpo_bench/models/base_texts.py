"""Reads pretraining texts for base models from rows, preference pairs or plain text."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rpo_bench.data.columns import ColumnName
from rpo_bench.data.conversation import Conversation
from rpo_bench.data.readers import read_rows
from rpo_bench.data.row import Row
from rpo_bench.data.split import split_rows
from rpo_bench.errors import UserError
from rpo_bench.files.text_files import whole_text


@dataclass(frozen=True)
class TextPair:
    """A prompt and its response."""

    prompt: str
    response: str


@dataclass(frozen=True)
class Texts:
    """Training texts and held-out texts for the perplexity; no prompt is in both."""

    train: list[TextPair]
    heldout: list[TextPair]


def read_texts(
    source: str, heldout_fraction: float, seed: int, columns: Mapping[ColumnName, str] | None = None
) -> Texts:
    """Reads pretraining texts and holds out a share of the prompts.

    A ``.txt`` file holds documents separated by empty lines, or one per line if there are none. Each document
    is cut at a random word boundary in its first half, and the part before the cut is the prompt. Any other
    source is read as rows, and rewards are ignored: a base model imitates all responses, good and bad.

    Args:
        source: A text file, or what ``read_rows`` takes.
        heldout_fraction: Share of the prompts, in (0, 1); rows that name their split are held to it.
        seed: Seed for the cuts and the held-out prompts.
        columns: Names of our columns in the source: see ``read_rows``.

    Raises:
        UserError: The source can't be read, or has too few texts.
    """
    plain = source.endswith((".txt", ".txt.gz"))
    rows = _documents(Path(source), seed) if plain else read_rows(source, columns=columns)
    turns = [row for row in rows if isinstance(row.prompt, Conversation)]
    if turns:
        raise UserError(
            f"{turns[0].source}: {len(turns):,} of {len(rows):,} rows are conversations of several turns, "
            "and a base model without a chat template can't read them: write each prompt as one text."
        )
    parts = split_rows(rows, heldout_fraction, seed)
    return Texts(_pairs(parts.train), _pairs(parts.test))


def _pairs(rows: list[Row]) -> list[TextPair]:
    return [TextPair(row.prompt, row.response) for row in rows]


def _documents(path: Path, seed: int) -> list[Row]:
    text = whole_text(path).replace("\r\n", "\n")
    blocks = [block.strip() for block in text.split("\n\n") if block.strip()]
    if len(blocks) < 2:
        blocks = [line.strip() for line in text.split("\n") if line.strip()]
    places = np.random.default_rng([seed, 0x7E87]).random(len(blocks))
    pairs = [_cut(block, float(place)) for block, place in zip(blocks, places, strict=True)]
    rows = [
        Row(prompt=pair.prompt, response=pair.response, reward=0.0, prompt_id=pair.prompt)
        for pair in pairs
        if pair is not None
    ]
    found = len({row.prompt for row in rows})
    if found < 2:
        raise UserError(
            f"{path} has {found} documents of two words or more that begin differently, and at least two are "
            "needed to hold one out: separate documents with empty lines, or put one on each line."
        )
    return rows


def _cut(document: str, place: float) -> TextPair | None:
    """Cuts between two words of the first half (place in [0, 1)); None for fewer than two words."""
    starts = [i for i in range(1, len(document)) if document[i - 1].isspace() and not document[i].isspace()]
    if not starts:
        return None
    at = starts[int(place * max(1, len(starts) // 2))]
    return TextPair(document[:at].rstrip(), document[at:])
