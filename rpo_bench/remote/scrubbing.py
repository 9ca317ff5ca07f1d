"""Secrets taken out of what others say: a server may repeat a key in any spelling, and replies are stored."""

import base64
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from urllib.parse import unquote

from rpo_bench.remote.urls import Address, query_secrets

HIDDEN = "***"
_SHORTEST = 4  # characters of a secret; shorter ones are in any text
_SHORTEST_USER = 8  # of a user's name beside a password, which is seldom a secret
_SHORTEST_BASE64 = 8
_TIMES = 3  # that an escape may be escaped again
_KEY_LIKE = re.compile(r"\bsk-[\w-]{8,}|(?<=Bearer )[^\s\"\\]+")
_UNICODE_ESCAPE = re.compile(r"\\u([0-9A-Fa-f]{4})")
_LONE = re.compile("[\ud800-\udfff]")


@dataclass(frozen=True, repr=False)
class Secrets:
    """What no text may hold that is kept: keys, passwords, and what is made of them.

    Attributes:
        values: In clear; their forms in JSON, addresses and base64 count as well.
    """

    values: tuple[str, ...]

    @classmethod
    def of(cls, key: str | None, address: Address) -> "Secrets":
        """Those of a request: the key, the address's user info and the secret parts of its query."""
        user, password = address.user_info or ("", "")
        alone = password == "" or len(user) >= _SHORTEST_USER
        known = [key or "", password, user if alone else "", *query_secrets(address.query)]
        basic = base64.b64encode(f"{user}:{password}".encode()).decode() if user or password else ""
        return cls(tuple(dict.fromkeys(one for one in (*known, basic) if len(one) >= _SHORTEST)))

    def out_of(self, text: str) -> str:
        """The text with ``***`` in the place of every secret, and of what looks like anybody's key."""
        found = self._pattern.sub(HIDDEN, text) if self._may_be_in(text) else text
        return _KEY_LIKE.sub(HIDDEN, found)

    def _may_be_in(self, text: str) -> bool:
        """Whether a secret stands in the text, or in what it is an escape of; quick, for most have none."""
        looked_for = [one for value in self.values for one in (value, *_within_base64(value))]
        bare = {one.replace("\\", "") for one in looked_for}
        return any(one in form for form in unescaped(text) for one in bare)

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        exact = ["".join(map(_escaped, value)) for value in self.values]
        encoded = ["".join(map(_escaped, one)) for value in self.values for one in _within_base64(value)]
        return re.compile("|".join([*exact, *encoded]))


def well_formed(text: str) -> str:
    """The text with U+FFFD for every half of a surrogate pair, which no file can hold."""
    return _LONE.sub("\N{REPLACEMENT CHARACTER}", text)


def unescaped(text: str) -> Iterator[str]:
    """A text, and what it may be an escape of, without any backslash."""
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
    """What a secret makes of base64 at any place in it, without the letters that its neighbours share.

    Base64 takes three bytes at a time, so that what stands before shifts it.
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
    """A pattern of a character as it is, behind backslashes, as %XX or as a Unicode escape."""
    plain = r"\\{0,4}" + re.escape(letter)
    percent = "".join(
        f"%(?:25){{0,{_TIMES}}}{_either(f'{byte:02x}')}" for byte in letter.encode("utf-8", "surrogatepass")
    )
    units = letter.encode("utf-16-be", "surrogatepass").hex()
    escape = "".join(r"\\{1,4}u" + _either(units[i : i + 4]) for i in range(0, len(units), 4))
    return f"(?:{plain}|{percent}|{escape})"


def _either(digits: str) -> str:
    """Hexadecimal digits, small or capital."""
    return "".join(one if one.isdigit() else f"[{one}{one.upper()}]" for one in digits)
