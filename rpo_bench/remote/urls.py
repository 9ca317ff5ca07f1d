"""Server addresses whose stored and printed form has no secrets."""

import os
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import parse_qsl, unquote, urlsplit

from rpo_bench.errors import UserError, first_line

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler
    from pydantic_core import CoreSchema

_SCHEME = re.compile(r"\s*[A-Za-z][A-Za-z0-9+.-]*://")
_IN_TEXT = re.compile(r"\b[A-Za-z][A-Za-z0-9+.-]*:(?:/|\\/){2}[^\s\"'<>]+")
# A URL that was normalised as a path.
_ONE_SLASH = re.compile(
    r"\b([A-Za-z][A-Za-z0-9+.-]+:/)[^\s\"'<>@/:]{1,99}:[^\s\"'<>@/]{1,99}@"
)  # made a path
_NO_SCHEME = re.compile(
    r"(?<![\w/.:@%+-])[^\s\"'<>@/,=:]{1,99}:[^\s\"'<>@/,]{1,99}@(?=[\w.-]+(?::\d+)?/|localhost\b)"
)
_SECRET_NAME = re.compile(
    r"key|token|secret|passw|pwd|auth|sig(?:nature)?$|cred|session|jwt|^(?:sas|code|pass|pat)$", re.IGNORECASE
)
_RANDOM = re.compile(r"(?=[^\d]*\d)(?=[^A-Za-z]*[A-Za-z])[\w.~+/=-]{20,}")
#: Characters that begin a query, or parameters that some servers read as one.
_BEHIND = re.compile(r"[?#;]|%3f|%23|%3b", re.IGNORECASE)
_LONGEST_HOST, _LONGEST_LABEL = 253, 63


class Address(str):
    """An address whose text has no user info, query or fragment; ``whole`` has all parts.

    As a string it compares, hashes, prints and serialises without secrets, so no identity depends on them.
    Text that looks like a host but may be part of a password, as in ``user:a@b@host``, counts as password.

    Attributes:
        whole: The full address, only for sending requests.
    """

    __slots__ = ("whole",)
    whole: str

    def __new__(cls, given: str) -> Self:
        """Makes an address from another address or any text; see ``checked``."""
        whole = given.whole if isinstance(given, Address) else given
        found = super().__new__(cls, _shown(whole))
        found.whole = whole
        return found

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        return type(self), (self.whole,)

    @property
    def user_info(self) -> tuple[str, str] | None:
        """User and password, decoded; None without them."""
        parts = urlsplit(self.whole)
        if parts.username is None:
            return None
        return unquote(parts.username), unquote(parts.password or "")

    @property
    def query(self) -> str:
        """The part between ? and #."""
        return urlsplit(self.whole).query

    def checked(self, flag: str) -> Self:
        """The address, if it is a valid server address.

        Args:
            flag: The flag that gave it, for the message.

        Raises:
            UserError: it is invalid; the message doesn't repeat its secrets.
        """
        problem = _problem(self.whole)
        if problem is not None:
            raise UserError(f"{flag} {self}: {problem}.")
        return self

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: "GetCoreSchemaHandler") -> "CoreSchema":
        from pydantic_core import core_schema

        def read(value: Any, of_text: Callable[[Any], str]) -> "Address":
            return value if isinstance(value, cls) else cls(of_text(value))

        return core_schema.no_info_wrap_validator_function(read, core_schema.str_schema())


def api_key(variable: str) -> str | None:
    """The key in an environment variable; None if unset.

    Raises:
        UserError: It can't be sent in a header.
    """
    key = os.environ.get(variable, "").strip() or None
    if key is not None and not (key.isascii() and key.isprintable()):
        raise UserError(f"{variable} isn't a valid key: it has non-ASCII characters; set it again.")
    return key


def without_secrets(text: str) -> str:
    """A text in which all addresses are shown without secrets."""
    if not any(mark in text for mark in "@?#"):
        return text
    found = _IN_TEXT.sub(lambda match: _shown_in_text(match[0]), text)
    found = _ONE_SLASH.sub(r"\1", found) if "@" in found else found
    return _NO_SCHEME.sub("", found) if "@" in found else found


def error_line(error: object) -> str:
    """``first_line`` of a text with addresses, whose secrets are removed before the line is cut."""
    return first_line(without_secrets(str(error).strip() or type(error).__name__))


def token_like(name: str, value: str) -> bool:
    """Whether a query parameter is probably a secret, by its name or its randomness."""
    return _SECRET_NAME.search(name) is not None or _RANDOM.fullmatch(value) is not None


def query_secrets(query: str) -> list[str]:
    """The values of a query that are probably secrets, decoded."""
    pairs = parse_qsl(query.replace(";", "&"), keep_blank_values=False)  # some servers split at both
    return [value for name, value in pairs if token_like(name, value)]


def _shown(whole: str) -> str:
    """Removes everything up to the last @, and everything from the first ? or # after it."""
    scheme = _SCHEME.match(whole)
    start = "" if scheme is None else scheme[0].strip()
    rest = whole[0 if scheme is None else scheme.end() :].rpartition("@")[2]
    return start + _BEHIND.split(rest, maxsplit=1)[0].strip().rstrip("/")


def _shown_in_text(found: str) -> str:
    """An address within a text; non-secret parts are kept, as the text may be about them."""
    plain = found.replace("\\/", "/")
    behind = re.split(r"[?#]", plain, maxsplit=1)[1:]
    stays = "@" not in plain and not query_secrets("&".join(behind).replace("#", "&"))
    return found if stays else _shown(plain)


def _problem(whole: str) -> str | None:
    """Why an address is invalid; None if it is valid."""
    if any(not letter.isprintable() or letter.isspace() for letter in whole):
        return "it has a space or an invisible character: remove that"
    if not whole.lower().startswith(("http://", "https://")):
        return "it must begin with http:// or https://"
    try:
        parts = urlsplit(whole)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        return "it isn't an address, such as http://localhost:8000/v1"
    if "@" in parts.path + parts.query + parts.fragment:
        return "it has an @ after its host: in a password write %40 for @, %2F for / and %3F for ?"
    if _BEHIND.search(parts.path):
        return "it has a ; or an escaped ?, # or ; in its path: give parameters after a ?"
    return _host_problem(host)


def _host_problem(host: str) -> str | None:
    if not host:
        return "it has no host, such as localhost:8000"
    try:
        ascii_host = host if ":" in host else host.encode("idna").decode()
    except UnicodeError:
        return "its host is invalid: a part of it is empty, too long or has invalid characters"
    if len(ascii_host) > _LONGEST_HOST or any(len(one) > _LONGEST_LABEL for one in ascii_host.split(".")):
        return f"its host is longer than {_LONGEST_HOST} characters"
    return None
