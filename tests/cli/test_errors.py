"""Every error: one clear sentence on stderr, the right exit status, nothing on stdout, no traceback."""

import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import pytest

from flux_tui.cli import run
from flux_tui.core.content.ticket import Ticket, format_ticket
from flux_tui.core.ids import Cid, PeerId, dag_cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Event
from flux_tui.core.text.describe import entry_line
from flux_tui.core.text.names import short_addr
from flux_tui.home import Home
from flux_tui.store import database
from flux_tui.store.series_reader import SeriesReader
from flux_tui.store.store import Store
from tests.bench.nodes import LISTEN, flux, state, wait_for
from tests.core.samples import PEER
from tests.support.rights import without_rights

CID = raw_cid(b"nobody has this")
TICKET = format_ticket(Ticket(CID, "film.mkv", 15, (f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}",)))


class Outcome(NamedTuple):
    status: int
    out: str
    err: str

    def failed(self, words: str) -> None:
        """Check a failure: exit status 1, and one sentence that matches a pattern."""
        assert "Traceback" not in self.err
        assert re.fullmatch(rf"flux-tui: .*({words}).*\n", self.err), self.err
        assert (self.status, self.out) == (1, "")

    def misused(self, words: str) -> None:
        """Check wrong usage: exit status 2, and a message."""
        assert "Traceback" not in self.err
        assert re.search(rf"^Error: .*({words})", self.err, re.MULTILINE), self.err
        assert (self.status, self.out) == (2, "")

    def done(self) -> str:
        assert self.status == 0, self.err
        return self.out


class Command(Protocol):
    def __call__(self, *arguments: str | Path, home: Path | None = None) -> Outcome: ...


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Command:
    """Run a command in this process, as the program does. Return its output and exit status."""
    monkeypatch.setenv("FLUX_TUI_HOME", str(tmp_path / "default"))
    monkeypatch.chdir(tmp_path)

    def call(*arguments: str | Path, home: Path | None = None) -> Outcome:
        at = () if home is None else ("--home", str(home))
        status = run([*map(str, arguments), *at])
        return Outcome(status, *capsys.readouterr())

    return call


def process(*arguments: str | Path, home: Path) -> Outcome:
    """Run a command in a new process."""
    result = flux(*map(str, arguments), home=home, check=False)
    return Outcome(result.returncode, result.stdout, result.stderr)


def write(home: Path, *events: Event) -> Home:
    """Make a home with these entries, in which no node ever ran."""
    store = Store.open(home)
    store.commit([(1_700_000_000.0 + number, event) for number, event in enumerate(events)])
    store.close()
    return Home(home)


STORY: tuple[Event, ...] = (
    ev.Requested(cid=CID, name="film.mkv", size=15, path="/film.mkv"),
    ev.PeerConnected(peer=PeerId(PEER), addr="/ip4/192.0.2.1/tcp/1"),
    ev.StatusNo(peer=PeerId(PEER), cids=(CID,), reason="busy", has_it=True, retry_after=2.0),
    ev.ChunkReceived(cid=CID, size=15, peer=PeerId(PEER), roots=(CID,), fills=15),
    ev.ObjectCompleted(root=CID, size=15, path="/film.mkv"),
    ev.StatusNo(peer=PeerId(PEER), cids=(CID,), reason="not_held", has_it=False, retry_after=None),
)


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return write(tmp_path / "home", *STORY).path


# ── words that name nothing ─────────────────────────────────────────────────────────────────────

NO_CID = {
    "nonsense": "“nonsense” is not a CID: expected one that starts with bafk, bafy or Qm",
    CID[:-1]: "is not a CID: it is 58 characters long, a whole one has 59",
    CID[:-1] + "b": "is not a CID: its last character is wrong",
    CID[:20] + "1" + CID[21:]: "is not a CID: it has characters outside base32",
    "bafyreigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi": "is not a file or folder: codec 0x71",
    "Qm" + "1" * 44: "is not a CID: it starts like a CIDv0 but does not decode",
}


@pytest.mark.parametrize("text", NO_CID)
@pytest.mark.parametrize("command", ["get", "want", "cancel", "retry"])
def test_an_invalid_cid(here: Command, home: Path, command: str, text: str) -> None:
    here(command, text, home=home).failed(NO_CID[text])


def test_an_empty_cid(here: Command) -> None:
    here("want", "").failed("the CID is empty")
    here("get", " ").failed("the CID is empty")


def test_cids_from_standard_input(here: Command, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for text, words in (("", "there was no CID on standard input"), (f"{CID}\nx\n", "“x” is not a CID")):
        (tmp_path / "in").write_text(text)
        with (tmp_path / "in").open() as file:
            monkeypatch.setattr(sys, "stdin", file)
            here("want", "-").failed(words)


@pytest.mark.parametrize("place", [10, 40, len(TICKET) - 10])
def test_a_ticket_with_one_wrong_character(here: Command, place: int) -> None:
    other = "a" if TICKET[place] != "a" else "b"
    not_whole = "that ticket is not whole: copy it again, from flux1 to its last character"
    here("get", TICKET[:place] + other + TICKET[place + 1 :]).failed(not_whole)
    here("get", TICKET[:place] + TICKET[place + 1 :]).failed(not_whole)
    here("get", TICKET[:place] + "!" + TICKET[place + 1 :]).failed(not_whole)
    here("get", TICKET[:place]).failed(not_whole)


def test_a_ticket_of_something_else(here: Command) -> None:
    here("get", "flux1").failed("not whole")
    here("get", "flux1" + "a" * 5000).failed("that is not a ticket: it is 5,005 characters long")
    here("get", TICKET[1:]).failed("is not a CID")


@pytest.mark.parametrize(
    ("addr", "words"),
    [
        (
            "nonsense",
            "nonsense is neither a ticket nor the address of a peer: expected /ip4/ADDRESS/tcp/PORT/p2p/PEER-ID",
        ),
        ("/ip4/127.0.0.1/tcp/1", "neither a ticket nor the address of a peer"),
        (f"x/p2p/{PEER}", "neither a ticket nor the address of a peer"),
        ("/ip4/127.0.0.1/tcp/1/p2p/me", "“me” is not a peer id: expected something like 12D3KooW…"),
        (TICKET[:-3], "that ticket is not whole"),
    ],
)
def test_an_invalid_address(here: Command, addr: str, words: str) -> None:
    here("join", addr).failed(words)


def test_an_unknown_entry_or_kind(here: Command, home: Path) -> None:
    here("state", "--at", "7", home=home).failed("there is no entry 7: the series ends with 6")
    for start in ("8", "99999"):
        here("series", "--from", start, home=home).failed(
            f"there is no entry {start}: the series ends with 6"
        )
    assert here("series", "--from", "7", home=home).done() == "", "nothing new"
    here("series", "--kind", "chunk", home=home).failed(
        "'chunk' is not a kind of entry; the kinds are: add_cancelled, add_progressed, "
    )


# ── files ───────────────────────────────────────────────────────────────────────────────────────


def test_adding_a_missing_file(here: Command, tmp_path: Path) -> None:
    (tmp_path / "dangling").symlink_to("nothing")
    (tmp_path / "file").touch()
    for name in ("none", "dangling", "file/below"):
        here("add", tmp_path / name).failed(f"{tmp_path}/{name} does not exist")
    here("add", "~nobody/x").failed("does not exist")
    assert not (tmp_path / "default").exists()


def test_adding_a_path_that_cannot_be_shared(here: Command, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    here("add", tmp_path / "pipe").failed("pipe is neither a file nor a folder, so it cannot be shared")
    here("add", "x" * 300).failed("x cannot be used: file name too long")
    if sys.platform == "linux":
        odd = tmp_path / os.fsdecode(b"odd\xff")
        odd.touch()
        here("add", odd).failed(r"odd\\udcff is not UTF-8: rename it to share it")
        here("get", CID, "-o", odd.with_name(os.fsdecode(b"new\xff"))).failed(
            r"new\\udcff is not UTF-8: choose another"
        )


def test_adding_an_unreadable_file(here: Command, tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "file").touch()
    (tmp_path / "sub" / "file").chmod(0)
    with without_rights():
        here("add", tmp_path / "sub" / "file").failed("sub/file cannot be read: you have no right to")
        here("add", tmp_path / "sub").failed("sub/file cannot be read: you have no right to")
        (tmp_path / "sub").chmod(0)
        here("add", tmp_path / "sub").failed("sub cannot be read: you have no right to")
        here("add", tmp_path / "sub" / "file").failed("sub/file cannot be used: permission denied")
        (tmp_path / "sub").chmod(0o700)


def test_get_to_an_impossible_path(here: Command, tmp_path: Path) -> None:
    (tmp_path / "film.mkv").write_text("mine")
    here("get", TICKET).failed("film.mkv exists already: choose another name with -o")
    here("get", TICKET, "-o", tmp_path).failed("film.mkv exists already")
    here("get", TICKET, "-o", "no/where").failed("the folder .*/no does not exist")
    here("get", TICKET, "-o", "x" * 300).failed("cannot be used: file name too long")
    here("get", TICKET, "-o", "film.mkv/below").failed("the folder .*/film.mkv does not exist")
    assert (tmp_path / "film.mkv").read_text() == "mine"


@pytest.mark.parametrize("name", ["..", ".", "/", "../../..", "a/..", "\0"])
def test_a_ticket_whose_name_leads_to_another_folder(here: Command, tmp_path: Path, name: str) -> None:
    """The ticket names a file, never a folder. A file with the root's name is in its way."""
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / CID).touch()
    ticket = format_ticket(Ticket(CID, name, 15))
    here("get", ticket, "-o", tmp_path / "here").failed(f"here/{CID} exists already")


def test_add_reports_entries_of_a_folder_that_are_not_shared(here: Command, tmp_path: Path) -> None:
    photos = tmp_path / "photos"
    (photos / "sub").mkdir(parents=True)
    (photos / "file").write_text("x")
    (photos / "sub" / "fine").symlink_to("../file")
    (photos / "sub" / "out").symlink_to("../../x")
    for name in "abcd":
        (photos / name).symlink_to("/etc")
    os.mkfifo(photos / "pipe")
    outcome = here("add", photos)
    assert len(outcome.done().splitlines()) == 2
    assert outcome.err.splitlines()[:2] == [
        f"{photos} has 5 links that lead out of it, which others do not get:"
        " a → /etc; b → /etc; c → /etc; and 2 more",
        f"{photos} has a socket, pipe or device, left out: pipe",
    ]


def test_a_folder_is_shared_under_its_own_name(here: Command, tmp_path: Path) -> None:
    (tmp_path / "photos" / "sub").mkdir(parents=True)
    for path in (tmp_path / "photos" / "sub" / "..", tmp_path / "photos" / "."):
        told = json.loads(here("add", "--json", path).done())
        assert (told["name"], told["path"]) == ("photos", str(tmp_path / "photos"))


def test_export_to_an_impossible_path(here: Command, home: Path, tmp_path: Path) -> None:
    (tmp_path / "there").write_text("mine")
    here("export", tmp_path / "there", home=home).failed("there exists already: choose another name")
    here("export", tmp_path / "no" / "where", home=home).failed(
        "no/where cannot be opened: check that its folder"
    )
    here("export", tmp_path / "none", home=tmp_path / "nothing").failed("there is nothing at .*/nothing yet")
    assert here("export", "--force", tmp_path / "there", home=home).done() == ""
    reader = SeriesReader.open(tmp_path / "there")
    assert reader.last_seq() == len(STORY)
    reader.close()
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o500)
    with without_rights():
        here("export", closed / "x", home=home).failed("closed/x cannot be opened")


def test_replaying_a_file_that_is_not_a_series(here: Command, tmp_path: Path) -> None:
    here("replay", tmp_path / "none").failed("there is no series at .*/none")
    here("replay", tmp_path).failed("there is no series at")
    (tmp_path / "text").write_text("a text that is long enough to be read as the head of a database " * 9)
    here("replay", tmp_path / "text").failed(
        "text is not a series of flux-tui's: `flux-tui export` writes one"
    )
    (tmp_path / "text").chmod(0)
    with without_rights():
        here("replay", tmp_path / "text").failed(
            "text cannot be opened: check that its folder is there, and the"
        )


# ── homes ───────────────────────────────────────────────────────────────────────────────────────

READING: tuple[tuple[str, ...], ...] = (
    ("state",),
    ("state", "--json"),
    ("series",),
    ("series", "--json", "--follow"),
    ("export", "copy"),
)
STARTING: tuple[tuple[str, ...], ...] = (
    ("want", CID),
    ("get", TICKET, "-o", "out"),
    ("join", f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}"),
)


def test_an_empty_home(here: Command, tmp_path: Path) -> None:
    for command in READING:
        here(*command).failed(
            "there is nothing at .*/default yet: `flux-tui add FILE` or `flux-tui node` creates"
        )
    for pushing in (("stop",), ("cancel", CID), ("retry",)):
        here(*pushing).failed("no node is running for .*/default")
    assert not (tmp_path / "default").exists(), "who only looks makes nothing"


def test_a_home_that_is_a_file(here: Command, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    for command in (*READING, *STARTING, ("add", tmp_path / "file")):
        here(*command, home=tmp_path / "file").failed(f"the home {tmp_path}/file is a file, not a folder")
    process("node", *LISTEN, home=tmp_path / "file").failed("file is a file, not a folder")
    for command in (*STARTING, ("add", tmp_path / "file")):
        here(*command, home=tmp_path / "file" / "x").failed("cannot be made: a part of its path is a file")
    here("stop", home=tmp_path / "file").failed("no node is running")
    assert (tmp_path / "file").read_text() == "mine"


def test_a_home_without_access_rights(here: Command, home: Path) -> None:
    home.parent.chmod(0o500)
    (home.parent / "file").exists()
    with without_rights():
        for command in STARTING:
            here(*command, home=home.parent / "new").failed(
                "the home .*/new cannot be written: permission denied"
            )
        home.chmod(0)
        for command in READING[:2]:
            here(*command, home=home).failed("flux.db cannot be used: permission denied")
        home.chmod(0o700)
        home.parent.chmod(0o700)
        (home / "flux.db").chmod(0)
        for command in READING[:2]:
            here(*command, home=home).failed(
                "flux.db cannot be opened: check that its folder is there, and the rights"
            )


def garbage(path: Path) -> None:
    path.write_bytes(b"\x00\xff" * 4096)


def broken_pages(path: Path) -> None:
    """Damage all pages of a database but the first."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (size - 4096))


def newer(path: Path) -> None:
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute(f"PRAGMA user_version={database.SCHEMA_VERSION + 1}")


def somebodys(path: Path) -> None:
    path.unlink()
    with contextlib.closing(sqlite3.connect(path)) as db:
        db.execute("CREATE TABLE entry (x)")


def a_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (garbage, r"flux\.db is damaged \(file is not a database\): move it away to begin anew"),
        (broken_pages, r"flux\.db is damaged \(database disk image is malformed\): move it away"),
        (
            newer,
            r"flux\.db was written by a newer flux-tui \(format 5, this one reads up to 4\): update flux-tui",
        ),
        (somebodys, r"flux\.db is a database, but not one of flux-tui's"),
        (a_folder, r"there is no series at .*flux\.db|flux\.db cannot be opened: check that its folder"),
    ],
)
def test_a_database_that_cannot_be_used(
    here: Command, home: Path, tmp_path: Path, damage: Callable[[Path], None], words: str
) -> None:
    damage(home / "flux.db")
    before = b"" if damage is a_folder else (home / "flux.db").read_bytes()[4096:]
    (tmp_path / "file").write_text("x")
    for command in (*READING, ("add", tmp_path / "file")):
        here(*command, home=home).failed(words)
    assert not (tmp_path / "copy").exists()
    if damage is not a_folder:
        assert (home / "flux.db").read_bytes()[4096:] == before, "nothing was made worse"


def test_a_node_that_cannot_start_says_why(home: Path, tmp_path: Path) -> None:
    """It says so in the foreground, and to the command that starts it in the background."""
    newer(home / "flux.db")
    words = "was written by a newer flux-tui"
    process("node", *LISTEN, home=home).failed(words)
    process("want", CID, *LISTEN, home=home).failed(words)
    assert Home(home).running() is None
    other = tmp_path / "other"
    other.mkdir()
    (other / "settings.toml").write_text("max_pending = 0\n")
    words = r"other/settings\.toml: max_pending is 0, expected a whole number above 0"
    process("node", *LISTEN, home=other).failed(words)
    process("get", CID, "-o", tmp_path / "x", home=other).failed(words)
    (other / "settings.toml").unlink()
    (other / "identity").write_text("garbage")
    process("node", *LISTEN, home=other).failed("the identity .* is damaged: put back a copy")


def test_an_invalid_swarm_key(here: Command, tmp_path: Path) -> None:
    (tmp_path / "swarm.key").write_text("secret")
    place = tmp_path / "a home"
    there = process("node", *LISTEN, "--swarm-key", tmp_path / "swarm.key", home=place)
    there.failed(r"\S+swarm\.key is not a swarm key: expected the lines /key/swarm/psk/1\.0\.0/ and /base16/")
    # The same from a command that starts a node in the background, in another folder.
    told = here("want", CID, *LISTEN, "--swarm-key", "swarm.key", home=place)
    told.failed(r"\S+swarm\.key is not a swarm key")
    here("want", CID, *LISTEN, "--swarm-key", "nothing", home=place).failed(
        "nothing cannot be read: no such file"
    )


@pytest.mark.parametrize("addr", ["/ip4/127.0.0.1/tcp/1", "relay", f"/p2p/{PEER}"])
def test_an_invalid_relay_address(tmp_path: Path, addr: str) -> None:
    process("node", *LISTEN, "--relay", addr, home=tmp_path / "a home").failed("cannot use a relay: ")


def test_a_log_that_cannot_be_written(here: Command, tmp_path: Path) -> None:
    (tmp_path / "default" / "node.log").mkdir(parents=True)
    here("want", CID).failed(r"node\.log cannot be written: is a directory")


def test_a_socket_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "home" / "node.sock").mkdir(parents=True)
    process("node", *LISTEN, home=tmp_path / "home").failed(r"node\.sock cannot be used: is a directory")


@pytest.mark.parametrize("addr", ["nonsense", "/ip4/127.0.0.1/tcp/99999"])
def test_a_listen_address_that_cannot_be_used(tmp_path: Path, addr: str) -> None:
    process("node", "--no-mdns", "--listen", addr, home=tmp_path / "home").failed(re.escape(addr))


def test_adding_while_another_process_adds(
    here: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`add` waits for a home that is used by a process without a command socket (a starting node, another `add`)."""
    (tmp_path / "file").write_text("x")
    home = Home(tmp_path / "home")
    stack = contextlib.ExitStack()
    stack.enter_context(home.lock())
    looked: list[bool] = []

    def listening(self: Home) -> bool:
        looked.append(True)
        if len(looked) == 3:
            stack.close()
        return False

    monkeypatch.setattr(Home, "listening", listening)
    told = json.loads(here("add", "--json", tmp_path / "file", home=home.path).done())
    assert (told["root"], len(looked)) == (raw_cid(b"x"), 3)

    monkeypatch.setattr("flux_tui.cli.commands.add.BUSY_SECONDS", -1.0)
    with home.lock():
        here("add", tmp_path / "file", home=home.path).failed(
            f"home is in use by the process with pid {os.getpid()}: wait until it is done"
        )


# ── wrong usage ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("teleport",), "No such command 'teleport'."),
        (("gt",), "No such command 'gt'; did you mean get?"),
        (("Share", "film.mkv"), "No such command 'Share'; did you mean add?"),
        (("add",), "Missing argument 'PATH...'"),
        (("get",), "Missing argument"),
        (("get", CID, CID), "unexpected extra argument"),
        (("want",), "Missing argument"),
        (("state", "extra"), "unexpected extra argument"),
        (("state", "--at", "-1"), "'--at'"),
        (("state", "--at", "x"), "'x' is not a valid integer"),
        (("series", "--from", "0"), "0 is not in the range x>=1"),
        (("series", "--nonsense"), "No such option"),
        (("series", "--kind"), "'--kind' requires an argument"),
        (("node", "--max-pending", "many"), "'many' is not a valid integer"),
        (("completion", "cobol"), "'cobol' is not one of 'bash', 'zsh', 'fish'"),
        (("--nonsense",), "No such option"),
    ],
)
def test_wrong_usage(here: Command, arguments: tuple[str, ...], words: str) -> None:
    here(*arguments).misused(words)


def test_a_process_has_the_status_and_streams_of_its_command(tmp_path: Path) -> None:
    """The tests above rely on this: the exit status and both streams are those of the process."""
    process("teleport", home=tmp_path).misused("No such command 'teleport'")
    process("state", home=tmp_path / "none").failed("there is nothing at")
    assert process("--version", home=tmp_path).out.startswith("flux-tui, version ")


# ── full disks ──────────────────────────────────────────────────────────────────────────────────

FULL_DISK = """
disk=$1 file=$2 told=$3 python=$4
mount -t tmpfs -o size=64k,mode=700 none "$disk" || exit 77
flux() {
    name=$1; shift
    "$python" -m flux_tui "$@" --home "$disk/home" >"$told/$name.out" 2>"$told/$name.err" </dev/null
    echo $? >"$told/$name.status"
}
flux begin add "$file"
flux look state
flux node node --listen /ip4/127.0.0.1/tcp/0 --no-mdns
mount -o remount,size=1m "$disk"
flux again add "$file"
head -c 2000000 /dev/zero >"$disk/filler"
flux full add "$file"
flux export export "$disk/copy"
flux read state --json
flux want want CID --listen /ip4/127.0.0.1/tcp/0 --no-mdns
rm "$disk/filler"
flux after add --json "$file"
"""


@pytest.mark.skipif(shutil.which("unshare") is None, reason="a disk of one's own needs unshare (Linux)")
def test_a_full_disk(tmp_path: Path) -> None:
    """Each command says so. Old entries can be read. Once there is room, everything works again."""
    for folder in ("disk", "told"):
        (tmp_path / folder).mkdir()
    (tmp_path / "file").write_text("x")
    how = ["unshare", "-m"] if os.geteuid() == 0 else ["unshare", "-rm"]
    script = FULL_DISK.replace("CID", CID)
    places = [str(tmp_path / name) for name in ("disk", "file", "told")]
    result = subprocess.run(
        [*how, "sh", "-c", script, "sh", *places, sys.executable], capture_output=True, text=True, timeout=120
    )
    if not (tmp_path / "told" / "begin.status").exists():
        pytest.skip(f"a disk of one's own cannot be had here: {result.stderr.strip()}")

    def told(name: str) -> Outcome:
        status, out, err = (
            (tmp_path / "told" / f"{name}.{end}").read_text() for end in ("status", "out", "err")
        )
        return Outcome(int(status), out, err)

    full = "the disk is full: .* free some space, nothing is lost|cannot be written: no space left on device"
    for name in ("begin", "node", "full", "export"):
        told(name).failed(full)
    told("look").failed("there is nothing at|has no entries table|the disk is full")
    told("want").failed(f"{full}|the node did not start")
    assert told("again").status == 0, "what was begun on a full disk is no harm later"
    assert json.loads(told("read").done())["seq"] == 1
    assert json.loads(told("after").done())["root"] == raw_cid(b"x")


def test_a_disk_that_fills_up_during_a_command(
    here: Command, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same in any place: a database that may not grow."""
    (tmp_path / "tree").mkdir()
    for number in range(500):
        (tmp_path / "tree" / f"{number}").write_text(f"{number}" * 100)
    before = here("state", "--json", home=home).done()
    real = database.open_writer

    def small(path: Path) -> sqlite3.Connection:
        db = real(path)
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count={pages + 2}")
        return db

    with monkeypatch.context() as patched:
        patched.setattr("flux_tui.store.store.open_writer", small)
        here("add", tmp_path / "tree", home=home).failed(
            "the disk is full: .*/home takes no more; free some space"
        )
    assert here("state", "--json", home=home).done() == before
    here("add", tmp_path / "tree", home=home).done()


# ── the other end of the pipe ───────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def long(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a home with more entries than fit into a pipe."""
    folder = tmp_path_factory.mktemp("long")
    return write(folder / "home", *(ev.NodeStopped(reason="x" * 100) for _ in range(3000))).path


def start(*arguments: str, home: Path, **how: Any) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        [sys.executable, "-m", "flux_tui", *arguments, "--home", str(home)], stderr=subprocess.PIPE, **how
    )


@pytest.mark.parametrize("flags", [(), ("--json",)])
def test_a_pipe_closed_by_its_reader(long: Path, flags: tuple[str, ...]) -> None:
    """`flux-tui series | head -1`"""
    with start("series", *flags, home=long, stdout=subprocess.PIPE) as writer:
        assert writer.stdout is not None
        assert b"node_stopped" in writer.stdout.readline()
        writer.stdout.close()
        _, words = writer.communicate(timeout=20)
    assert (writer.returncode, words) == (0, b"")


@pytest.mark.parametrize("arguments", [("state",), ("state", "--json"), ("--help",), ("add", "--help")])
def test_a_pipe_whose_reader_is_gone_already(home: Path, arguments: tuple[str, ...]) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    before = ("--home", str(home)) if arguments == ("--help",) else arguments
    after = arguments if arguments == ("--help",) else ("--home", str(home))
    result = subprocess.run(
        [sys.executable, "-m", "flux_tui", *before, *after], stdout=writer, stderr=subprocess.PIPE, timeout=20
    )
    os.close(writer)
    assert (result.returncode, result.stderr) == (0, b"")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full here")
@pytest.mark.parametrize("arguments", [("state",), ("state", "--json"), ("series",)])
def test_output_that_cannot_be_written(home: Path, arguments: tuple[str, ...]) -> None:
    with Path("/dev/full").open("wb") as full, start(*arguments, home=home, stdout=full) as writer:
        _, words = writer.communicate(timeout=20)
    Outcome(writer.returncode, "", words.decode()).failed(
        "the output cannot be used: no space left on device"
    )


@pytest.mark.parametrize(
    "arguments",
    [("state", "--json"), ("state",), ("series",), ("--help",), ("-h",), ("get", "--help"), ("--version",)],
)
def test_closed_standard_output(home: Path, arguments: tuple[str, ...]) -> None:
    script = 'exec "$@" >&-'
    result = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-m", "flux_tui", "--home", str(home), *arguments],
        stderr=subprocess.PIPE, timeout=20,
    )  # fmt: skip
    assert (result.returncode, result.stderr) == (1, b"flux-tui: standard output is closed\n")


def test_closed_standard_error(tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"f")
    words = ["add", str(tmp_path / "f"), "--json", "--home", str(tmp_path / "home")]
    result = subprocess.run(
        ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-m", "flux_tui", *words],
        stdout=subprocess.PIPE, timeout=20,
    )  # fmt: skip
    assert (result.returncode, json.loads(result.stdout)["size"]) == (0, 1)


def test_a_terminal_with_a_small_character_set(tmp_path: Path) -> None:
    home = write(tmp_path / "home", ev.Requested(cid=CID, name="fünf 日本")).path
    few = os.environ | {"PYTHONIOENCODING": "latin-1"}
    with start("series", home=home, stdout=subprocess.PIPE, env=few) as writer:
        out, words = writer.communicate(timeout=20)
    assert (writer.returncode, words) == (0, b"")
    assert b"f\xfcnf \\u65e5\\u672c" in out
    with start("series", "--json", home=home, stdout=subprocess.PIPE, env=few) as writer:
        out, _ = writer.communicate(timeout=20)
    assert json.loads(out)["name"] == "fünf 日本"


def test_names_from_peers_do_not_control_the_terminal(
    here: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    name = "\x1b[2J[bold]no[/markup]\nnext"
    home = write(
        tmp_path / "home",
        ev.Requested(cid=CID, name=name, path=f"/tmp/{name}"),
        ev.ErrorReceived(peer=PeerId(PEER), text=name),
        ev.ErrorOccurred(text=name),
    ).path
    shown = r"\x1b[2J[bold]no[/markup]\nnext"
    series, table = here("series", home=home).done(), here("state", home=home).done()
    assert [shown in line for line in series.splitlines()] == [True] * 3
    assert table.count(shown) == 2
    assert "\x1b" not in series + table
    here("add", f"/{name}", home=home).failed(re.escape(f"/{shown} does not exist"))


# ── what can be read ────────────────────────────────────────────────────────────────────────────


def numbers(outcome: Outcome) -> list[int]:
    """Return the numbers of the entries, after a check that every line of `--json` is one object."""
    return [json.loads(line)["seq"] for line in outcome.done().splitlines()]


def test_the_series_and_parts_of_it(here: Command, home: Path) -> None:
    assert numbers(here("series", "--json", home=home)) == [1, 2, 3, 4, 5, 6]
    assert numbers(here("series", "--json", "--from", "4", home=home)) == [4, 5, 6]
    assert numbers(here("series", "--json", "--from", "7", home=home)) == []
    no, chunk = ("--kind", "status_no"), ("--kind", "chunk_received")
    assert numbers(here("series", "--json", *no, home=home)) == [3, 6]
    assert numbers(here("series", "--json", *no, *chunk, "--from", "4", home=home)) == [4, 6]
    assert here("series", "--kind", "cancelled", home=home).done() == ""
    entry = json.loads(here("series", "--json", *chunk, home=home).done())
    assert entry == {
        "seq": 4, "at": 1_700_000_003.0, "event": "chunk_received",
        "cid": CID, "size": 15, "peer": PEER, "roots": [CID], "fills": 15,
    }  # fmt: skip


def test_the_series_in_words(here: Command, home: Path) -> None:
    reader = SeriesReader.open(home / "flux.db")
    kinds = [re.split(r"\s+", entry_line(entry).strip())[2] for entry in reader.read(0, 10)]
    reader.close()
    lines = here("series", home=home).done().splitlines()
    assert [line.split()[2] for line in lines] == kinds
    assert "film.mkv → /film.mkv" in lines[0], "by the names that are known"
    assert "busy, again in 2.0 s: has film.mkv" in lines[2]


def test_the_state_at_any_entry(here: Command, home: Path) -> None:
    def at(seq: int) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(here("state", "--json", "--at", str(seq), home=home).done())
        return found

    assert (at(0)["seq"], at(0)["pending"], at(0)["peer_id"]) == (0, [], None)
    assert [pending["cid"] for pending in at(1)["pending"]] == [CID]
    assert at(3)["status"][PEER]["counts"] == {"busy": 1}
    assert (at(3)["received_bytes"], at(4)["received_bytes"]) == (0, 15)
    assert (at(4)["objects"][0]["complete"], at(5)["objects"][0]["complete"]) == (False, True)
    assert at(6) == json.loads(here("state", "--json", home=home).done())
    assert (at(3)["at"], at(6)["at"]) == (1_700_000_002.0, 1_700_000_005.0)
    assert "after entry 3, 1 peer connected" in here("state", "--at", "3", home=home).done()


def test_the_home_may_be_named_in_three_ways(
    here: Command, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    by_flag = here("state", "--json", home=home).done()
    assert here("--home", home, "state", "--json").done() == by_flag
    monkeypatch.setenv("FLUX_TUI_HOME", str(home))
    assert here("state", "--json").done() == by_flag
    here("state", home=home / "other").failed("there is nothing at .*/home/other yet")


def test_the_json_of_an_added_file(here: Command, tmp_path: Path) -> None:
    (tmp_path / "fünf").write_text("x")
    (tmp_path / "six").write_text("y")
    outcome = here("add", "--json", tmp_path / "fünf", tmp_path / "six")
    one, two = (json.loads(line) for line in outcome.done().splitlines())
    assert one == {
        "root": raw_cid(b"x"), "name": "fünf", "size": 1, "chunks": 1, "path": str(tmp_path / "fünf"),
        "ticket": format_ticket(Ticket(raw_cid(b"x"), "fünf", 1)), "addrs": [], "running": False,
    }  # fmt: skip
    assert two["root"] == raw_cid(b"y")
    assert "No node is running, so nobody can fetch it yet" in outcome.err
    told = here("add", tmp_path / "six")
    assert told.done().splitlines() == [two["root"], two["ticket"]], "and people: the root, then the ticket"
    assert told.err.startswith("six: 1 B in 1 chunk\n")


def test_a_file_that_is_already_here_is_not_fetched_again(here: Command, tmp_path: Path) -> None:
    (tmp_path / "film.mkv").write_bytes(bytes(15))
    home = write(
        tmp_path / "home",
        ev.Requested(cid=CID, name="film.mkv", size=15, path=str(tmp_path / "film.mkv")),
        ev.ObjectCompleted(root=CID, size=15, path=str(tmp_path / "film.mkv")),
    ).path
    outcome = here("get", TICKET, home=home)
    assert (outcome.done(), outcome.err) == (f"{tmp_path}/film.mkv\n", "film.mkv: is here already\n")
    told = json.loads(here("get", TICKET, "--json", home=home).done())
    assert told == {"event": "done", "root": CID, "path": str(tmp_path / "film.mkv"), "size": None}
    (tmp_path / "film.mkv").write_bytes(bytes(16))
    here("get", TICKET, home=home).failed(
        r"film\.mkv was changed since it was fetched: move it away, or choose"
    )


# ── interrupted ─────────────────────────────────────────────────────────────────────────────────


class Lines:
    """Reads the lines that a process prints, each within a time limit."""

    def __init__(self, process: "subprocess.Popen[bytes]") -> None:
        assert process.stdout is not None
        self._descriptor = process.stdout.fileno()
        self._buffer = b""

    def next(self) -> bytes:
        while b"\n" not in self._buffer:
            ready, _, _ = select.select([self._descriptor], [], [], 20)
            assert ready, "nothing was printed"
            data = os.read(self._descriptor, 65536)
            assert data, "it ended"
            self._buffer += data
        line, _, self._buffer = self._buffer.partition(b"\n")
        return line


def test_following_the_series_until_interrupted(home: Path) -> None:
    store = Store.open(home)
    flags = ("series", "--json", "--follow", "--from", "3", "--kind", "status_no", "--kind", "error")
    with start(*flags, home=home, stdout=subprocess.PIPE) as follower:
        lines = Lines(follower)
        assert [json.loads(lines.next())["seq"] for _ in range(2)] == [3, 6]
        for seq in (8, 10):
            store.commit(
                [(1_800_000_000.0, ev.NodeStopped(reason="x")), (1_800_000_000.0, ev.ErrorOccurred(text="y"))]
            )
            assert json.loads(lines.next())["seq"] == seq, "as it comes; other kinds are left out"
        follower.send_signal(signal.SIGINT)
        out, words = follower.communicate(timeout=20)
    store.close()
    assert (follower.returncode, out, words.strip()) == (130, b"", b"")


@contextmanager
def nobody() -> Iterator[str]:
    """An address where nobody listens, while this context lasts."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield f"/ip4/127.0.0.1/tcp/{taken.getsockname()[1]}/p2p/{PEER}"


def test_get_from_an_unreachable_holder_waits_until_interrupted(tmp_path: Path) -> None:
    """`get` waits and says for what. The series says why. Ctrl-C ends it with 130, and cancels the want."""
    home, root = tmp_path / "home", dag_cid(b"nobody has this either")
    with nobody() as addr:
        ticket = format_ticket(Ticket(Cid(root), "film.mkv", 15, (addr,)))
        flags = ("get", ticket, "--json", "-o", str(tmp_path / "out"), *LISTEN)
        try:
            with start(*flags, home=home, stdout=subprocess.PIPE) as fetcher:
                lines = Lines(fetcher)
                told = json.loads(lines.next())
                assert told == {
                    "event": "progress",
                    "bytes": 0,
                    "size": 15,
                    "waiting_for": told["waiting_for"],
                }
                wait_for(lambda: state(home)["last_error"], seconds=20)
                (pending,) = state(home)["pending"]
                assert pending["cid"] == root
                assert state(home)["last_error"].startswith(f"{addr} cannot be reached: nobody listens there")
                where = short_addr(addr)
                while (words := json.loads(lines.next())["waiting_for"]) == "no peer is connected yet":
                    continue
                assert re.fullmatch(rf"nobody listens there .* · {where}; dialled again within 30 s", words)
                fetcher.send_signal(signal.SIGINT)
                out, words = fetcher.communicate(timeout=20)
            assert fetcher.returncode == 130
            assert (
                words.decode().strip() == "Interrupted before anything arrived: the same command asks again."
            )
            assert all(json.loads(line)["event"] == "progress" for line in out.splitlines())
            wait_for(lambda: not state(home)["pending"], seconds=20)
            assert not (tmp_path / "out").exists()
            assert flux("stop", home=home).stderr == "stopped\n"
        finally:
            if pid := Home(home).running():
                os.kill(pid, signal.SIGKILL)


def test_a_ticket_for_more_than_the_disk_has_room_for(
    here: Command, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """There is no person to ask. A script gets one sentence, and no node is started."""
    large = format_ticket(Ticket(CID, "film.mkv", 1 << 52))
    here("get", large, "-o", tmp_path / "film.mkv", home=home).failed(
        "there is no room: .* may be written to the disk of .*, which keeps 256 MiB free"
    )
    assert not (home / "node.log").exists()
