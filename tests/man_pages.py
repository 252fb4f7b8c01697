"""Write `assets/man`: the man pages of all commands, from their help, by click-man. The wheel installs them.

python -m tests.man_pages
"""

import re
from collections.abc import Iterator
from inspect import cleandoc
from pathlib import Path

import click
from click_man.man import ManPage

from flux_tui import __version__
from flux_tui.cli.arguments.help_epilogs import EPILOGS
from flux_tui.cli.arguments.options import NodeOption
from flux_tui.cli.main import cli

FOLDER = Path(__file__).parent.parent / "assets" / "man"
NAME = "flux-tui"
MAX_SHORT = 200
"""Characters of what a command does, in its NAME section."""


def pages() -> dict[str, str]:
    """Return the text of each page by its file's name."""
    found: dict[str, str] = {}
    root = click.Context(cli, info_name=NAME)
    found[f"{NAME}.1"] = _page(root)
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        assert command is not None
        found[f"{NAME}-{name}.1"] = _page(click.Context(command, info_name=name, parent=root))
    return found


def _page(context: click.Context) -> str:
    command = context.command
    page = ManPage(context.command_path)
    page.version = f"flux-tui {__version__}"
    page.date = ""
    page.short_help = _escaped(command.get_short_help_str(MAX_SHORT)).rstrip(".")
    page.description = _escaped(cleandoc(command.help or "").replace("\b\n", "").replace("\b", ""))
    page.synopsis = " ".join(command.collect_usage_pieces(context))
    page.options = [
        (option, _escaped(meaning))
        for parameter in sorted(command.params, key=lambda one: isinstance(one, NodeOption))
        if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)) is not None
        for option, meaning in (record,)
    ]
    if isinstance(command, click.Group):
        page.commands = [
            (name, _escaped(one.get_short_help_str(MAX_SHORT)))
            for name in command.list_commands(context)
            if (one := command.get_command(context, name)) is not None
        ]
    lines = [line for line in str(page).splitlines() if line.strip()]
    title = context.command_path.upper()
    lines[0] = lines[0].replace(f'"{title}"', f'"{title.replace(" ", "-")}"', 1)
    return "\n".join([*lines, *_epilog(command.epilog or EPILOGS.get(command.name or "") or "")]) + "\n"


def _epilog(text: str) -> Iterator[str]:
    """Yield the sections of the end of a help page: a heading that ends in a colon, and lines as they stand."""
    for part in text.replace("\b\n", "").replace("\b", "").split("\n\n"):
        heading, _, rest = part.strip("\n").partition("\n")
        if heading.endswith(":") and rest:
            yield f".SH {heading.removesuffix(':').upper()}"
            yield from (".nf", *_escaped(rest).splitlines(), ".fi")
        elif part.strip():
            yield from (".PP", ".nf", *_escaped(part.strip("\n")).splitlines(), ".fi")


def _escaped(text: str) -> str:
    """Escape what roff would read as its own: backslashes, and a dot or an apostrophe that begins a line."""
    text = text.replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(\s*)([.'])", r"\1\\&\2", text, flags=re.MULTILINE)


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    written = pages()
    for old in FOLDER.glob("*.1"):
        if old.name not in written:
            old.unlink()
    for file_name, page_text in written.items():
        (FOLDER / file_name).write_text(page_text)
