"""The page's style sheet and script, and the policy that lets no others count."""

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
    """All parts of the script in one scope of their own."""
    parts = [_asset(environment, f"script/{name}.js") for name in _SCRIPTS]
    return Markup('(() => {\n"use strict";\n') + Markup("").join(parts) + Markup("})();\n")


def policy(style: str, script: str) -> str:
    """No style or script counts but the page's own, and the scripts that the latter asks for.

    That is what 'strict-dynamic' means. It holds for a page opened from a file too, where browsers don't
    agree on what 'self' is, and unlike 'self' it refuses every script that the page's text might bring in.
    """
    scripts = f"{_hash(script)} 'strict-dynamic'"
    allowed = {"style-src": _hash(style), "script-src": scripts, "img-src": "data:"}
    rules = "; ".join(f"{kind} {source}" for kind, source in allowed.items())
    return f"default-src 'none'; {rules}; base-uri 'none'; form-action 'none'"


def _hash(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"


def _asset(environment: Environment, name: str) -> Markup:
    """Our own style or script, as it is."""
    assert environment.loader is not None
    return Markup(environment.loader.get_source(environment, name)[0])
