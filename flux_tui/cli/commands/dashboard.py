"""Commands that show the dashboard: of a home's node, or of recorded series (`replay`)."""

import contextlib
import gc
import signal
import subprocess
import tempfile
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flux_tui.cli.arguments.flags_for_node import apply_to_running, node_flags
from flux_tui.cli.arguments.options import home_option
from flux_tui.cli.arguments.path_and_stdin_types import PathType
from flux_tui.cli.home_and_series import home_for_settings, the_home
from flux_tui.cli.output import Failure, need_terminal, say
from flux_tui.config import Settings, SettingsError
from flux_tui.core.ids import PeerId
from flux_tui.core.series.events import NodeStarted
from flux_tui.core.series.state import State
from flux_tui.core.text.names import StateNames
from flux_tui.core.text.unfinished import unfinished
from flux_tui.home import Home, HomeError
from flux_tui.path_arguments import literal_path
from flux_tui.petnames import PetNames
from flux_tui.signals import Ended
from flux_tui.store.series_reader import SeriesReader

if TYPE_CHECKING:
    from flux_tui.core.content.object_paths import ObjectPath
    from flux_tui.core.content.ticket import Ticket
    from flux_tui.ui.dashboard.app import Dashboard
    from flux_tui.ui.series.cursor import Source
    from flux_tui.ui.typed.typed_moment import Moment
    from flux_tui.ui.watching.watched_node import WatchedNode

FIRST = 100
"""Entries among which the first start of a node is looked for."""
LEAVING_SECONDS = 0.1
"""Seconds to wait for a node to stop. A slower one goes on stopping alone."""


@click.command()
@click.argument("files", type=PathType(), nargs=-1, required=True, metavar="FILE...")
@click.option("--at", "moment", default=None, metavar="MOMENT",
              help="Begin frozen at this moment: 12:01:03, -5m, or #1234 for an entry.")  # fmt: skip
@click.option("--mask", is_flag=True, help="Hide ids and addresses, for an audience.")
@home_option
def replay(files: tuple[Path, ...], moment: str | None, mask: bool, home: Path | None) -> None:
    """Show a recorded series (see `flux-tui export`) in the dashboard. No node runs.

    A folder to which `flux-tui prune --archive` moved old entries is a series, too.

    With several series of one swarm, all are shown as they were at the same time. The panel Flow has a group of
    lanes for each series, and the key `v` switches the other panels to the next one. The theme and the keys are
    those of the home's settings.
    """
    paths = [literal_path(file) for file in dict.fromkeys(files)]
    for path in paths:
        if not path.is_file() and not path.is_dir():
            raise Failure(f"there is no series at {path}")
    # reports errors in the files before Textual takes the screen
    names = PetNames(home_for_settings(home), _names_of(paths))
    need_terminal("the dashboard", "`flux-tui state` and `flux-tui series` print a home's, in words")
    gc.disable()  # until `garbage_collection.settle`: modules, classes and styles stay
    from flux_tui.ui.series.cursor import Source
    from flux_tui.ui.watching.watched_node import WatchedNode

    titles = (
        [path.name for path in paths] if len({path.name for path in paths}) == len(paths) else map(str, paths)
    )
    nodes = [
        WatchedNode(title=title, source=Source.of_file(path), names=names, rename=names.rename)
        for title, path in zip(titles, paths, strict=True)
    ]
    begins = None if moment is None else _moment_of(nodes[0].source, moment)
    app = dashboard(
        nodes[0], home_for_settings(home), others=nodes[1:], masked=mask, drawn=lambda: _begin(app, begins)
    )
    app.run_in_terminal()
    _end(app)


def _moment_of(source: "Source", text: str) -> "Moment":
    """Return the moment of a recorded series that a person typed. Raises Failure if it has no such moment."""
    from flux_tui.cli.arguments.moment import moment_in  # which only `--at` needs

    source.poll()
    last = source.entry(source.last_seq)
    return moment_in(text, source.last_seq, last.at if last is not None else 0.0)


def _begin(app: "Dashboard", moment: "Moment | None") -> None:
    """Freeze the dashboard at a moment. None: it stays at the end of the series."""
    if moment is not None:
        app.parts.playback.go_to_moment(moment)


def _names_of(paths: Sequence[Path]) -> dict[PeerId, str]:
    """Return a name for each node that wrote one of these series: the name of its file without the ending.

    Returns no name if there is only one series, and none for a series whose first FIRST entries record no start of
    a node. Raises StoreError for a file that is not a series.
    """
    names: dict[PeerId, str] = {}
    for path in paths:
        reader = SeriesReader.open(path)
        page = reader.read(0, FIRST) if len(paths) > 1 else []
        reader.close()
        first = next((entry.event for entry in page if isinstance(entry.event, NodeStarted)), None)
        if first is not None:
            names[first.peer_id] = path.stem
    return names


def show_dashboard(home: Path | None, flags: dict[str, Any], *, masked: bool = False) -> None:
    """Show the dashboard of a home. If no node runs, start one while the dashboard is already shown.

    `flags`: the options for the node. `masked`: hide ids and addresses, for an audience.
    """
    need_terminal(
        "the dashboard", "`flux-tui state` prints what it shows, `flux-tui node` runs a node without it"
    )
    gc.disable()  # until `garbage_collection.settle`: modules, classes and styles stay
    from flux_tui.ui.series.cursor import Source
    from flux_tui.ui.watching.watched_node import WatchedNode

    def find(path: "ObjectPath") -> "Ticket":
        from flux_tui.cli.content.part_of_object import find_part  # trio, which the first frame does not need

        return find_part(here, path)

    here = the_home(home)
    here.prepare()
    starter = Starter(here, flags)
    names = PetNames(here)
    node = WatchedNode(
        title=str(here.path),
        source=Source.of_file(here.database),
        index=here.database,
        push=here.push,
        find_part=find,
        alive=lambda: here.running() is not None,
        restart=starter.restart,
        starting=lambda: starter.starting,
        opening=here.opening,
        ends=lambda: starter.stops,
        trouble=lambda: starter.trouble,
        names=names,
        rename=names.rename,
    )
    app = dashboard(node, here, masked=masked, drawn=starter.start_planned)
    if here.listening():
        # report what it cannot change before Textual takes the screen
        apply_to_running(here, node_flags(flags))
    else:
        starter.plan()
    stays = True
    try:
        stays = app.run_in_terminal()
        goes_on = here.running() is not None and (stays or not starter.stops)
        if (words := unfinished_words(node.source.newest, stays=goes_on)) is not None:
            say(words)
    except Ended as ended:
        stays = ended.number == signal.SIGHUP  # the terminal is gone, which does not concern the node
        raise
    finally:
        if not stays:
            starter.stop()
    _end(app)


def unfinished_words(state: State, *, stays: bool) -> str | None:
    """Return the sentence for a person who leaves while objects are not whole yet; None if there are none.

    `stays`: whether the node goes on running without the dashboard.
    """
    left = unfinished(state, StateNames(state))
    if left is None:
        return None
    goes_on = (
        "the node goes on with it; `flux-tui` shows it, `flux-tui stop` stops the node"
        if stays
        else "what came is kept, and `flux-tui` or `flux-tui node` goes on from there"
    )
    return f"{left}: {goes_on}"


def _end(app: "Dashboard") -> None:
    """If the dashboard failed, end this command with its exit status, 1. Otherwise do nothing."""
    if app.return_code:
        click.get_current_context().exit(app.return_code)


def dashboard(
    node: "WatchedNode",
    home: Home,
    *,
    others: Sequence["WatchedNode"] = (),
    masked: bool = False,
    drawn: Callable[[], None] = lambda: None,
) -> "Dashboard":
    """Make the dashboard of a node with the settings of the home. `others`: further recorded nodes to show.

    `masked`: hide ids and addresses at first. `drawn` is called once, after the first frame. Raises SettingsError.
    """
    from flux_tui.ui.dashboard.app import Dashboard
    from flux_tui.ui.keys import Keys
    from flux_tui.ui.rows.glyphs import for_this_terminal
    from flux_tui.ui.widgets.prompt import History

    settings = Settings.load(home)
    try:
        keys = Keys(settings.keys)
    except ValueError as error:
        raise SettingsError(f"{home.settings}: {error}") from None
    history = History(home.path / "history" if home.path.is_dir() else None)
    app = Dashboard(
        node, others=others, keys=keys, masked=masked, glyphs=for_this_terminal(settings.ascii), history=history,
        crash_log=crash_log_of(home), notice_by=settings.notify, drawn=drawn,
    )  # fmt: skip
    if settings.theme:
        if settings.theme not in app.available_themes:
            known = ", ".join(sorted(app.available_themes))
            raise SettingsError(f"{home.settings}: theme is {settings.theme!r}, expected one of {known}")
        app.theme = settings.theme
    return app


def crash_log_of(home: Home) -> Path:
    """Return the file for the report of a dashboard error: in the home, or in the temporary folder without a home."""
    return home.crash_log if home.path.is_dir() else Path(tempfile.gettempdir()) / "flux-tui-crash.log"


class Starter:
    """Starts the node of a home in a thread, so that the dashboard need not wait, and can stop that node again."""

    def __init__(self, home: Home, flags: dict[str, Any]) -> None:
        self._home = home
        self._flags = flags
        self._tried: list[str] | None = None
        """The flags of the last start. None: those of the command line."""
        self._thread: threading.Thread | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._planned = False
        """Whether a node is started soon, by `start_planned`."""
        self.trouble: str | None = None
        """Why the node did not start, in one sentence."""

    @property
    def starting(self) -> bool:
        """Whether a node is being started, or is started soon."""
        return self._planned or (self._thread is not None and self._thread.is_alive())

    def plan(self) -> None:
        """Plan to start the node once the first frame is drawn: the two would take the processor from each other."""
        self._planned = True

    def start_planned(self) -> None:
        """Start the node, if that was planned."""
        planned, self._planned = self._planned, False
        if planned:
            self.start()

    @property
    def stops(self) -> bool:
        """Whether `stop` would stop a node: the node that this object started is still running."""
        return self._process is not None and self._process.poll() is None

    def start(self, flags: list[str] | None = None) -> None:
        """Start the node in a thread, and return at once. `flags`: its options; None: those of the command line.

        Does nothing if a node is being started already. The dashboard's first frame does not wait for the node, which
        takes a second to start.
        """
        if not self.starting:
            self.trouble, self._tried = None, flags
            self._thread = threading.Thread(target=self._start, args=(flags,), daemon=True)
            self._thread.start()

    def restart(self) -> None:
        """Start the node again with the flags of its last start, so that a loopback-only node stays loopback-only.

        If the last start failed, the flags of the failed start are used.
        """
        self.start(self._tried if self.trouble else self._home.last_flags())

    def wait(self) -> None:
        """Wait until the node is up or has failed."""
        if self._thread is not None:
            self._thread.join()

    def _start(self, flags: list[str] | None) -> None:
        from flux_tui.cli.background import ensure_node

        try:
            ensure_node(
                self._home,
                node_flags(self._flags) if flags is None else flags,
                started=self._take,
                tell=lambda _: None,
            )
        except HomeError as error:
            self.trouble = str(error)

    def _take(self, process: "subprocess.Popen[bytes]") -> None:
        self._process = process

    def stop(self) -> None:
        """Stop the node if this object started it, and wait at most LEAVING_SECONDS until it has stopped."""
        process = self._process
        if process is None or not self.stops:
            return
        # The node treats a signal like a pushed Stop. A signal cannot be held up by a full socket.
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(LEAVING_SECONDS)  # after that, it is stopping: it commits its data first
