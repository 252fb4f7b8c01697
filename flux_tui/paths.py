"""Where a path argument or a typed path becomes an absolute path.

The shell has expanded what its user wanted expanded, so a path on the command line is literal: a name that
begins with a tilde is a name. At a prompt of the dashboard and in the environment nobody has expanded
anything, so there `~/` stands for the user's own folder, and nothing else does.
"""

import os
import pwd
from pathlib import Path

NO_FOLDER = "you have no folder of your own: HOME is not set, and the list of users names none for you"


class PathError(ValueError):
    """A path that cannot be made absolute: one sentence for a person."""


def literal_path(text: str | Path) -> Path:
    """The absolute path that a program was given. Raises PathError."""
    path = Path(text)
    return path if path.is_absolute() else working_folder() / path


def typed_path(text: str, folder: Path) -> Path:
    """The absolute path that a person typed, from `folder` on; `~/` is the user's own folder. Raises PathError."""
    return user_folder() / text[2:].lstrip("/") if text.startswith("~/") else folder / text


def working_folder() -> Path:
    """The folder that this process works in. Raises PathError if somebody has removed it."""
    try:
        return Path.cwd()
    except OSError:
        raise PathError(
            "the folder that you are in is gone: go to another one, or give whole paths"
        ) from None


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
