"""Prompts for judges: templates in which untrusted texts are neutralised."""

import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from rpo_bench.errors import UserError
from rpo_bench.files.hashing import hash_json
from rpo_bench.files.text_files import whole_text
from rpo_bench.judge.protocol import Call, Pair
from rpo_bench.judge.thinking import WORDS as THOUGHTS

MAX_CHARS = 8_000  # per text

_FOLDER = Path(__file__).parent / "templates"
_FIELDS = ("prompt", "first", "second")
_FIELD = re.compile(r"\{(prompt|first|second)\}")
_CUT = " [cut here]"

# Text that could end a block of the template, or imitate a turn, the judge's thoughts or its verdict.
_UNSAFE = (
    (re.compile(r"<{3,}"), "<<"),
    (re.compile(r">{3,}"), ">>"),
    (re.compile(r"<([|｜])"), r"< \1"),
    (re.compile(r"([|｜])>"), r"\1 >"),
    (re.compile(r"<(/?)(s|bos|eos|pad|start_of_turn|end_of_turn)>", re.IGNORECASE), r"< \1\2 >"),
    (re.compile(r"\[(/?INST|/?SYS)\]", re.IGNORECASE), r"[ \1 ]"),
    (re.compile(rf"([<◁])(/?{THOUGHTS}\b)|(\[)(/?{THOUGHTS}\])", re.IGNORECASE), r"\1\3 \2\4"),
    (re.compile(r"(verd)(ict)", re.IGNORECASE), r"\1-\2"),
)


@dataclass(frozen=True)
class Template:
    """A judge's prompt template with {prompt}, {first} and {second}.

    Attributes:
        name: The file's name without its suffix.
        text: The file's content.
        max_chars: Maximum characters of each text.
    """

    name: str
    text: str
    max_chars: int = MAX_CHARS

    @cached_property
    def hash(self) -> str:
        """SHA-256 of the text: the template's version."""
        return hashlib.sha256(self.text.encode()).hexdigest()

    def render(self, prompt: str, first: str, second: str) -> str:
        """Fills the template; the three texts can't change its structure."""
        values = dict(zip(_FIELDS, (prompt, first, second), strict=True))
        return _FIELD.sub(lambda field: neutral(values[field[1]], self.max_chars), self.text)

    def question(self, call: Call) -> str:
        """The prompt text of a call."""
        return self.render(call.prompt.text, call.first, call.second)


def load_template(name: str | Path, max_chars: int = MAX_CHARS) -> Template:
    """Loads a built-in template by name, or a user's file.

    Raises:
        UserError: There is no such file, or a placeholder isn't there exactly once.
    """
    own = _FOLDER / f"{name}.txt"
    file = own if own.is_file() else Path(name)
    if not file.is_file():
        known = ", ".join(sorted(path.stem for path in _FOLDER.glob("*.txt")))
        raise UserError(f"--judge-template {name}: there is no such file; built-in templates are {known}.")
    text = whole_text(file).rstrip("\n")
    for field in _FIELDS:
        if text.count(f"{{{field}}}") != 1:
            raise UserError(f"--judge-template {name}: it must contain '{{{field}}}' exactly once.")
    return Template(file.stem, text, max_chars)


def neutral(text: str, max_chars: int = MAX_CHARS) -> str:
    """An untrusted text, cut to the limit and with all markers neutralised."""
    shown = text if len(text) <= max_chars else text[:max_chars] + _CUT
    for pattern, harmless in _UNSAFE:
        shown = pattern.sub(harmless, shown)
    return shown


def call_of(pair: Pair, swapped: bool) -> Call:
    """The question in one order: the model's response first, or, swapped, the baseline's."""
    texts = (pair.model_response, pair.baseline_response)
    first, second = texts[::-1] if swapped else texts
    key = hash_json([pair.task, pair.prompt.prompt_id, pair.prompt.text, first, second])
    return Call(key, pair.task, pair.prompt, first, second)
