"""Where a path argument, a typed path or a dropped file becomes an absolute path.

The shell has expanded what its user wanted expanded, so a path on the command line is literal: a name that
begins with a tilde is a name. At a prompt of the dashboard and in the environment nobody has expanded
anything, so there `~/` stands for the user's own folder, and nothing else does.
"""

import errno
import os
import pwd
import shlex
import socket
from pathlib import Path

from flux_tui.core.ids import is_text

NO_FOLDER = "you have no folder of your own: HOME is not set, and the list of users names none for you"


GONE = "the folder that you are in is gone: go to another one, or give whole paths"
NOT_UTF_8 = "is not UTF-8: rename it to share it"


class PathError(ValueError):
    """A path that cannot be used: one sentence for a person."""

    def __init__(self, sentence: str, path: str | Path = "") -> None:
        super().__init__(sentence)
        self.unnamed = sentence.replace(str(path), "that") if str(path) else sentence
        """The sentence without the path, for an audience."""


def literal_path(text: str | Path) -> Path:
    """The absolute path that a program was given. Raises PathError."""
    path = Path(text)
    return path if path.is_absolute() else working_folder() / path


def typed_path(text: str, folder: Path | None) -> Path:
    """The absolute path that a person typed, from `folder` on (None: it is gone); `~/` is the user's own folder.
    Raises PathError."""
    if text.startswith("~/"):
        return user_folder() / text[2:].lstrip("/")
    if folder is None and not text.startswith("/"):
        raise PathError(GONE)
    return Path(text) if folder is None else folder / text


def typed_paths(text: str, folder: Path | None) -> list[Path]:
    """The paths that a person typed, or dropped on the terminal: what stands there by this very name, or else what
    the words of a file manager mean. Raises PathError."""
    text = text.rstrip("\r\n")
    for literal in (text, text.strip()):
        if folder is not None or literal.startswith(("/", "~/")):
            path = typed_path(literal, folder)
            if stands_at(path, too_long=False):
                return [path]
    return [typed_path(word, folder) for word in dropped_words(text.strip())]


def dropped_words(text: str) -> list[str]:
    """What files become that are dropped on a terminal, or copied in a file manager: `'/a b'`, `/a\\ b`, or
    `file:///a%20b`, one or several; any other text is one path as it is. Raises PathError."""
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
    """The path of a `file://` address of this machine; anything else as it is. Raises PathError."""
    if not word.startswith("file://"):
        return word
    from urllib.parse import unquote_to_bytes, urlsplit  # only here: it takes long to import

    try:
        parts = urlsplit(word, allow_fragments=False)
    except ValueError:
        raise PathError(f"{word} is no address of a file", word) from None
    if parts.netloc not in ("", "localhost", socket.gethostname()):
        raise PathError(f"{word} is on another machine: {parts.netloc}", word)
    query = f"?{parts.query}" if parts.query else ""
    return os.fsdecode(unquote_to_bytes(os.fsencode(parts.path + query)))


def stands_at(path: Path, *, follow: bool = True, too_long: bool = True) -> bool:
    """Whether there is anything at a path (`follow`: where a link leads). Raises PathError where that cannot be known:
    it may not be looked at, or no path can be like this (`too_long`: also if it is too long for one)."""
    try:
        path.stat(follow_symlinks=follow)
    except (FileNotFoundError, NotADirectoryError):
        return False
    except ValueError:
        raise PathError(f"{path} is no path: it has a character that no name can have", path) from None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG and not too_long:
            return False
        raise PathError(f"{path} cannot be used: {(error.strerror or str(error)).lower()}", path) from None
    return True


def to_share(path: Path) -> Path:
    """The path, if there is something at it that can be shared. Raises PathError."""
    if not stands_at(path):
        raise PathError(f"{path} does not exist", path)
    if not is_text(str(path)):
        raise PathError(f"{path} {NOT_UTF_8}", path)
    return path


def folder_here() -> Path | None:
    """The folder that this process works in; None: it is gone, or cannot be looked at."""
    try:
        found = Path.cwd()
    except OSError:
        return None
    return found if found.is_absolute() else None


def working_folder() -> Path:
    """The same. Raises PathError if it is gone."""
    if (found := folder_here()) is None:
        raise PathError(GONE)
    return found


def user_folder() -> Path:
    """The user's own folder, by HOME or by the list of users. Raises PathError if neither names one."""
    named = os.environ.get("HOME")
    if not named:
        try:
            named = pwd.getpwuid(os.getuid()).pw_dir
        except KeyError:
            named = ""
    if not named.startswith("/"):
        raise PathError(NO_FOLDER)
    return Path(named)
