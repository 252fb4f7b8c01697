"""The HTML of the gateway: the page of a folder, and of an error. All text of others is escaped."""

from collections.abc import Iterator, Sequence
from html import escape
from urllib.parse import quote

from flux_tui.core.content.path_walk import FolderItem
from flux_tui.core.ids import Cid, is_leaf
from flux_tui.core.text.plain import plain
from flux_tui.core.text.quantities import human_size

ROWS_AT_ONCE = 500
_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color-scheme:light dark}"
    "table{border-collapse:collapse;width:100%}td{padding:.15rem .6rem;border-top:1px solid #8884}"
    "td:last-child{text-align:right;white-space:nowrap}h1{font-size:1.2rem;overflow-wrap:anywhere}"
    "code{overflow-wrap:anywhere}"
)
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
"""The Content-Security-Policy of the gateway's own pages: they have no script."""
SANDBOX = "sandbox; script-src 'none'; object-src 'none'; base-uri 'none'; form-action 'none'"
"""The same of content: no script of it runs, and it has no origin, so it cannot read what else the gateway has."""
MEDIA = (
    "default-src 'none'; media-src 'self'; img-src 'self' data:; style-src 'unsafe-inline'; base-uri 'none'"
)
"""The same of films, sound and pictures. They have no script. Chromium plays no film in a sandbox: its own page of a
film loads it by CORS, which an answer to a page without an origin would have to allow to every page."""


def content_policy(kind: str) -> str:
    """Return the Content-Security-Policy of content. `kind`: its `Content-Type`."""
    is_media = kind.startswith(("video/", "audio/", "image/")) and "xml" not in kind
    return MEDIA if is_media else SANDBOX


def folder_page(root: Cid, names: Sequence[str], items: Sequence[FolderItem]) -> Iterator[bytes]:
    """Yield the page of a folder, in parts. Links are relative, so the address has to end in a slash."""
    shown = "/".join((root, *names))
    yield _begin(f"{shown}/")
    yield b"<table>"
    if names:
        yield b'<tr><td><a href="../">..</a></td><td></td></tr>'
    for at in range(0, len(items), ROWS_AT_ONCE):
        yield "".join(map(_row, items[at : at + ROWS_AT_ONCE])).encode()
    yield f"</table><p>{len(items):,} names</p></body></html>".encode()


def error_page(status: int, sentence: str) -> bytes:
    """Return the page of an error."""
    return _begin(str(status)) + f"<p>{escape(plain(sentence))}</p></body></html>".encode()


def _row(item: FolderItem) -> str:
    # `./` before it: a name with a colon would be an address of its own.
    link = "./" + quote(item.name, safe="")
    kind = "" if is_leaf(item.cid) else f' title="{item.cid}"'
    size = human_size(item.tsize)
    return f'<tr{kind}><td><a href="{link}">{escape(plain(item.name))}</a></td><td>{size}</td></tr>'


def _begin(title: str) -> bytes:
    shown = escape(plain(title))
    return (
        '<!doctype html><html><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">'
        f"<title>{shown}</title><style>{_STYLE}</style></head><body><h1>{shown}</h1>"
    ).encode()
