"""Turns a path argument, a typed path or a dropped file into an absolute path.

A path on the command line is literal, because the shell has already expanded it: a tilde is part of the name.
At a prompt of the dashboard and in the environment, nothing has been expanded. There `~/` stands for the
user's own folder, and nothing else is expanded.
"""

import errno
import os
import pwd
import shlex
import socket
from pathlib import Path

from flux_tui.core.errors import FluxError
from flux_tui.core.ids import is_text

NO_FOLDER = "you have no folder of your own: HOME is not set, and the list of users names none for you"


GONE = "the folder that you are in is gone: go to another one, or give whole paths"
NOT_UTF_8 = "is not UTF-8: rename it to share it"


class PathError(FluxError, ValueError):
    """A path cannot be used.

    The error is one sentence for a person; it begins with the path, if one was given.
    """

    def __init__(self, problem: str, path: str | Path = "") -> None:
        super().__init__(f"{path} {problem}" if str(path) else problem)
        self.unnamed = f"that {problem}" if str(path) else problem
        """The sentence without the path, for an audience."""


def literal_path(text: str | Path) -> Path:
    """Return the absolute path for a path from the command line, where nothing is expanded. Raises PathError."""
    path = Path(text)
    return path if path.is_absolute() else working_folder() / path


def typed_path(text: str, folder: Path | None) -> Path:
    """Return the absolute path for a path that a person typed, relative to `folder`.

    `~/` is the user's own folder. `folder` is None if it no longer exists: then a relative path raises
    PathError. PathError is raised, too, if the user's own folder is not known.
    """
    if text.startswith("~/"):
        return user_folder() / text[2:].lstrip("/")
    if folder is None and not text.startswith("/"):
        raise PathError(GONE)
    return Path(text) if folder is None else folder / text


def typed_paths(text: str, folder: Path | None) -> list[Path]:
    """Return the absolute paths that a person typed, or dropped on the terminal. Raises PathError.

    If the whole text is the path of something that exists, the result is that path alone. Otherwise the text
    is split as in `dropped_words`. A relative path starts at `folder`. If that is None, the folder no longer
    exists, and a relative path raises PathError.
    """
    text = text.rstrip("\r\n")
    for literal in (text, text.strip()):
        if folder is not None or literal.startswith(("/", "~/")):
            path = typed_path(literal, folder)
            if exists_at(path, too_long=False):
                return [path]
    return [typed_path(word, folder) for word in dropped_words(text.strip())]


def dropped_words(text: str) -> list[str]:
    r"""Return the paths in a text that was dropped on a terminal or copied in a file manager. Raises PathError.

    The forms are `'/a b'`, `/a\ b` and `file:///a%20b`, one or several. In any other text, each line that is
    not blank is one path, unchanged.
    """
    if "file://" in text:
        return [path_of_url(word.strip("'\"<>")) for word in text.split()]
    if text[:1] in ("'", '"') or "\\" in text:
        return _split(text) or [text]
    return [line for line in text.replace("\r", "\n").split("\n") if line.strip()] or [text]


def _split(text: str) -> list[str]:
    try:
        return shlex.split(text)
    except ValueError:
        return [text]


def path_of_url(word: str) -> str:
    """Return the path in a `file://` URL of this machine, and any other text unchanged. Raises PathError."""
    if not word.startswith("file://"):
        return word
    from urllib.parse import unquote_to_bytes, urlsplit  # only here: it is slow to import

    try:
        parts = urlsplit(word, allow_fragments=False)
    except ValueError:
        raise PathError("is not an address of a file", word) from None
    if parts.netloc not in ("", "localhost", socket.gethostname()):
        raise PathError(f"is on another machine: {parts.netloc}", word)
    query = f"?{parts.query}" if parts.query else ""
    return os.fsdecode(unquote_to_bytes(os.fsencode(parts.path + query)))


def exists_at(path: Path, *, follow: bool = True, too_long: bool = True) -> bool:
    """Return whether a file, folder or anything else exists at a path.

    `follow`: of a link, look at the target; otherwise at the link itself. Raises PathError if this cannot be
    known: this process has no permission to look there, or the path is not valid. `too_long`: a path that is
    too long raises as well; otherwise the result is False.
    """
    try:
        path.stat(follow_symlinks=follow)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except ValueError:
        raise PathError("is not a path: it has a character that no name can have", path) from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG and not too_long:
            return False
        raise PathError(f"cannot be used: {(error.strerror or str(error)).lower()}", path) from None
    return True


def to_share(path: Path) -> Path:
    """Return the path unchanged, if something exists there and the path is valid UTF-8. Raises PathError if not."""
    if not exists_at(path):
        raise PathError("does not exist", path)
    if not is_text(str(path)):
        raise PathError(NOT_UTF_8, path)
    return path


def folder_here() -> Path | None:
    """Return the working folder of this process.

    None: it was deleted, or this process has no permission to look there.
    """
    try:
        found = Path.cwd()
    except OSError:
        return None
    return found if found.is_absolute() else None


def working_folder() -> Path:
    """Return the working folder of this process.

    Raises PathError if it was deleted, or if this process has no permission to look there.
    """
    if (found := folder_here()) is None:
        raise PathError(GONE)
    return found


def user_folder() -> Path:
    """Return the user's own folder, from HOME or the list of users. Raises PathError if neither names one."""
    named = os.environ.get("HOME")
    if not named:
        try:
            named = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            named = ""
    if not named.startswith("/"):
        raise PathError(NO_FOLDER)
    return Path(named)
