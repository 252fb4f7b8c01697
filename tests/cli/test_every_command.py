"""What holds for every command and option: `--json`, `-q`, `--no-color`, help, man page, completion, README, a test."""

from functools import cache
from pathlib import Path

import click
import pytest
from click.shell_completion import ShellComplete

from flux_tui.cli.arguments.options import OPTIONS
from flux_tui.cli.main import COMMANDS, cli

REPOSITORY = Path(__file__).parent.parent.parent
WITHOUT_JSON = {
    "cat": "stdout gets the bytes of the file",
    "completion": "stdout gets a script",
    "replay": "it is a screen",
}
"""The commands without `--json`, and why."""
EVERYWHERE = {"--home", "--json", "--quiet", "-q", "--no-color", "--help", "-h"}


@cache
def command(name: str) -> click.Command:
    found = cli.get_command(click.Context(cli), name)
    assert found is not None
    return found


def options(name: str) -> list[click.Option]:
    return [one for one in command(name).params if isinstance(one, click.Option) and not one.hidden]


@cache
def all_tests() -> str:
    """The text of all tests but this one."""
    texts = [path.read_text() for path in (REPOSITORY / "tests").rglob("*.py") if path != Path(__file__)]
    return "\n".join(texts)


@pytest.mark.parametrize("name", COMMANDS)
def test_it_can_be_used_by_a_program(name: str) -> None:
    known = {word for option in options(name) for word in option.opts}
    assert {"-q", "--quiet", "--no-color"} <= known
    assert ("--json" in known) != (name in WITHOUT_JSON)


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_is_in_help_man_page_and_completion(name: str) -> None:
    context = click.Context(command(name), info_name=name, parent=click.Context(cli, info_name="flux-tui"))
    helped = command(name).get_help(context)
    page = (REPOSITORY / "assets" / "man" / f"flux-tui-{name}.1").read_text().replace("\\-", "-")
    completion = ShellComplete(cli, {}, "flux-tui", "_FLUX_TUI_COMPLETE")
    offered = {item.value for prefix in ("-", "--") for item in completion.get_completions([name], prefix)}
    for option in options(name):
        assert option.help, option.opts
        for word in option.opts:
            assert word in helped, word
            assert word in page, word
            assert word in offered, word


@pytest.mark.parametrize("name", COMMANDS)
def test_every_option_of_its_own_is_in_a_test(name: str) -> None:
    """The options of a node are made from the table of settings, and tested with it."""
    for option in options(name):
        if not EVERYWHERE & set(option.opts) and not set(option.opts) & set(OPTIONS.values()):
            assert any(f'"{word}' in all_tests() or f" {word} " in all_tests() for word in option.opts), (
                option.opts
            )


def test_every_command_is_in_the_readme_and_in_a_test() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    for name in COMMANDS:
        assert f"flux-tui {name}" in readme, name
        assert f'"{name}"' in all_tests(), name
