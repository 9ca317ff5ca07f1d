"""Removes a judge's thoughts from its reply, as drafts aren't verdicts."""

import re

WORDS = r"(?:think(?:ing)?|thoughts?|reason(?:ing)?|analysis|reflection|scratch_?pad|(?:inner_?)?monologue)"
#: ``<think>`` and variants: with attributes, ``[THINK]``, ``◁think▷``, ``<|begin_of_thought|>``.
_TAG = re.compile(
    rf"<(?P<xml>/?){WORDS}(?:\s[^<>]*)?>"
    rf"|\[(?P<square>/?){WORDS}\]"
    rf"|◁(?P<wedge>/?){WORDS}▷"
    rf"|<[|｜](?P<token>/|begin_of_|end_of_)?{WORDS}[|｜]>",
    re.IGNORECASE,
)
#: Channels of gpt-oss, which some servers pass on: all but the final one are thoughts.
_CHANNEL = re.compile(r"<\|channel\|>\s*(\w+)[^<]*<\|message\|>", re.IGNORECASE)


def conclusion(text: str) -> str | None:
    """A reply without its thoughts; None if these never end.

    A closing tag without an opening one also ends thoughts: some chat templates write the opening tag.
    """
    channels = list(_CHANNEL.finditer(text))
    if channels:
        return text[channels[-1].end() :] if channels[-1][1].lower() == "final" else None
    kept: list[str] = []
    start = 0
    thinking = False
    for tag in _TAG.finditer(text):
        closes = any(part in ("/", "end_of_") for part in map(_lower, tag.groups()))
        if not closes and not thinking:
            kept.append(text[start : tag.start()])
        elif closes and not thinking:
            kept.clear()
        thinking = not closes
        start = tag.end()
    return None if thinking else "".join([*kept, text[start:]])


def _lower(part: str | None) -> str:
    return (part or "").lower()
