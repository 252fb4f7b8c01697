"""The dashboard survives any typed, pasted or dropped text, and says what is wrong with it."""

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual import events
from textual.pilot import Pilot

from flux_tui.core.api import commands as cmd
from flux_tui.core.content.ticket import Ticket, format_ticket
from flux_tui.core.ids import raw_cid
from flux_tui.path_arguments import GONE, PathError, dropped_words, exists_at, typed_paths
from flux_tui.ui.screens.add import AddScreen
from flux_tui.ui.screens.want import WantScreen
from flux_tui.ui.typed.command_line import WORDS, complete_line, read_line
from flux_tui.ui.typed.command_line_types import Context, LineError
from flux_tui.ui.typed.shell_words import last_argument, quoted
from flux_tui.ui.typed.typed_moment import parse_moment
from flux_tui.ui.typed.typed_wants import MAX_WORDS, free, read_wants
from flux_tui.ui.widgets.plain_text import MAX_PASTED, PlainInput, PlainText
from tests.support.dashboard import STORY, toasts
from tests.support.rights import without_rights
from tests.support.typed import ROOT, STATE
from tests.ui.conftest import Live, on_asyncio

PEER = "12D3KooWLy3kGyk3jJnoKXUhcf8DTeGMdYDmNzDwCbivH3pxkWAS"
TICKET = format_ticket(
    Ticket(raw_cid(b"talk"), "talk.pdf", 4096, (f"/ip4/192.0.2.7/tcp/4001/p2p/{PEER}",) * 3)
)
LINES = [TICKET[at : at + 76] for at in range(0, len(TICKET), 76)]
LONG = "flux1" + "abcdefgh" * 600


def plain_context(folder: Path | None) -> Context:
    return Context(STATE, folder, lambda: "mark")


# ── anything at all ─────────────────────────────────────────────────────────────────────────────

ODD = st.text(st.characters() | st.sampled_from("/~\\'\" \n\0\x1b>-.:#+\ud800\udcff9²"), max_size=40)
odd_lines = st.builds(
    lambda word, rest, many: f"{word} {rest * many}",
    st.sampled_from([*WORDS, "zoom", ""]),
    ODD
    | st.sampled_from(
        ["/proc/1/root/x", "/etc/shadow/x", "~", "~x", "~/", "//", "..", "\0", "a" * 300, "9" * 500]
    ),
    st.sampled_from([1, 1, 1, 3, 400]),
)


@given(odd_lines)
def test_any_line_raises_only_line_errors(line: str) -> None:
    for folder in (Path("/"), None):
        with contextlib.suppress(LineError):
            read_line(line, plain_context(folder))
        complete_line(line, plain_context(folder))


@given(ODD, st.sampled_from([1, 50]))
def test_any_word_raises_only_its_own_error(text: str, many: int) -> None:
    for folder in (Path("/nowhere"), None):
        read_wants((text * many).split(), STATE, folder, lambda: "mark")
        with contextlib.suppress(PathError):
            typed_paths(text * many, folder)
    with contextlib.suppress(PathError):
        dropped_words("file://" + text)
    for moment in (text, "#" + "9" * many, "-" + "9" * 400 + "d", "9" * 5000):
        with contextlib.suppress(ValueError):
            found = parse_moment(moment, 1_700_000_000.0)
            assert found.seq is None or found.seq < 10**15


# ── paths ───────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def films(tmp_path: Path) -> Path:
    folder = tmp_path / "My Films"
    folder.mkdir()
    for name in ("a b.mkv", "it's.mkv", "100%.mkv", "~x", "c\\d", "日本.mkv", "q?x#y.mkv"):
        (folder / name).touch()
    return folder


def dropped(path: Path) -> Iterator[str]:
    """Return a dropped path as terminals paste it."""
    import shlex
    from urllib.parse import quote

    yield f"'{path}'" if "'" not in str(path) else shlex.quote(str(path))
    yield shlex.quote(str(path)) + " "
    yield "".join(f"\\{one}" if one in " '\"\\%?#~&()" else one for one in str(path))
    yield f"file://{quote(os.fsencode(path))}"
    yield f"file://localhost{quote(os.fsencode(path))}\r\n"
    yield str(path)
    yield f"{path} "


def test_a_dropped_file_is_that_file(films: Path) -> None:
    for path in films.iterdir():
        for text in dropped(path):
            assert typed_paths(text, None) == [path], text
            if text.strip() != str(path) or " " not in text:
                (add,) = read_line(f"add {text}", plain_context(None)).commands
                assert isinstance(add, cmd.Add)
                assert add.path == str(path), text


def test_several_dropped_files(films: Path) -> None:
    one, two = films / "a b.mkv", films / "it's.mkv"
    for text in (
        f"'{one}' '{films}/it'\\''s.mkv'",
        f"{one}\n{two}\n",
        f"file://{films}/a%20b.mkv\nfile://{two}".replace("My F", "My%20F"),
    ):
        assert typed_paths(text, films) == [one, two], text


def test_a_dropped_name_that_looks_quoted_stays_that_name(tmp_path: Path) -> None:
    for name in ("'x'", "a\\ b", "file:", " y"):
        (tmp_path / name).touch()
        assert typed_paths(name, tmp_path) == [tmp_path / name]


def test_a_file_of_another_machine() -> None:
    with pytest.raises(PathError, match="on another machine: nas"):
        typed_paths("file://nas/share/x", None)


def test_unreadable_paths_are_refused(tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    (shut / "in").mkdir(parents=True)
    shut.chmod(0)
    try:
        with without_rights():
            for line in (f"add {shut}/in/x", f"get {TICKET} -o {shut}/in/x"):
                with pytest.raises(LineError, match="in/x cannot be used: permission denied"):
                    read_line(line, plain_context(tmp_path))
            assert complete_line(f"add {shut}/", plain_context(tmp_path)) == []
            found = read_wants([TICKET], STATE, shut, lambda: "mark")
            assert found.errors == [f"{shut}/talk.pdf cannot be used: permission denied"]
            assert not found.commands
    finally:
        shut.chmod(0o700)


def test_impossible_paths_are_refused() -> None:
    with pytest.raises(PathError, match="file name too long"):
        exists_at(Path("/tmp") / ("x" * 300))
    with pytest.raises(PathError, match="a character that no name can have"):
        exists_at(Path("/tmp/\0"))
    with pytest.raises(LineError, match="that is a ticket, not a path: `get` takes it"):
        read_line(f"add {LONG}", plain_context(Path("/")))


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    odd = tmp_path / os.fsdecode(b"odd\xff")
    try:
        odd.touch()
    except OSError:
        pytest.skip("this file system has no such names")
    with pytest.raises(LineError, match="is not UTF-8"):
        read_line(f"add {odd}", plain_context(tmp_path))


def test_relative_paths_fail_if_the_folder_is_gone() -> None:
    context = plain_context(None)
    for line in ("add x", f"get {TICKET}", f"get {TICKET} -o x"):
        with pytest.raises(LineError) as failed:
            read_line(line, context)
        assert str(failed.value) == GONE
    assert complete_line("add x", context) == []
    assert read_wants([TICKET], STATE, None, str).errors == [GONE]
    assert read_line(f"add {Path(__file__)}", context).commands


def test_ticket_names_that_are_not_file_names(tmp_path: Path) -> None:
    root = raw_cid(b"x")
    for name in ("/", "..", "a/..", "\0", "//"):
        (get,) = read_wants([format_ticket(Ticket(root, name, 1))], STATE, tmp_path, str).commands
        assert isinstance(get, cmd.Get)
        assert get.path == str(tmp_path / root), name
    for name in ("a/b", "/etc/b", "../b", "~/b", "b/."):
        (get,) = read_wants([format_ticket(Ticket(root, name, 1))], STATE, tmp_path, str).commands
        assert isinstance(get, cmd.Get)
        assert get.path == str(tmp_path / "b"), name
    found = read_wants([format_ticket(Ticket(root, "日" * 200, 1))], STATE, tmp_path, str)
    assert "too long for a file" in found.errors[0]


def test_a_free_name_is_short_enough_for_a_file(tmp_path: Path) -> None:
    long = tmp_path / ("日" * 83 + ".mkv")
    long.touch()
    found = free(long, set())
    assert found.name.endswith("-2.mkv")
    assert len(os.fsencode(found.name)) <= 255
    (tmp_path / "link").symlink_to("nowhere")
    assert free(tmp_path / "link", set()).name == "link-2"


# ── tickets ─────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    "text", ["\n".join(LINES), "\n> ".join(LINES), " > ".join(LINES), f"“{TICKET}”", TICKET.upper()]
)
def test_a_pasted_ticket_in_every_prompt(text: str, tmp_path: Path) -> None:
    context = plain_context(tmp_path)
    shown = " ".join(text.split())
    found = read_wants(shown.split(), STATE, tmp_path, str)
    assert (found.errors, len(found.commands)) == ([], 1)
    for line in (
        f"want {shown}",
        f"get {shown}",
        f"get {shown} -o there",
        f"hold {shown} --replicas 2",
        f"cancel {shown}",
    ):
        (command,) = read_line(line, context).commands
        assert raw_cid(b"talk") in about(command), line


def about(command: object) -> tuple[str, ...]:
    """Return the objects that a command is about."""
    one = getattr(command, "root", None) or getattr(command, "cid", None)
    return (one,) if one is not None else getattr(command, "cids", ())


def test_known_names_stay_names_beside_tickets(tmp_path: Path) -> None:
    found = read_wants(["film.mkv", *LINES, str(ROOT)], STATE, tmp_path, str)
    assert [about(command) for command in found.commands] == [(ROOT,), (raw_cid(b"talk"),), (ROOT,)]


def test_an_error_names_the_command_that_takes_such_a_word(tmp_path: Path) -> None:
    assert "`add` shares a path" in read_wants(["/etc/hostname"], STATE, tmp_path, str).errors[0]
    many = read_wants([str(raw_cid(str(n).encode())) for n in range(MAX_WORDS + 1)], STATE, tmp_path, str)
    assert "`flux-tui want -` takes any number" in many.errors[0]


# ── words of a line ─────────────────────────────────────────────────────────────────────────────


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=20))
def test_a_quoted_word_is_parsed_as_itself(word: str) -> None:
    import shlex

    line = f"x {quoted(word)}"
    assert last_argument(line) == ("x ", word)
    assert shlex.split(line) == ["x", word]


def test_a_completed_path_can_be_entered(films: Path) -> None:
    context = plain_context(films.parent)
    (line,) = complete_line("add My", context)
    assert line == r"add My\ Films/"
    for completed in complete_line(line, context):
        assert read_line(completed, context).commands, completed
    assert complete_line("add 'My Films/a", context) == [r"add My\ Films/a\ b.mkv"]


# ── in the dashboard ────────────────────────────────────────────────────────────────────────────


async def paste(pilot: Pilot[bool], text: str) -> None:
    pilot.app.post_message(events.Paste(text))
    await pilot.pause()
    await pilot.pause()


def error(live: Live) -> str:
    return str(live.app.screen.query_one("#error", PlainText).content)


@on_asyncio
async def test_a_ticket_pasted_into_the_dashboard(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        await paste(pilot, "\n> ".join(LINES))
        assert isinstance(live.app.screen, WantScreen)
        assert str(live.app.screen.query_one("#preview", PlainText).content).startswith("talk.pdf · 4.0 KiB")
        await pilot.press("enter")
        await pilot.pause()
        assert [type(command) for command in live.pushed] == [cmd.Get]
        await paste(pilot, "neither one nor the other")
        assert len(live.app.screen_stack) == 1
        assert toasts(live.app) == ["what was pasted is neither a ticket nor a path"]
        await paste(pilot, "'/etc/hostname'")
        window = live.app.screen_stack[-1]
        assert isinstance(window, AddScreen)
        assert window.query_one(PlainInput).value == "/etc/hostname"
        await paste(pilot, "x" * (MAX_PASTED + 1))
        assert window.query_one(PlainInput).value == "/etc/hostname"


@on_asyncio
async def test_a_paste_right_after_the_key_arrives(live: Live) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        for key in ("w", "a"):
            live.app.post_message(events.Key(key, key))
            await paste(pilot, TICKET)
            await pilot.pause(0.1)
            assert live.app.screen.query_one(PlainInput).value == TICKET
            await pilot.press("escape")


@on_asyncio
async def test_files_dropped_on_the_window(live: Live, films: Path) -> None:
    live.append(*STORY)
    async with live.app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        for text in dropped(films / "a b.mkv"):
            await pilot.press("a")
            await paste(pilot, text)
            await pilot.press("enter")
            await pilot.pause()
            (added,) = live.pushed
            assert isinstance(added, cmd.Add)
            assert added.path == str(films / "a b.mkv")
            live.pushed.clear()
        await pilot.press("a")
        await paste(pilot, f"'{films}/a b.mkv' '{films}/100%.mkv' ")
        await pilot.press("enter")
        await pilot.pause()
        assert len(live.pushed) == 2


@on_asyncio
async def test_the_window_for_adding_survives_any_text(live: Live, tmp_path: Path) -> None:
    shut = tmp_path / "shut"
    (shut / "in").mkdir(parents=True)
    live.append(*STORY)
    async with live.app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        await pilot.press("a")
        field = live.app.screen.query_one(PlainInput)
        shut.chmod(0)
        try:
            with without_rights():
                for text, sentence in (
                    ("~x", "~x does not exist"),
                    (LONG, "That is a ticket, not a path"),
                    ("\n> ".join(LINES), "That is a ticket, not a path"),
                    (f"{shut}/in/x", "permission denied"),
                    ("x" * 5000, "too long"),
                    ("file://nas/x", "on another machine"),
                    ("/tmp/\ud800", "no name can have"),
                    ("  ", "Nothing was typed yet."),
                ):
                    field.value = ""
                    await paste(pilot, text)
                    await pilot.press("tab", "enter")
                    await pilot.pause()
                    assert sentence in error(live), text[:20]
                    assert isinstance(live.app.screen, AddScreen)
        finally:
            shut.chmod(0o700)
        assert not live.pushed


@on_asyncio
async def test_the_dashboard_works_if_its_folder_is_gone(
    live: Live, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    shutil.rmtree(gone)
    live.append(*STORY)
    async with live.app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        await pilot.press("a")
        live.app.screen.query_one(PlainInput).value = "x"
        await pilot.press("tab", "enter")
        await pilot.pause()
        assert error(live) == GONE
        await pilot.press("escape", "w")
        await paste(pilot, TICKET)
        await pilot.press("enter")
        await pilot.pause()
        assert error(live) == GONE
        await pilot.press("escape", ":", *"add x", "tab", "enter")
        await pilot.pause()
        assert str(live.app.screen.query_one("#prompt-error", PlainText).content) == GONE
        await pilot.press("escape", "s")
        await pilot.pause()
        assert "cannot be saved" in toasts(live.app)[0]
    assert live.app.return_code != 1


@on_asyncio
async def test_no_prompt_crashes_the_dashboard(live: Live) -> None:
    live.append(*STORY)
    typed = {
        ":": [
            "goto #999999999999999999999", "goto -99999999999d", "goto +9999999999999d", "speed ²", "sort {0}",
            "theme [b]", "panel \x00", "limit --quota " + "9" * 5000, "limit --max-uploads ²", "get -o", "rm [x", "'",
            "join /\ud800/p2p/x", "hold x --replicas ²", "get x -o " + "y" * 5000, "add " + "~" * 300, "[/]", "{}",
            "filter {0} kind:{} [/x]",
        ],
        "t": ["9" * 500, "-" + "9" * 400 + "d", "99:99", "[/]", "{0}"],
        "/": ["kind:{0}", "{}", "[/b]", "reason:[bold]", "!", "peer:" + "x" * 5000],
    }  # fmt: skip
    async with live.app.run_test(size=(100, 30)) as pilot:
        await pilot.pause()
        for key, lines in typed.items():
            for line in lines:
                await pilot.press(key)
                live.app.parts.prompt.field.value = line
                await pilot.press("tab", "enter")
                await pilot.pause()
                await pilot.press("escape", "escape", "L")
        assert live.app.is_running
    assert live.app.return_code != 1


@on_asyncio
async def test_a_name_that_is_not_utf_8_is_copied_as_shown(live: Live) -> None:
    async with live.app.run_test(size=(100, 30)):
        live.app.copy_to_clipboard("a\udcff")
        assert live.app.clipboard == r"a\udcff"
        live.app.copy_to_clipboard("a\x1b")
        assert live.app.clipboard == "a\x1b"
