"""The file of names: read, changed in one line, and never lost."""

from pathlib import Path

import pytest

from flux_tui.config import SettingsError
from flux_tui.core.ids import PeerId
from flux_tui.home import Home
from flux_tui.petnames import PetNames, with_name

ADA = PeerId("12D3KooWRbWdtYLpiVvvjCBkwHtCUkxBa8vueC51uoXvyqX99NmA")
BOB = PeerId("12D3KooWLKRNYALMCAzRmm6Ynp2jXJRTEykyaxxnzFGDz2ap5J4d")


@pytest.fixture
def home(tmp_path: Path) -> Home:
    return Home(tmp_path)


def test_a_name_is_written_and_read_again(home: Home) -> None:
    names = PetNames(home)
    assert dict(names) == {}
    assert names.rename(ADA, " ada's laptop ") == "ada's laptop"
    assert dict(names) == dict(PetNames(home)) == {ADA: "ada's laptop"}
    assert names.rename(ADA, 'ada "the" \\ 日本') == 'ada "the" \\ 日本'
    assert dict(PetNames(home)) == {ADA: 'ada "the" \\ 日本'}
    assert home.names.stat().st_mode & 0o777 == 0o600
    assert names.rename(ADA, "") == ""
    assert dict(PetNames(home)) == {}
    assert [path.name for path in home.path.iterdir()] == ["names.toml"], "no half of a file is left"


def test_comments_and_other_lines_stay(home: Home) -> None:
    written = f"# friends\n'{ADA}'='ada' # her laptop\n\n{BOB} = \"bob\""
    home.names.write_text(written)
    names = PetNames(home)
    assert dict(names) == {ADA: "ada", BOB: "bob"}
    names.rename(ADA, "ada2")
    assert home.names.read_text() == f'# friends\n"{ADA}" = "ada2"\n\n{BOB} = "bob"\n'
    names.rename(ADA, "")
    assert home.names.read_text() == f'# friends\n\n{BOB} = "bob"\n'


def test_what_another_program_wrote_meanwhile_stays(home: Home) -> None:
    first, second = PetNames(home), PetNames(home)
    first.rename(ADA, "ada")
    second.rename(BOB, "bob")
    assert dict(PetNames(home)) == dict(second) == {ADA: "ada", BOB: "bob"}


def test_two_peers_have_two_names(home: Home) -> None:
    names = PetNames(home)
    names.rename(ADA, "ada")
    with pytest.raises(ValueError, match="is the name of another peer"):
        names.rename(BOB, "Ada")
    names.rename(ADA, "ADA")
    assert dict(names) == {ADA: "ADA"}


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("= 1", "is not TOML"),
        ('ada = "12D3"', "is not a peer id"),
        (f"{ADA} = 7", "expected a name"),
    ],
)
def test_a_file_that_cannot_be_used_is_told(home: Home, text: str, sentence: str) -> None:
    home.names.write_text(text)
    with pytest.raises(SettingsError, match=sentence):
        PetNames(home)


def test_lines_that_cannot_be_kept_are_left_alone(home: Home) -> None:
    home.names.write_text(f"{ADA} = '''\nada'''\n")
    names = PetNames(home)
    with pytest.raises(SettingsError, match="change the name there"):
        names.rename(ADA, "eve")
    assert dict(PetNames(home)) == {ADA: "ada"}


def test_a_folder_that_cannot_be_written_is_told(home: Home) -> None:
    names = PetNames(Home(home.path / "none"))
    with pytest.raises(SettingsError, match="cannot be written"):
        names.rename(ADA, "ada")
    assert dict(names) == {}


def test_hostile_names_in_a_file_are_made_plain(home: Home) -> None:
    home.names.write_text(f'{ADA} = "a\\u001b[2Jda"\n')
    assert dict(PetNames(home)) == {ADA: "a\\x1b[2Jda"}


def test_names_from_elsewhere_give_way(home: Home) -> None:
    names = PetNames(home, {ADA: "one", BOB: "two"})
    names.rename(ADA, "ada")
    assert dict(names) == {ADA: "ada", BOB: "two"}
    assert len(names) == 2
    names.rename(ADA, "")
    assert names[ADA] == "one"


def test_with_name_is_about_one_line() -> None:
    assert with_name("", ADA, "") == ""
    assert with_name("# \u2028 x\n", ADA, "a") == f'# \u2028 x\n"{ADA}" = "a"\n'
