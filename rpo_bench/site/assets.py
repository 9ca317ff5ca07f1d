"""The page's style sheet and script, and the content security policy that blocks any other."""

import base64
import hashlib

from jinja2 import Environment
from markupsafe import Markup

#: Parts of the style sheet and of the script, in their order.
_STYLES = ("style.css", "evidence.css", "drawer.css")
_SCRIPTS = (
    "core", "statistics", "state", "columns", "table", "export", "drawer", "card", "texts", "compare",
    "highlight", "main",
)  # fmt: skip


def style(environment: Environment) -> Markup:
    """All parts of the style sheet."""
    return Markup("").join(_asset(environment, name) for name in _STYLES)


def script(environment: Environment) -> Markup:
    """All parts of the script, in one scope."""
    parts = [_asset(environment, f"script/{name}.js") for name in _SCRIPTS]
    return Markup('(() => {\n"use strict";\n') + Markup("").join(parts) + Markup("})();\n")


def policy(style: str, script: str) -> str:
    """The content security policy: the page's own style and script, and scripts that the latter loads.

    'strict-dynamic' does this. Unlike 'self' it also works for a page opened from a file, where browsers
    disagree on what 'self' is, and it refuses every script that the page's text might inject.
    """
    scripts = f"{_hash(script)} 'strict-dynamic'"
    allowed = {"style-src": _hash(style), "script-src": scripts, "img-src": "data:"}
    rules = "; ".join(f"{kind} {source}" for kind, source in allowed.items())
    return f"default-src 'none'; {rules}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(environment: Environment, name: str) -> Markup:
    """One of our own styles or scripts, verbatim."""
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])
