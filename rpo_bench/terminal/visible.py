"""Other people's text made safe to look at: what can't be seen, or commands a terminal, is spelt out."""

import re

# C0 and C1 controls (escape, bell, backspace, carriage return …), zero-width characters, direction marks,
# embeddings, overrides and isolates, line and paragraph separators, interlinear marks, tags, and surrogates:
# all invisible, or unprintable, or able to reorder or overwrite the text around them.
_RANGES = (
    "\u0000-\u001f\u007f-\u009f\u00ad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\uffa0\ud800-\udfff\ufeff\ufff0-\ufffb\ufffe\uffff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
# What joins or varies letters of emoji, Persian, Mongolian and the scripts of India stays behind those, none
# of which is ASCII; so do keys such as 1️⃣.
_JOINERS = "(?<![^\u0000-\u007f\u200c\u200d])[\u200c\u200d\u034f\u180b-\u180d\u180f\ufe00-\ufe0f](?!\u20e3)"
_UNSEEN = re.compile(f"[{_RANGES}]|{_JOINERS}")
_UNSEEN_IN_LINES = re.compile(f"(?![\n\t])[{_RANGES}]|{_JOINERS}")


def visible(text: str) -> str:
    """The text in one line, with every character that can't be seen, or reorders others, as ``⟨U+202E⟩``.

    What comes back encodes to UTF-8 and reads in the order in which it is stored. Escaping for HTML is
    the template's work.
    """
    return text if text.isascii() and text.isprintable() else _UNSEEN.sub(_spelt, text)


def visible_lines(text: str) -> str:
    """As ``visible``, but lines and tabs stay."""
    return text if text.isascii() and text.isprintable() else _UNSEEN_IN_LINES.sub(_spelt, text)


def visible_json(text: str) -> str:
    r"""JSON that says the same, with every such character as ``\u202e``: they stand within strings alone."""
    return _UNSEEN_IN_LINES.sub(_escaped, text)


def _spelt(match: re.Match[str]) -> str:
    return f"⟨U+{ord(match[0]):04X}⟩"


def _escaped(match: re.Match[str]) -> str:
    code = ord(match[0])
    if code < 0x10000:
        return f"\\u{code:04x}"
    return f"\\u{0xD7C0 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"
