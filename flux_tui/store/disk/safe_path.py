"""Opens files inside an object's folder safely, although a stranger chose their names.

Each folder on the way is opened relative to the one above it, and never through a symbolic link. So nothing
outside of the object's folder can be created, changed or read, whatever somebody puts there meanwhile. The
path of the object's folder itself is the user's choice, and may have links. This costs some 2 µs for each
folder on the way (measured), which is little beside a write.
"""

import contextlib
import errno
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

from flux_tui.regular_files import open_regular
from flux_tui.store.database import ImpossibleError, StoreError

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_IN_THE_WAY = (errno.ELOOP, errno.ENOTDIR, errno.EMLINK)
"""The errors of systems where O_NOFOLLOW met a link, or a folder was expected."""

T = TypeVar("T")


class Inside(NamedTuple):
    """A file or folder inside the object at `base`, by its relative path `rel` (empty: the object itself)."""

    base: Path
    rel: str

    @property
    def path(self) -> Path:
        """The whole path. Use it only in messages, and for files that belong to the user already."""
        return self.base / self.rel if self.rel else self.base

    def open(self, flags: int, *, make: bool = False) -> int:
        """Open this file and return its descriptor. `flags`: those of `os.open`.

        `make`: create the folders above it. Raises StoreError, OSError.
        """
        flags |= os.O_NOFOLLOW | os.O_CLOEXEC
        if not self.rel:
            return self._with_path_in_errors(lambda: open_regular(self.base, flags))
        return self._at(make, lambda folder, name: open_regular(name, flags, dir_fd=folder))

    def make_folder(self) -> os.stat_result | None:
        """Create this folder and those above it, unless they exist.

        Return its stat; None: it was not there before, so nothing else leads to it. Raises StoreError, OSError.
        """
        if not self.rel:
            return self._with_path_in_errors(lambda: _new_folder(self.base, None))
        return self._at(True, lambda above, name: _new_folder(name, above))

    def stat(self) -> os.stat_result:
        """Return the stat of this file or folder; for a link, the stat of the link itself.

        Raises StoreError, OSError.
        """
        if not self.rel:
            return os.lstat(self.base)
        return self._at(False, lambda folder, name: os.stat(name, dir_fd=folder, follow_symlinks=False))

    def chmod(self, mode: int, *, folder: bool) -> None:
        """Set the permissions of this file, or of this folder if `folder` is true.

        Do nothing if the file system has no permissions. Raises StoreError, OSError.
        """
        if not folder:
            descriptor = self.open(os.O_RDONLY)
        elif not self.rel:
            descriptor = self._with_path_in_errors(lambda: _folder(self.base, None, make=False))
        else:
            descriptor = self._at(False, lambda above, name: _folder(name, above, make=False))
        try:
            inherited = os.fstat(descriptor).st_mode & stat.S_ISGID if folder else 0
            os.fchmod(descriptor, mode | inherited)
        except OSError as error:
            if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EINVAL):
                raise
        finally:
            os.close(descriptor)

    def make_link(self, target: str) -> bool:
        """Make a symbolic link at this path, once all files are in place. Return whether it is there now.

        False: something else has this path. Raises StoreError, OSError.
        """

        def make(folder: int, name: str) -> bool:
            try:
                os.symlink(target, name, dir_fd=folder)
            except FileExistsError:
                try:
                    return os.readlink(name, dir_fd=folder) == target
                except OSError:
                    return False
            return True

        return self._at(True, make)

    def _at(self, make: bool, act: Callable[[int, str], T]) -> T:
        *above, name = parts_of(self.rel)
        return self._with_path_in_errors(lambda: self._walk(above, name, make, act))

    def _walk(self, above: list[str], name: str, make: bool, act: Callable[[int, str], T]) -> T:
        folder = open_folder(self.base, above, make=make)
        try:
            return act(folder, name)
        finally:
            os.close(folder)

    def _with_path_in_errors(self, act: Callable[[], T]) -> T:
        """Run `act` and return its result. An OSError that `act` raises gets the whole path.

        Raises StoreError instead if a file or link is where a folder should be.
        """
        try:
            return act()
        except OSError as error:
            self.explain(error)
            raise

    def explain(self, error: OSError) -> None:
        """Give an error about this file the whole path.

        Raises StoreError instead if a file or link is where a folder should be.
        """
        if error.errno in _IN_THE_WAY:
            raise StoreError(
                f"{self.path} cannot be written: something on its way is not a folder, but a file or a link"
            ) from error
        error.filename = str(self.path)


class OpenFolder:
    """Opens many files of the object at `base`, and keeps the folder of the last one open.

    So the next file of the same folder costs one system call instead of three or more. Use it for a moment only, in
    a `with` block: the folder could be moved meanwhile.
    """

    def __init__(self, base: Path) -> None:
        self._base = base
        self._folder = -1
        self._above: str | None = None
        """The relative path of the open folder; None: none is open."""

    def __enter__(self) -> "OpenFolder":
        """Enter the `with` block. No folder is open yet."""
        return self

    def __exit__(self, *_: object) -> None:
        self._close()

    def _close(self) -> None:
        if self._above is not None:
            os.close(self._folder)
            self._above = None

    def open(self, rel: str, flags: int) -> int:
        """Open a file and return its descriptor. `flags`: those of `os.open`. Raises StoreError, OSError.

        Folders above it that do not exist are created.
        """
        if not rel:
            return Inside(self._base, rel).open(flags, make=True)
        try:
            name = self._enter(rel)
            return open_regular(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self._folder)
        except OSError as error:
            Inside(self._base, rel).explain(error)
            raise

    def create(self, rel: str, size: int) -> bool:
        """Create a file of `size` bytes, which are a hole, and the folders above it. Raises StoreError, OSError.

        Return False if there is something at its path already, and then do nothing.
        """
        try:
            if rel:
                descriptor = os.open(self._enter(rel), _NEW_FILE, 0o666, dir_fd=self._folder)
            else:
                descriptor = os.open(self._base, _NEW_FILE, 0o666)
        except FileExistsError:
            return False
        except OSError as error:
            Inside(self._base, rel).explain(error)
            raise
        try:
            if size:
                os.ftruncate(descriptor, size)
        finally:
            os.close(descriptor)
        return True

    def _enter(self, rel: str) -> str:
        """Open the folder of a file, unless it is open. Return the file's name in it. Raises StoreError, OSError."""
        above, _, name = rel.rpartition("/")
        if above != self._above or name in ("", ".", "..") or "\0" in name:
            *folders, name = parts_of(rel)
            self._close()
            self._folder = open_folder(self._base, folders)
            self._above = above
        return name


def open_folder(base: Path, names: Iterable[str], *, make: bool = True) -> int:
    """Open the folder with this path inside the object at `base`, step by step. Return its descriptor.

    `make`: create folders that do not exist. Raises OSError.
    """
    folder = _folder(base, None, make=make)
    try:
        for name in names:
            deeper = _folder(name, folder, make=make)
            os.close(folder)
            folder = deeper
    except BaseException:
        os.close(folder)
        raise
    return folder


def _new_folder(name: str | Path, above: int | None) -> os.stat_result | None:
    """Create a folder. If it exists, return its stat. Raises OSError."""
    try:
        os.mkdir(name, dir_fd=above)
    except FileExistsError:
        folder = _folder(name, above, make=False)
    else:
        return None
    try:
        return os.fstat(folder)
    finally:
        os.close(folder)


def _folder(name: str | Path, above: int | None, *, make: bool) -> int:
    if make:
        try:
            return os.open(name, _FOLDER, dir_fd=above)
        except FileNotFoundError:
            with contextlib.suppress(FileExistsError):  # another thread made it just now
                os.mkdir(name, dir_fd=above)
    return os.open(name, _FOLDER, dir_fd=above)


def parts_of(rel: str) -> list[str]:
    """Return the names in a relative path inside an object.

    Raises StoreError for a path that would leave the object.
    """
    # As PurePosixPath has it, in a quarter of the time: this runs three times for each file of an object.
    names = [name for name in rel.split("/") if name not in ("", ".")]
    if rel.startswith("/") or not names or ".." in names or "\0" in rel:
        raise ImpossibleError(f"the object has a path that leads out of its folder: {rel!r}")
    return names
