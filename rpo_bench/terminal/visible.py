"""Makes text from outside safe to display: spells out invisible and control characters."""

import re

# C0 and C1 controls (escape, bell, backspace, carriage return …), zero-width characters, direction marks,
# embeddings, overrides and isolates, line and paragraph separators, interlinear marks, tags, and surrogates:
# all invisible, or unprintable, or able to reorder or overwrite the text around them.
_RANGES = (
    "\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\uffa0\ud800-\udfff\ufeff\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# Joiners and variation selectors are kept after non-ASCII characters, for emoji, Persian, Mongolian and the
# scripts of India; so are keycaps such as 1️⃣.
_JOINERS = "(?<![^\u0000-\u007f\u200c\u200d])[\u200c\u200d\u034f\u180b-\u180d\u180f\ufe00-\ufe0f](?!\u20e3)"
_UNSEEN = re.compile(f"[{_RANGES}]|{_JOINERS}")
_UNSEEN_IN_LINES = re.compile(f"(?![\n\t])[{_RANGES}]|{_JOINERS}")


def visible(text: str) -> str:
    """The text in one line, with every invisible or reordering character as ``⟨U+202E⟩``.

    The result can be encoded in UTF-8 and is displayed in the order in which it is stored. It isn't escaped
    for HTML; templates do that.
    """
    return text if text.isascii() and text.isprintable() else _UNSEEN.sub(_spelt, text)


def visible_lines(text: str) -> str:
    """Like ``visible``, but keeps lines and tabs."""
    return text if text.isascii() and text.isprintable() else _UNSEEN_IN_LINES.sub(_spelt, text)


def visible_json(text: str) -> str:
    r"""Equivalent JSON with every such character as ``\u202e``; they occur only within strings."""
    return _UNSEEN_IN_LINES.sub(_escaped, text)


def _spelt(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match[0]):04X}⟩"


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\u{0xD7C0 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
