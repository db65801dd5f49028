"""One static page that says what this server is, what it serves and how to point clients at it.

It is served without authentication, so nothing of any account is on it. It has no scripts and loads nothing, and its
Content-Security-Policy holds it to that: the only style that may apply is the one with the policy's hash.
"""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from html import escape
from importlib.resources import files
from string import Template


@dataclass(frozen=True, slots=True)
class Page:
    """A page.

    Attributes:
        html: The document.
        headers: What must be sent with it, by name.
    """

    html: str
    headers: Mapping[str, str]


def render_page(*, version: str, region: str, operations: Mapping[str, Sequence[str]]) -> Page:
    """Render the page.

    Args:
        version: Of this server.
        region: The region that requests must be signed for.
        operations: Names of the operations served, by the title of their service.
    """
    style = _read("page.css")
    html = Template(_read("page.html")).substitute(
        version=escape(version), region=escape(region), style=style, operations=_sections(operations)
    )
    return Page(html, _headers(style))


def _sections(operations: Mapping[str, Sequence[str]]) -> str:
    if not operations:
        return "<p>None.</p>"
    return "\n".join(f"<h3>{escape(title)}</h3>\n{_items(names)}" for title, names in operations.items())


def _items(names: Sequence[str]) -> str:
    return "\n".join(["<ul>", *(f"<li><code>{escape(name)}</code></li>" for name in names), "</ul>"])


def _headers(style: str) -> dict[str, str]:
    digest = b64encode(sha256(style.encode()).digest()).decode()
    return {
        "content-security-policy": f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'",
        "x-content-type-options": "nosniff",
        "referrer-policy": "no-referrer",
        "cache-control": "no-cache",
    }


def _read(name: str) -> str:
    return files(__package__).joinpath(name).read_text("utf-8")
