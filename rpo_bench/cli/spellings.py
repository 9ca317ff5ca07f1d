"""Alternative spellings of flags from other tools, accepted by every verb."""

from collections.abc import Callable, Sequence
from typing import Any

#: Synonymous flags. A verb with one of a group accepts the others, unless it defines them itself.
SAME = (
    ("--output-path", "--out", "--output", "--output-dir", "--into"),
    ("--learning-rate", "--lr"),
    ("--steps", "--max-steps"),
    ("--max-grad-norm", "--grad-clip"),
    ("--batch-size", "--train-batch-size"),
    ("--methods", "--method"),
    ("--strengths", "--strength", "--taus"),
    ("--seeds", "--seed"),
    ("--models", "--model"),
    ("--task", "--tasks"),
    ("--lora-rank", "--lora-r"),
)
#: The name of --format where only text and JSON are offered.
_PLAIN = ("text", "table")


def add_spellings(command: Any) -> None:
    """Makes a command accept other spellings of its flags, and --json beside --format json."""
    own = {flag for parameter in command.params for flag in parameter.opts}
    for parameter in command.params:
        others = [flag for group in SAME if set(parameter.opts) & set(group) for flag in group]
        hidden = [flag for flag in others if flag not in own]
        if hidden:
            parameter.add_to_parser = _adding(parameter, hidden)
    rewritten = _json_of(own)
    if rewritten is not None:
        command.parse_args = _rewriting(command.parse_args, rewritten)


def _adding(parameter: Any, hidden: Sequence[str]) -> Callable[[Any, Any], None]:
    """``parameter.add_to_parser`` with spellings that are hidden in help and messages."""
    add = parameter.add_to_parser

    def add_to_parser(parser: Any, context: Any) -> None:
        shown = parameter.opts
        parameter.opts = [*shown, *hidden]
        try:
            add(parser, context)
        finally:
            parameter.opts = shown

    return add_to_parser


def _json_of(own: set[str]) -> Callable[[Sequence[str]], list[str]] | None:
    """The rewriting of a command line's words to the command's own spelling of JSON output."""
    if "--json" in own and "--format" not in own:
        return _as_switch
    return _as_format if "--format" in own and "--json" not in own else None


def _as_switch(words: Sequence[str]) -> list[str]:
    """--json for ``--format json``, nothing for ``--format text``; others stay, and are refused later."""
    kept: list[str] = []
    rest = list(words)
    while rest:
        word = rest.pop(0)
        if word == "--":
            return [*kept, word, *rest]
        form = rest[0] if word == "--format" and rest else word.removeprefix("--format=")
        if word.partition("=")[0] != "--format" or form not in ("json", *_PLAIN):
            kept.append(word)
            continue
        if word == "--format":
            del rest[0]
        kept += ["--json"] if form == "json" else []
    return kept


def _as_format(words: Sequence[str]) -> list[str]:
    """``--format json`` for --json."""
    end = list(words).index("--") if "--" in words else len(words)
    return [f for w in words[:end] for f in (["--format", "json"] if w == "--json" else [w])] + [*words[end:]]


def _rewriting(
    parse: Callable[[Any, list[str]], Any], rewrite: Callable[[Sequence[str]], list[str]]
) -> Callable[[Any, list[str]], Any]:
    def parse_args(context: Any, args: list[str]) -> Any:
        return parse(context, rewrite(args))

    return parse_args
