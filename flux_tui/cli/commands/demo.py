"""`flux-tui demo`: play scenarios with a swarm of real nodes on this machine, check them, or record them."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import click
from click.shell_completion import CompletionItem

from flux_tui.child_command import child_command
from flux_tui.cli.arguments.options import json_option
from flux_tui.cli.arguments.path_and_stdin_types import OutputType
from flux_tui.cli.home_and_series import home_for_settings
from flux_tui.cli.output import Failure, need_terminal, print_json, say, tell
from flux_tui.path_arguments import literal_path

if TYPE_CHECKING:
    from flux_tui.demo.check import Told

MIN_COLUMNS, MIN_ROWS = 60, 20


class _Size(click.ParamType[tuple[int, int]]):
    """A Click type: the size of a terminal, such as `120x40`, converted to (columns, rows). Too small is an error."""

    name = "size"

    def convert(
        self, value: object, param: click.Parameter | None, context: click.Context | None
    ) -> tuple[int, int]:
        found = re.fullmatch(r"(\d{1,4})x(\d{1,4})", str(value))
        if found is None:
            self.fail(f"{value} is not a size: expected COLUMNSxROWS, such as 120x40", param, context)
        columns, rows = int(found.group(1)), int(found.group(2))
        if columns < MIN_COLUMNS or rows < MIN_ROWS:
            self.fail(f"{value} is too small: at least {MIN_COLUMNS}x{MIN_ROWS}", param, context)
        return columns, rows


def _complete(context: click.Context, parameter: click.Parameter, typed: str) -> list[CompletionItem]:
    from flux_tui.demo.scenario import load, names

    return [CompletionItem(name, help=load(name).about) for name in names() if name.startswith(typed)]


@click.command(
    epilog="""\b
While it plays:
  enter    what the caption says: it waits for you
  n p      the next caption; the one before
  space    pause the story, and resume it; the nodes do not stop
  F        freeze the panels at this moment
  v        look at the next node; every other key works, too: ? lists them

\b
Examples:
  flux-tui demo                        a menu of scenarios
  flux-tui demo blackout               one of them
  flux-tui demo storm --auto           it goes on by itself
  flux-tui demo --web                  in a browser on this machine
  flux-tui demo --check                all of them, without a screen
  flux-tui demo storm --record storm.cast --size 100x30

No network is needed or touched, and nothing is left behind."""
)
@click.argument("scenario", required=False, shell_complete=_complete)
@click.option("--list", "listed", is_flag=True, help="Print the scenarios.")
@click.option("--check", is_flag=True, help="Run without a screen; exit 0 only if the stated outcome was observed."
              " All scenarios, if none is named.")  # fmt: skip
@click.option("--record", type=OutputType(), default=None, metavar="FILE",
              help="Record it as an asciicast (v2), in a terminal of its own.")  # fmt: skip
@click.option("--size", type=_Size(), default="120x40", show_default=True, metavar="COLUMNSxROWS",
              help="The size of the recorded terminal.")  # fmt: skip
@click.option("--speed", type=click.FloatRange(0.1, 100), default=1.0, show_default=True, metavar="N",
              help="How fast the captions follow each other. The swarm itself runs at its own speed.")  # fmt: skip
@click.option(
    "--auto", is_flag=True, help="Go on where a caption waits for enter, when it can have been read."
)
@click.option("--once", is_flag=True, help="End the demo when it is over, instead of when you press q. It waits for"
              " no key.")  # fmt: skip
@click.option("--web", is_flag=True, help="Show it in a browser on this machine, as `flux-tui web` does.")
@click.option("--port", type=click.IntRange(0, 65535), default=8017, show_default=True, metavar="N",
              help="With --web: the port on 127.0.0.1; 0: any free port.")  # fmt: skip
@json_option
def demo(
    scenario: str | None,
    listed: bool,
    check: bool,
    record: Path | None,
    size: tuple[int, int],
    speed: float,
    auto: bool,
    once: bool,
    web: bool,
    port: int,
    as_json: bool,
) -> None:
    """Watch a swarm of real nodes on this machine, with a caption at each step.

    Each node is a process of its own with a home of its own, and they speak libp2p over 127.0.0.1. What a
    caption says is read from the nodes' series at that moment.
    """
    from flux_tui.demo.scenario import ScenarioError, load, names

    if listed:
        _list(as_json)
        return
    if sum((check, record is not None, once)) > 1 and (check or record is not None):
        raise click.UsageError("--check, --record and --once are three ways to run it: choose one")
    if as_json and not check and not web:
        raise click.UsageError("--json is for --list, --check and --web: a demo itself is a screen")
    if web and (check or record is not None):
        raise click.UsageError("--web shows it: it goes with neither --check nor --record")
    try:
        chosen = [scenario] if scenario else list(names() if check else names()[:1])
        found = [load(name) for name in chosen]
    except ScenarioError as error:
        raise Failure(str(error)) from None
    if check:
        from flux_tui.demo.check import check as play

        if not play(chosen, _print_told if as_json else _tell_told):
            raise Failure("the stated outcome was not observed")
    elif record is not None:
        _record(chosen[0], literal_path(record), size, speed, found[0].about)
    elif web:
        _serve(scenario, speed, port, auto=auto, once=once, as_json=as_json)
    elif scenario is None and not once:
        _play_from_menu(speed, auto)
    else:
        _show(chosen[0], speed, auto=auto, once=once)


def _list(as_json: bool) -> None:
    from flux_tui.demo.scenario import load, names

    for name in names():
        one = load(name)
        if as_json:
            print_json({"name": name, "about": one.about, "lasts": one.lasts})
        else:
            tell(f"{name:<14}{one.about} ({one.lasts})")


def _tell_told(told: "Told") -> None:
    for line in told.text.split("\n"):
        tell(line)


def _print_told(told: "Told") -> None:
    print_json(told._asdict())


def _record(name: str, file: Path, size: tuple[int, int], speed: float, about: str) -> None:
    from flux_tui.demo.asciicast import record

    columns, rows = size
    say(f"recording {name} at {columns}x{rows}: {about}")
    arguments = ["demo", name, "--once", "--speed", f"{speed:g}"]
    status = record(arguments, file, columns=columns, rows=rows, title=f"flux-tui demo {name}")
    if status:
        raise Failure(f"the demo ended with status {status}; its last screen is in {file}")
    say(f"{file.stat().st_size:,} bytes in {file}")


def _serve(scenario: str | None, speed: float, port: int, *, auto: bool, once: bool, as_json: bool) -> None:
    from flux_tui.cli.commands.web import serve_in_browser

    arguments = ["demo", *([scenario] if scenario else []), "--speed", f"{speed:g}"]
    arguments += [flag for flag, on in (("--auto", auto), ("--once", once)) if on]
    # A page shows one app, and the menu is another one than the dashboard. So a page gets a whole terminal.
    command = child_command("flux_tui.cli.web_terminal", *arguments)
    serve_in_browser(command, port, "demo · flux-tui", as_json=as_json)


def _play_from_menu(speed: float, auto: bool) -> None:
    need_terminal("a demo", "use --check where there is none")
    from flux_tui.cli.commands.dashboard import crash_log_of
    from flux_tui.demo.scenario_menu import play_from_menu

    play_from_menu(speed=speed, auto=auto, crash_log=crash_log_of(home_for_settings(None)))


def _show(name: str, speed: float, *, auto: bool, once: bool) -> None:
    need_terminal("a demo", "use --check where there is none")
    from flux_tui.cli.commands.dashboard import crash_log_of
    from flux_tui.demo.narrated_dashboard import show
    from flux_tui.demo.scenario import load

    log = crash_log_of(home_for_settings(None))
    error = show(load(name), speed=speed, once=once, auto=auto, crash_log=log)
    if error is not None:
        raise Failure(f"the demo did not finish: {error}")
