"""The man pages: they are what the help says now, and roff reads them."""

import shutil
import subprocess

import pytest

from flux_tui.cli.main import COMMANDS
from flux_tui.config import SETTINGS
from tests.man_pages import FOLDER, pages


def test_they_are_those_of_the_commands_as_they_are() -> None:
    written = {path.name: path.read_text() for path in FOLDER.iterdir()}
    assert written == pages(), "run: python -m tests.man_pages"
    assert written.keys() == {"flux-tui.1"} | {f"flux-tui-{name}.1" for name in COMMANDS}


def test_every_option_of_a_node_is_in_its_page() -> None:
    page = (FOLDER / "flux-tui-node.1").read_text().replace("\\-", "-")
    for setting in SETTINGS.values():
        if setting.option is not None:
            assert f"\\fB{setting.option}" in page
    assert ".SH EXAMPLES" in page


def test_the_title_is_the_name_of_the_page_and_paragraphs_are_not_indented() -> None:
    page = (FOLDER / "flux-tui-get.1").read_text().splitlines()
    assert page[0].startswith('.TH "FLUX-TUI-GET" "1"')
    assert any(line.startswith("Starts this home's node") for line in page)


def test_roff_has_nothing_to_say_about_them() -> None:
    if shutil.which("groff") is None:
        pytest.skip("groff is not installed")
    for name in ("flux-tui.1", "flux-tui-node.1", "flux-tui-doctor.1"):
        done = subprocess.run(
            ["groff", "-k", "-man", "-Tutf8", "-P-cbou", "-ww", str(FOLDER / name)],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert (done.returncode, done.stderr) == (0, "")
        assert "SYNOPSIS" in done.stdout
