"""MIME types of files: by their names, else by their first bytes."""

from mimetypes import MimeTypes

SNIFFED = 512
"""Bytes that are looked at."""
UNKNOWN = "application/octet-stream"
_BY_NAME = MimeTypes()  # Python's own table, not that of this machine
for _suffix, _type in {
    ".mkv": "video/x-matroska", ".webm": "video/webm", ".mp4": "video/mp4", ".m4a": "audio/mp4", ".opus": "audio/ogg",
    ".ogg": "audio/ogg", ".ogv": "video/ogg", ".flac": "audio/flac", ".wasm": "application/wasm", ".md": "text/plain",
    ".avif": "image/avif", ".webp": "image/webp", ".svg": "image/svg+xml", ".js": "text/javascript",
    ".mjs": "text/javascript", ".json": "application/json", ".car": "application/vnd.ipld.car", ".vtt": "text/vtt",
    ".woff2": "font/woff2", ".toml": "text/plain", ".log": "text/plain",
}.items():  # fmt: skip
    _BY_NAME.add_type(_type, _suffix)
_BY_START = (
    (b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"GIF87a", "image/gif"),
    (b"GIF89a", "image/gif"), (b"%PDF-", "application/pdf"), (b"\x1aE\xdf\xa3", "video/webm"), (b"OggS", "audio/ogg"),
    (b"ID3", "audio/mpeg"), (b"fLaC", "audio/flac"), (b"PK\x03\x04", "application/zip"),
    (b"\x1f\x8b", "application/gzip"),
)  # fmt: skip


def content_type(name: str | None, start: bytes | None = None) -> str | None:
    """Return the `Content-Type` of a file. None: its name does not say it, and no bytes of it were given.

    `start`: its first SNIFFED bytes; for an empty file, none.
    """
    if name is not None and (found := _BY_NAME.guess_type(f"/{name}")) != (None, None):
        kind, packed = found
        return _with_charset(kind) if packed is None and kind is not None else UNKNOWN
    return None if start is None else _with_charset(_sniff(start))


def _sniff(start: bytes) -> str:
    for magic, kind in _BY_START:
        if start.startswith(magic):
            return kind
    if start[4:8] == b"ftyp":
        return "video/mp4"
    if start[:4] == b"RIFF" and start[8:12] == b"WEBP":
        return "image/webp"
    head = start.lstrip()[:15].lower()
    if head.startswith((b"<!doctype html", b"<html")):
        return "text/html"
    try:
        start[: max(0, len(start) - 3)].decode()  # a character may be cut at the end
    except UnicodeDecodeError:
        return UNKNOWN
    return UNKNOWN if b"\0" in start else "text/plain"


def _with_charset(kind: str) -> str:
    return f"{kind}; charset=utf-8" if kind.startswith("text/") or kind == "application/json" else kind
