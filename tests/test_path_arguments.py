"""Paths on the command line are literal; a path typed at a prompt may begin with `~/`."""

import os
import pwd
from pathlib import Path
from typing import NoReturn

import platformdirs
import pytest

from flux_tui.home import ENVIRONMENT, Home, HomeError, default_home
from flux_tui.path_arguments import PathError, literal_path, typed_path, user_folder, working_folder

NAMES = ["~", "~user", "~$plan.docx", "~/file", "~root/x", "./~", "a/~b"]


@pytest.mark.parametrize("name", NAMES)
def test_a_path_of_the_command_line_is_literal(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", "/somewhere/else")
    assert literal_path(name) == tmp_path / name
    assert literal_path(Path(name)) == tmp_path / name
    assert Home(name).path == tmp_path / name
    assert literal_path("/~x") == Path("/~x")


def test_a_typed_path_expands_the_users_own_folder_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    here = Path("/here")
    assert typed_path("~/file", here) == tmp_path / "file"
    assert typed_path("~//file", here) == tmp_path / "file"
    assert typed_path("~/", here) == tmp_path
    for name in ("~", "~root", "~$plan.docx", "a/~", "file"):
        assert typed_path(name, here) == here / name
    assert typed_path("/file", here) == Path("/file")


@pytest.fixture
def nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process without HOME, of a user who is not in the user database."""

    def unknown(uid: int) -> NoReturn:
        raise KeyError(uid)

    monkeypatch.setattr(pwd, "getpwuid", unknown)
    for name in ("HOME", "XDG_DATA_HOME", ENVIRONMENT):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.usefixtures("nobody")
def test_a_user_without_a_home_folder_gets_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(PathError, match="you have no folder of your own: HOME is not set"):
        user_folder()
    with pytest.raises(PathError, match="no folder of your own"):
        typed_path("~/x", Path("/here"))
    assert typed_path("~x", Path("/here")) == Path("/here/~x")
    with pytest.raises(HomeError, match=f"no folder of your own.*--home or {ENVIRONMENT}"):
        default_home()
    # Older versions of platformdirs return the tilde as it is.
    monkeypatch.setattr(platformdirs, "user_data_path", lambda *_, **__: Path("~/.local/share/flux-tui"))
    with pytest.raises(HomeError, match="no folder of your own"):
        default_home()
    monkeypatch.setenv("HOME", "")
    with pytest.raises(PathError, match="no folder of your own"):
        user_folder()
    monkeypatch.setenv(ENVIRONMENT, "/there")
    assert default_home() == Path("/there")


def test_the_home_folder_from_the_user_database(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HOME")
    assert user_folder() == Path(pwd.getpwuid(os.getuid()).pw_dir)


def test_a_working_folder_that_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    for look in (working_folder, lambda: literal_path("x"), lambda: Home("x")):
        with pytest.raises(PathError, match="the folder that you are in is gone: go to another one"):
            look()
    assert literal_path("/x") == Path("/x")
    assert Home("/x").path == Path("/x")


def test_the_sentence_without_the_path() -> None:
    error = PathError("does not exist", "/home/ada/that/that")
    assert str(error) == "/home/ada/that/that does not exist"
    assert error.unnamed == "that does not exist"
    assert PathError("the folder is gone").unnamed == str(PathError("the folder is gone"))
