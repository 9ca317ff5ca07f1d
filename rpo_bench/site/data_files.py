"""The data that the page loads on demand: scripts, since a page opened from a file can load nothing else.

Every script calls ``rpoBench.take(name, packed)`` with deflated JSON in base 64. That is a quarter of the
size, and no text from outside can break out of it. There is one script for the prompts of every panel, and
two for every row of the table: its details, and its samples with their scores. The table as JSON is a script
too, and also a plain file.
"""

import json
import re
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterator
from dataclasses import dataclass

from rpo_bench.analysis.board import Board, Section
from rpo_bench.analysis.lengths import bounded_samples
from rpo_bench.files.hashing import hash_json
from rpo_bench.results.store import SAMPLES_FILE
from rpo_bench.site.answers import Answers, read_answers
from rpo_bench.site.details import details
from rpo_bench.site.downloads import JSON_FILE, json_text
from rpo_bench.site.text import visible_deeply
from rpo_bench.terminal.visible import visible

#: The folder beside the page.
DATA = "data"

_LEVEL = 5  # of compression; 9 takes four times as long for 6 %
_PACKED = re.compile(r'rpoBench\.take\("([a-z]+-[0-9a-f]+)","([A-Za-z0-9+/=]*)"\);\n')


@dataclass(frozen=True)
class DataFile:
    """A file of the data folder."""

    name: str
    text: str


def data_files(board: Board) -> Iterator[DataFile]:
    """Yields the files of a board's data folder; the same board gives the same bytes."""
    table = json_text(board)
    yield DataFile(JSON_FILE, table)
    yield _script(_named(table), table)
    for section in board.sections:
        yield from _of_section(section)


def json_name(board: Board) -> str:
    """The script that holds the table as JSON."""
    return _named(json_text(board))


def _named(table: str) -> str:
    return f"table-{hash_json(table)[:12]}"


def _of_section(section: Section) -> Iterator[DataFile]:
    prompts: dict[str, str] = {}
    name = f"prompts-{_panel_key(section)}"
    rows = [row for series in section.panel.series for row in series.rows]
    for shown, row in zip(section.rows, rows, strict=True):
        answers = read_answers(row)
        for prompt, text in answers.prompts.items():
            prompts.setdefault(prompt, text)
        samples = f"samples-{shown.key}" if answers.checkpoints else None
        card = details(shown, row, name, samples, answers.missing)
        yield _script(f"row-{shown.key}", visible_deeply(card))
        if samples is not None:
            yield _script(samples, _samples(answers))
    known = sorted(prompts.items())
    texts = bounded_samples([text for _, text in known], SAMPLES_FILE)
    values = [{"id": prompt, "text": text} for (prompt, _), text in zip(known, texts, strict=True)]
    yield _script(name, visible_deeply(values))


def _panel_key(section: Section) -> str:
    """A panel's key in file names, a hash of what is measured."""
    spec = section.panel.spec
    known = [spec.task, spec.task_hash, spec.model, spec.model_hash, spec.evaluation.model_dump(mode="json")]
    return hash_json(known)[:12]


def _samples(answers: Answers) -> object:
    return {
        "texts": visible_deeply(bounded_samples(answers.texts, SAMPLES_FILE)),
        "checkpoints": [
            {
                "seed": one.seed,
                "prompts": visible_deeply(one.prompts),
                "samples": one.samples,
                "texts": one.texts,
                "unfinished": one.unfinished,
                "scores": {visible(name): values for name, values in one.scores.items()},
            }
            for one in answers.checkpoints
        ],
    }


def _script(name: str, value: object) -> DataFile:
    """A script that passes a value to the page."""
    text = json.dumps(value, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    packed = b64encode(zlib.compress(text.encode("ascii"), _LEVEL)).decode("ascii")
    return DataFile(f"{name}.js", f'rpoBench.take("{name}","{packed}");\n')


def unpacked(text: str) -> str:
    """A script's ``name value`` in JSON; other text unchanged.

    Another build of zlib may compress the same value to other bytes.
    """
    found = _PACKED.fullmatch(text)
    if found is None:
        return text
    try:
        return f"{found[1]} {zlib.decompress(b64decode(found[2], validate=True)).decode()}"
    except (ValueError, zlib.error):
        return text
