"""The command line behind `:`, in the words of the shell command."""

from pathlib import Path

import pytest
from textual.events import Key

from flux_tui.cli.main import COMMANDS
from flux_tui.core.api import commands as cmd
from flux_tui.core.content.ticket import Ticket, format_ticket
from flux_tui.core.ids import PeerId
from flux_tui.core.series import events as ev
from flux_tui.ui.keys import ACTIONS
from flux_tui.ui.typed.command_line import WORDS, complete_line, read_line
from flux_tui.ui.typed.command_line_types import Context, LineError, Outcome
from flux_tui.ui.typed.part_wanted import PartWanted
from tests.support.typed import CHUNK, ROOT, STATE
from tests.ui.conftest import Live, on_asyncio

BOB = "12D3KooWRbWdtYLpiVvvjCBkwHtCUkxBa8vueC51uoXvyqX99NmA"
ADA = PeerId("12D3KooW" + "A" * 44)
TICKET = format_ticket(Ticket(ROOT, "talk.pdf", 4096, ()))


@pytest.fixture
def context(tmp_path: Path) -> Context:
    (tmp_path / "holidays.zip").write_bytes(b"x")
    (tmp_path / "two words").mkdir()
    (tmp_path / ".hidden").write_bytes(b"x")
    return Context(STATE, tmp_path, lambda: "mark", ("flux", "nord"), ("series", "peers"), ("in", "out"))


def test_what_each_line_does(context: Context, tmp_path: Path) -> None:
    def run(line: str) -> Outcome:
        return read_line(line, context)

    assert run(f"want {CHUNK} film.mkv").commands == [cmd.Want(CHUNK, "mark"), cmd.Want(ROOT, "mark")]
    (get,) = run(f"get {TICKET}").commands
    assert isinstance(get, cmd.Get)
    assert (get.root, get.path) == (ROOT, str(tmp_path / "talk.pdf"))
    (get,) = run(f"get {TICKET} -o other.pdf").commands
    assert isinstance(get, cmd.Get)
    assert get.path == str(tmp_path / "other.pdf")
    added = run("add holidays.zip 'two words'").commands
    assert [c.path for c in added if isinstance(c, cmd.Add)] == [
        str(tmp_path / "holidays.zip"), str(tmp_path / "two words"),
    ]  # fmt: skip
    assert run("cancel film.mkv").commands == [cmd.Cancel((ROOT,), "mark")]
    assert run(f"retry {ROOT}").commands == [cmd.Retry((ROOT,), "mark")]
    (hold,) = run("hold film.mkv --replicas 3").commands
    assert isinstance(hold, cmd.Hold)
    assert (hold.root, hold.replicas, hold.name) == (ROOT, 3, "film.mkv")
    (hold,) = run(f"hold {TICKET}").commands
    assert isinstance(hold, cmd.Hold)
    assert (hold.replicas, hold.name, hold.size) == (1, "talk.pdf", 4096)
    assert run("release film.mkv").commands == [cmd.Release((ROOT,), "mark")]
    assert run("cancel").action == "cancel"
    assert run("retry").action == "retry"
    assert run("want").action == "want"
    (join,) = run(f"join /ip4/192.0.2.7/tcp/1/p2p/{ADA}").commands
    assert isinstance(join, cmd.Join)
    (limit,) = run(f"limit --upload-limit 2MB/s --deny {ADA} --allow none --max-uploads 3").commands
    assert isinstance(limit, cmd.Configure)
    assert limit.change.given() == {"upload_limit": 2_000_000, "deny": (ADA,), "allow": (), "max_uploads": 3}
    assert run("stop").commands == [cmd.Stop("mark")]
    assert run("filter kind:status_no  busy")[3:5] == ("filter", "kind:status_no  busy")
    assert run("filter")[3:5] == ("filter", "")
    assert run(": goto -5 m")[3:5] == ("goto", "-5 m")
    assert run("leap-back").action == "leap-back"
    assert run("panel peers")[3:5] == ("panel", "peers")


@pytest.mark.parametrize(
    "text",
    [f"{ROOT}/a/b.txt", f"ipfs://{ROOT}/a/b%2Etxt", f"https://gateway.example/ipfs/{ROOT}/a/b.txt?x=1"],
)
def test_a_part_of_an_object_is_wanted_by_its_path(context: Context, tmp_path: Path, text: str) -> None:
    (get,) = read_line(f"get {text}", context).commands
    assert isinstance(get, PartWanted)
    assert (str(get.path), get.at) == (f"{ROOT}/a/b.txt", tmp_path / "b.txt")
    part = Ticket(CHUNK, "b.txt", 7, ("/ip4/192.0.2.7/tcp/1/p2p/x",))
    assert get.command(part) == cmd.Get(CHUNK, str(tmp_path / "b.txt"), "b.txt", 7, part.addrs, "mark")
    (want,) = read_line(f"want {text}", context).commands
    assert isinstance(want, PartWanted)
    assert want.command(part) == cmd.Want(CHUNK, "mark")


@pytest.mark.parametrize("text", [f"ipfs://{ROOT}", f"https://gateway.example/ipfs/{ROOT}/", f"/ipfs/{ROOT}"])
def test_an_address_of_a_whole_object_is_taken_where_a_cid_is(context: Context, text: str) -> None:
    assert read_line(f"cancel {text}", context).commands == [cmd.Cancel((ROOT,), "mark")]
    assert read_line(f"rm {text}", context).commands == [cmd.Remove((ROOT,), "mark")]
    (hold,) = read_line(f"hold {text}", context).commands
    assert isinstance(hold, cmd.Hold)
    assert hold.root == ROOT


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("", "type a command"),
        ("wnat x", "wnat is not a command"),
        ("filt x", "did you mean filter"),
        ("want nonsense", "nonsense"),
        ("get", "usage: get TICKET"),
        ("get film.mkv -o", "-o wants a path"),
        ("get film.mkv -o holidays.zip", "exists already"),
        ("add nowhere", "nowhere does not exist"),
        ("add 'open", "a quotation mark is open"),
        ("cancel xyz", "xyz"),
        (f"cancel {ROOT}/a/b.txt", "b.txt is a part of an object, and this takes whole ones"),
        (f"rm {ROOT}/a/b.txt", "b.txt is a part of an object"),
        (f"get {ROOT}/../b.txt", "cannot have the name"),
        ("join 192.0.2.7", "neither a ticket nor the address of a peer"),
        ("join /ip4/192.0.2.7/tcp/1/p2p/me", "me"),
        ("zoom in", "zoom takes nothing after it"),
        ("goto", "usage: goto MOMENT"),
        ("stop now", "stop takes nothing"),
        ("hold", "usage: hold"),
        ("hold film.mkv --replicas none", "a number from 1 to"),
        ("hold nonsense", "nonsense"),
        ("release", "usage: release"),
        ("limit", "usage: limit"),
        ("limit --upload-limit", "usage: limit"),
        ("limit --upload-limit fast", "--upload-limit is 'fast', expected a rate such as 2MB/s"),
        ("limit --speed 1", "--speed is not a limit"),
        ("limit --max-uploads 0", "--max-uploads is 0, expected a whole number above 0"),
        ("limit --deny me", "--deny: 'me' is not a peer id"),
    ],
)
def test_an_error_is_one_sentence(context: Context, line: str, sentence: str) -> None:
    with pytest.raises(LineError) as failed:
        read_line(line, context)
    assert sentence in str(failed.value)
    assert "\n" not in str(failed.value)


@pytest.mark.parametrize(
    ("line", "candidates"),
    [
        ("wa", ["want "]),
        ("zo", ["zoom"]),
        ("theme n", ["theme nord"]),
        ("add hol", ["add holidays.zip"]),
        ("add ", ["add holidays.zip", r"add two\ words/"]),
        ("add .h", ["add .hidden"]),
        ("cancel f", ["cancel film.mkv"]),
        ("want film.mkv fi", ["want film.mkv film.mkv"]),
        ("filter reason:bu", ["filter reason:busy"]),
        ("filter x !ki", ["filter x !kind:"]),
        ("filter kind:chunk_w", ["filter kind:chunk_wasted"]),
        ("goto st", ["goto start"]),
        ("sort i", ["sort in"]),
        ("hold fi", ["hold film.mkv"]),
        ("hold film.mkv --r", ["hold film.mkv --replicas "]),
        ("limit --up", ["limit --upload-limit"]),
        ("nothing x", []),
    ],
)
def test_completions_of_lines(context: Context, line: str, candidates: list[str]) -> None:
    assert complete_line(line, context) == candidates


def test_the_commands_are_those_of_the_shell_and_the_key_table() -> None:
    for word in ("want", "get", "add", "hold", "release", "cancel", "retry", "join", "limit", "stop"):
        assert word in COMMANDS
        assert word in WORDS
    names = {line.strip() for line in complete_line("", Context(STATE, Path(), str))}
    assert names >= {action.name for action in ACTIONS}


@on_asyncio
async def test_commands_typed_into_the_dashboard(live: Live) -> None:
    live.append(ev.Requested(cid=ROOT, name="film.mkv", path="/there/film.mkv"))
    app = live.app
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press(":", *"cancel film", "tab", "enter")
        assert live.pushed[-1] == cmd.Cancel((ROOT,), live.pushed[-1].by)
        assert not app.query_one("#prompt").display
        await pilot.press(":", *"theme norrd", "enter")
        assert app.parts.prompt.kind == "command"
        assert "no theme norrd" in str(app.query_one("#prompt-error").render())
        await pilot.press(*["backspace"] * 2, "d", "enter")
        assert app.theme == "nord"
        # The history is filtered by the typed text; then the panel has the focus again.
        await pilot.press(":", "up", "up", "down")
        assert app.parts.prompt.field.value == "theme nord"
        await pilot.press("escape", ":", "c", "up")
        assert app.parts.prompt.field.value == "cancel film.mkv"
        await pilot.press("escape", ":", *"panel peers", "enter")
        assert app.parts.panels.current == "peers"
        assert app.focused is app.parts.panels.panel("peers")
        await pilot.press(":", *"sort in", "enter", ":", *"filter x", "enter", ":", *"help", "enter")
        assert app.parts.views.sort_of("peers").column == "in"
        assert app.parts.panels.filter_of("peers")
        assert len(app.screen_stack) == 2


@on_asyncio
async def test_tab_steps_through_all_completions(live: Live) -> None:
    app = live.app
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        await pilot.press(":", *"theme catppuccin-", "tab")
        assert "catppuccin-mocha" in str(app.query_one("#prompt-error").render())
        await pilot.press("tab", "tab")
        first = app.parts.prompt.field.value
        await pilot.press("shift+tab")
        assert app.parts.prompt.field.value != first
        assert app.parts.prompt.field.value.startswith("theme catppuccin-")
        await pilot.press("escape")
        await pilot.press("/", *"reas", "tab", *"bu", "tab", "enter")
        assert [term.value for term in app.parts.panels.filter_of("series").terms] == ["busy"]


@on_asyncio
async def test_a_line_typed_at_once_arrives_whole(live: Live) -> None:
    app = live.app
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.pause()
        for key in (":", *"theme nord"):
            app.post_message(Key({":": "colon", " ": "space"}.get(key, key), key))
        await pilot.pause()
        assert app.parts.prompt.field.value == "theme nord"
        assert app.parts.panels.current == "series"
        # Keys after the end of the line go to the panel, or to the prompt after an error.
        for key in ("enter", "2", ":", *"nonsense", "enter", "x", "escape", "enter", "5"):
            app.post_message(Key({":": "colon"}.get(key, key), key if len(key) == 1 else None))
        for _ in range(20):
            await pilot.pause()
        assert app.theme == "nord"
        assert app.parts.panels.current == "peers"
        assert not app.parts.prompt.kind


def test_leaving_a_peer_and_a_message_of_a_kind_of_its_own(context: Context) -> None:
    bob = PeerId(BOB)
    assert read_line(f"leave {BOB}", context).commands == [cmd.Leave(bob, "mark")]
    assert read_line(f"leave /ip4/127.0.0.1/tcp/1/p2p/{BOB}", context).commands == [cmd.Leave(bob, "mark")]
    assert read_line("leave", context._replace(selected=bob)).commands == [cmd.Leave(bob, "mark")]
    for line, said in (("leave", "select a peer"), ("leave nobody", "is not a peer"), ("custom", "usage"),
                       ("custom NO x", "is not a kind"), ("custom a --to", "--to wants a peer")):  # fmt: skip
        with pytest.raises(LineError, match=said):
            read_line(line, context)
    assert read_line("custom chat.say hello you", context).commands == [
        cmd.Custom("chat.say", b"hello you", None, "mark")
    ]
    assert read_line(f"custom chat.say hello --to {BOB}", context).commands == [
        cmd.Custom("chat.say", b"hello", bob, "mark")
    ]
