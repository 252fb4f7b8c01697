"""Click types for arguments: paths, places for output, and standard input."""

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

import click
from typing_extensions import override

from flux_tui.core.text.quantities import human_size

MAX_INPUT = 64 * 1024 * 1024
"""The most bytes read from standard input: enough for a million CIDs."""


class PathType(click.Path):
    """A Click type: a path, exactly as it was typed. A path with a NUL character is an error.

    So is an empty path: it mostly comes from an unset variable.
    """

    def __init__(self) -> None:
        super().__init__(path_type=Path, readable=False)

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        text = os.fspath(value)
        if not text:
            self.fail("the path is empty", param, ctx)
        if "\0" in text:
            self.fail("a path cannot contain a NUL character", param, ctx)
        return Path(text)


class Stdin:
    """The argument `-`: standard input."""

    @override
    def __str__(self) -> str:
        return "-"


STDIN = Stdin()


class PathOrInputType(PathType):
    """A Click type: a path, or `-` for standard input (`STDIN`). A file of that name is `./-`."""

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value is STDIN or value == "-":
            return STDIN
        return super().convert(value, param, ctx)


class OutputType(PathType):
    """A Click type: a path to write to. `-` is an error, so that no file named `-` is written by mistake."""

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if value == "-":
            self.fail("the output cannot be standard output; ./- is a file of that name", param, ctx)
        return super().convert(value, param, ctx)


class Output(NamedTuple):
    """The path that a person gave for an output (`-o`)."""

    path: Path
    folder: bool
    """Whether the path has to be a folder, because it ends in a slash: `new/`."""
    stdout: bool = False
    """Whether it is `-`: standard output."""


class OutputOrFolderType(OutputType):
    """A Click type: a path to write to (an `Output`), or `-`. If it ends in `/`, `/.` or `/..`, it must be a folder."""

    @override
    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if isinstance(value, Output):
            return value
        if value == "-":
            return Output(Path("-"), folder=False, stdout=True)
        return Output(super().convert(value, param, ctx), os.fspath(value).endswith(("/", "/.", "/..")))


class InputError(Exception):
    """Standard input cannot be read. The message is one sentence for a person."""


def text_of_input() -> str:
    """Read all of standard input as text. Bytes that are not UTF-8 become replacement characters.

    Raises InputError as `bytes_of_input` does.
    """
    return bytes_of_input().decode(errors="replace")


def bytes_of_input() -> bytes:
    """Read all of standard input.

    Raises InputError if standard input is closed, cannot be read, or has more than MAX_INPUT bytes.
    """
    if sys.stdin is None:
        raise InputError("there is nothing on standard input: it is closed")
    try:
        stream = getattr(sys.stdin, "buffer", None)
        found: bytes = stream.read(MAX_INPUT + 1) if stream else sys.stdin.read().encode()
    except OSError as error:
        raise InputError(f"standard input cannot be read: {(error.strerror or str(error)).lower()}") from None
    if len(found) > MAX_INPUT:
        raise InputError(f"there is more than {human_size(MAX_INPUT)} on standard input: push it in parts")
    return found
