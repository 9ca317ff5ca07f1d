"""Removes secrets from texts of servers, which may repeat a key in any spelling, before storing them."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

from rpo_bench.remote.urls import Address, query_secrets

HIDDEN = "***"
_SHORTEST = 4  # characters of a secret; shorter ones occur in any text
_SHORTEST_USER = 8  # characters of a user name with a password, which is rarely secret
_SHORTEST_BASE64 = 8
_TIMES = 3  # maximum nesting of escapes
_KEY_LIKE = re.compile(r"\bsk-[\w-]{8,}|(?<=Bearer )[^\s\"\\]+")
_UNICODE_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")
_LONE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, repr=False)
class Secrets:
    """Secrets that no stored text may contain: keys, passwords, and their encoded forms.

    Attributes:
        values: In plain text; their forms in JSON, URLs and base64 are included.
    """

    values: tuple[str, ...]

    @classmethod
    def of(cls, key: str | None, address: Address) -> "Secrets":
        """The secrets of a request: the key, the URL's user info and the secret parts of its query."""
        user, password = address.user_info or ("", "")
        alone = password == "" or len(user) >= _SHORTEST_USER
        known = [key or "", password, user if alone else "", *query_secrets(address.query)]
        basic = base64.b64encode(f"{user}:{password}".encode()).decode() if user or password else ""
        return cls(tuple(dict.fromkeys(one for one in (*known, basic) if len(one) >= _SHORTEST)))

    def out_of(self, text: str) -> str:
        """The text with ``***`` for every secret and for anything that looks like a key."""
        found = self._pattern.sub(HIDDEN, text) if self._may_be_in(text) else text
        return _KEY_LIKE.sub(HIDDEN, found)

    def _may_be_in(self, text: str) -> bool:
        """Whether the text or its unescaped form may contain a secret; a fast check, as most have none."""
        looked_for = [one for value in self.values for one in (value, *_within_base64(value))]
        bare = {one.replace("\\", "") for one in looked_for}
        return any(one in form for form in unescaped(text) for one in bare)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        exact = ["".join(map(_escaped, value)) for value in self.values]
        encoded = ["".join(map(_escaped, one)) for value in self.values for one in _within_base64(value)]
        return re.compile("|".join([*exact, *encoded]))


def well_formed(text: str) -> str:
    """The text with U+FFFD for every half surrogate pair, which can't be written to files."""
    return _LONE.sub("\N{REPLACEMENT CHARACTER}", text)


def unescaped(text: str) -> Iterator[str]:
    """A text and its unescaped forms, without backslashes."""
    plain = text
    if "\\" in plain:
        yield plain.replace("\\", "")
        plain = _UNICODE_ESCAPE.sub(lambda found: chr(int(found[1], 16)), plain).replace("\\", "")
        plain = plain.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    yield plain
    for _ in range(_TIMES + 1):
        further = unquote(plain) if "%" in plain else plain
        if further == plain:
            return
        plain = further
        yield plain


def _within_base64(secret: str) -> Iterator[str]:
    """The base64 forms of a secret at any offset, without characters shared with its neighbours.

    Base64 encodes three bytes at a time, so the preceding bytes shift the encoding.
    """
    raw = secret.encode("utf-8", "surrogatepass")
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        for before in range(3):
            text = encode(b"\0" * before + raw).decode().rstrip("=")
            shared = 1 if (before + len(raw)) % 3 else 0
            inner = text[-(-before * 8 // 6) : len(text) - shared]
            if len(inner) >= _SHORTEST_BASE64:
                yield inner


def _escaped(letter: str) -> str:
    """A pattern for a character: plain, after backslashes, as %XX, or as a Unicode escape."""
    plain = r"\\{0,4}" + re.escape(letter)
    percent = "".join(
        f"%(?:25){{0,{_TIMES}}}{_either(f'{byte:02x}')}" for byte in letter.encode("utf-8", "surrogatepass")
    )
    units = letter.encode("utf-16-be", "surrogatepass").hex()
    escape = "".join(r"\\{1,4}u" + _either(units[i : i + 4]) for i in range(0, len(units), 4))
    return f"(?:{plain}|{percent}|{escape})"


def _either(digits: str) -> str:
    """Hexadecimal digits in lower or upper case."""
    return "".join(one if one.isdigit() else f"[{one}{one.upper()}]" for one in digits)
