"""The README is true: every command in it is run, its Python is run, its tables are what the code says.

Shell blocks (```sh) are run in their order, in one folder, by bash, exactly as they stand, except that
what a reader fills in (flux1…, bafy…, 12D3KooW… and the address) is filled in. Homes stand for the
machines; all have a settings.toml that keeps them on loopback. A comment before a block says where it
belongs:

    <!-- one --> <!-- two -->   on which machine (private: a third one)
    <!-- stays -->              it runs until it is told to stop
    <!-- terminal -->           it needs a terminal, and is left with q

`run` and `tests` are the two commands that everything begins with. `run` is run on a copy of the repo, with
pip told to take the dependencies that are here; `tests` is what CI runs to run this file.
"""

import ast
import fcntl
import itertools
import json
import os
import pty
import re
import select
import shutil
import signal
import struct
import subprocess
import sys
import termios
import time
import tomllib
from pathlib import Path
from typing import NamedTuple, get_args

import msgspec
import pytest

from flux_tui import __version__
from flux_tui.config import Settings
from flux_tui.core.api import commands as cmd
from flux_tui.core.content import ticket
from flux_tui.core.custom import outbox
from flux_tui.core.peers import intent_limits as intents
from flux_tui.core.peers import push_admission as adm
from flux_tui.core.peers.entry_costs import CID_BYTES, ENTRY_BYTES
from flux_tui.core.series.address_book import MAX_BOOK, MAX_HEARSAY
from flux_tui.core.series.events import REASONS
from flux_tui.core.serving.announcements import HAVES_BURST, HAVES_RATE
from flux_tui.core.wire import codec, exchange, messages, provide
from flux_tui.demo.scenario import load, names
from flux_tui.home import Home
from flux_tui.net import port
from flux_tui.net.flux import push_stream
from flux_tui.net.upstream import guarded_yamux
from flux_tui.net.upstream.kad import MAX_RECORDS
from flux_tui.node.exchange import TELLER_BURST, TELLER_RATE
from flux_tui.ui.keys import ACTIONS, NARRATED, Action, sign
from flux_tui.ui.rows.glyphs import REASON_SIGNS
from tests.bench.nodes import wait_for

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
LOOPBACK = 'listen = ["/ip4/127.0.0.1/tcp/0"]\nmdns = false\n'
PANEL = b"eries"
"""The rest of the title of the first panel, whose first letter is underlined."""
TERMINAL_SECONDS = 60


class Block(NamedTuple):
    """A fenced block."""

    language: str
    text: str
    marks: tuple[str, ...]


def blocks() -> list[Block]:
    found = re.findall(r"(?:<!-- ([a-z, ]+) -->\n)?^```(\w*)\n(.*?)^```", README, re.DOTALL | re.MULTILINE)
    return [
        Block(language, text, tuple(mark.strip() for mark in marks.split(",") if mark.strip()))
        for marks, language, text in found
    ]


def sole(mark: str) -> Block:
    (found,) = [block for block in blocks() if mark in block.marks]
    return found


class Reader:
    """A reader who follows the README, with two machines."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.machines = {name: folder / name for name in ("one", "two", "private")}
        self.homes = {name: Home(folder / name / "home") for name in self.machines}
        for name, machine in self.machines.items():
            machine.mkdir()
            self.homes[name].prepare()
            self.homes[name].settings.write_text(LOOPBACK)
        (self.machines["one"] / "film.mkv").write_bytes(os.urandom(3_000_000))
        self.words: dict[str, str] = {}
        self.staying: list[subprocess.Popen[str]] = []

    def environment(self, machine: str) -> dict[str, str]:
        path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        found = dict(
            os.environ, PATH=path, FLUX_TUI_HOME=str(self.homes[machine].path), TERM="xterm-256color"
        )
        found.pop("NO_COLOR", None)
        return found

    def follow(self, block: Block) -> None:
        machine = next((mark for mark in block.marks if mark in self.machines), "one")
        text = self.filled(block.text)
        if "stays" in block.marks:
            self.stay(text, machine)
        elif "terminal" in block.marks:
            in_a_terminal(text, self.machines[machine], self.environment(machine))
        else:
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", text], cwd=self.machines[machine], env=self.environment(machine),
                capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL,
            )  # fmt: skip
            assert done.returncode == 0, f"{text}\n{done.stdout}{done.stderr}"
            for word in done.stdout.split():
                if word.startswith("flux1"):
                    self.words["flux1…"] = word
                elif word.startswith("baf"):
                    self.words["bafy…"] = word

    def stay(self, text: str, machine: str) -> None:
        process = subprocess.Popen(
            ["bash", "-c", f"exec {text}"], cwd=self.machines[machine], env=self.environment(machine),
            stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.staying.append(process)
        assert process.stdout is not None
        told = json.loads(process.stdout.readline())
        self.words["/ip4/192.0.2.7/tcp/4001/p2p/12D3KooW…"] = told["addrs"][0]
        self.words["12D3KooW…"] = told["peer_id"]

    def filled(self, text: str) -> str:
        for word, meaning in self.words.items():
            text = text.replace(word, meaning)
        assert "…" not in re.sub(r"#.*", "", text), f"nothing is known to fill in: {text}"
        return text

    def close(self) -> None:
        for process in self.staying:
            process.send_signal(signal.SIGINT)
            assert process.wait(20) == 0
            assert process.stdout is not None
            process.stdout.close()
        for home in self.homes.values():
            if home.running() is not None:
                home.push(cmd.Stop())
            wait_for(lambda home=home: home.running() is None, seconds=20)


def in_a_terminal(
    text: str, folder: Path, environment: dict[str, str], *, columns: int = 120, rows: int = 40
) -> None:
    """Run it in a new terminal. Press q when the dashboard is there. It has to end well."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(folder)
        os.execvpe("bash", ["bash", "-c", text], environment)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    seen, pressed, deadline = b"", 0.0, time.monotonic() + TERMINAL_SECONDS
    while time.monotonic() < deadline:
        if select.select([terminal], [], [], 0.1)[0]:
            try:
                data = os.read(terminal, 1 << 16)
            except OSError:
                break
            if not data:
                break
            seen += data
        if PANEL in seen and time.monotonic() - pressed > 1:
            os.write(terminal, b"q")
            pressed = time.monotonic()
    os.close(terminal)
    if time.monotonic() >= deadline:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    assert PANEL in seen, seen[-2000:].decode(errors="replace")
    assert os.waitstatus_to_exitcode(status) == 0, seen[-2000:].decode(errors="replace")


def test_every_shell_block_of_the_readme_runs_in_order(tmp_path: Path) -> None:
    reader = Reader(tmp_path)
    try:
        for block in blocks():
            if block.language == "sh" and not {"run", "tests"} & set(block.marks):
                reader.follow(block)
        one, two = reader.machines["one"], reader.machines["two"]
        assert (two / "film.mkv").read_bytes() == (one / "film.mkv").read_bytes()
        assert (one / "hello.cast").stat().st_size > 1000
        assert (two / "evening.flux").exists()
    finally:
        reader.close()


def test_the_run_command_of_the_readme_works(tmp_path: Path) -> None:
    """On a copy of what the repo holds. The dependencies are not downloaded again: pip is told by its
    environment to take those that are here."""
    listed = subprocess.run(
        ["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=True
    ).stdout
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).exists() and not name.startswith(("tests/", "screenshots/")):
            (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / name, tmp_path / name)
    here = next(path for path in sys.path if path.endswith("site-packages"))
    environment = dict(
        os.environ, PIP_NO_DEPS="1", PIP_NO_BUILD_ISOLATION="0", PYTHONPATH=here, TERM="xterm-256color",
        PIP_DISABLE_PIP_VERSION_CHECK="1", PATH=f"{Path(sys.executable).parent}:{os.environ['PATH']}",
    )  # fmt: skip
    in_a_terminal(sole("run").text, tmp_path, environment)
    installed = next((tmp_path / ".venv").glob("lib/python*/site-packages/flux_tui"))
    assert (installed / "demo" / "scenarios" / "hello.toml").exists()


def test_the_test_command_of_the_readme_is_the_one_that_ci_runs() -> None:
    assert "pytest" in sole("tests").text
    ci = (ROOT / ".ci" / "run").read_text()
    assert "<!-- tests -->" in ci
    develop = next(block.text for block in blocks() if not block.language and "ruff" in block.text)
    for line in develop.splitlines():
        command = line.removeprefix(".venv/bin/")
        assert command.startswith("python -m pytest") or f"run {command}\n" in ci


def test_its_python_runs(tmp_path: Path) -> None:
    block = next(block for block in blocks() if block.language == "python")
    film = tmp_path / "film.mkv"
    film.write_bytes(b"film" * 1000)
    for name in ("ada-home", "bob-home"):
        (tmp_path / name).mkdir(mode=0o700)
        (tmp_path / name / "settings.toml").write_text(LOOPBACK)
    program = block.text.replace("/path/to/film.mkv", str(film))
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert "arrived: bafk" in done.stdout
    assert (tmp_path / "copy.mkv").read_bytes() == film.read_bytes()
    assert "ada says hello" in done.stdout
    assert "duplicate factor 1.0" in done.stdout


def test_what_the_post_names_is_linked_to_what_is_there() -> None:
    for _, here in table("seed"):
        links = re.findall(r"\]\(([^)]+)\)", here)
        assert all((ROOT / link).exists() for link in links), here
        assert links or "`" in here


def test_its_toml_is_settings() -> None:
    for block in blocks():
        if block.language == "toml":
            Settings().merged(tomllib.loads(block.text), "the README")


def table(mark: str) -> list[list[str]]:
    """Return the rows of the table after a comment, without its head."""
    after = README.split(f"<!-- {mark} -->\n", 1)[1]
    rows = [line.strip("|").split("|") for line in after.split("\n\n", 1)[0].splitlines()[2:]]
    return [[cell.strip() for cell in row] for row in rows]


@pytest.mark.parametrize(
    ("mark", "kinds"),
    [
        ("messages", messages.MESSAGE_TYPES),
        ("intents", get_args(messages.IntentBody)),
        ("about peers", exchange.TOLD_TYPES),
        ("about providers", (provide.Provided,)),
    ],
)
def test_its_protocol_tables_are_the_protocol(mark: str, kinds: tuple[type[msgspec.Struct], ...]) -> None:
    """Every message, its fields in order, and which of them have a default."""
    rows = {row[0].strip("`"): row[1] for row in table(mark)}
    assert set(rows) == {str(kind.__struct_config__.tag) for kind in kinds}
    for kind in kinds:
        tag = str(kind.__struct_config__.tag)
        told = re.findall(r"`(\w+)`(=?)", rows[tag])
        real = [(field.name, "" if field.required else "=") for field in msgspec.structs.fields(kind)]
        assert told == real, tag


def test_its_limits_are_those_of_the_code() -> None:
    bursts = (
        intents.ORIGIN_BURST,
        intents.ORIGIN_RATE,
        intents.SENDER_BURST,
        intents.SENDER_RATE,
        adm.NO_BURST,
        adm.NO_RATE,
    )
    own, own_rate, sender, sender_rate, noes, no_rate = (f"{number:,.0f}" for number in bursts)
    expected = {
        "elements of an array": f"{codec.MAX_ELEMENTS:,}",
        "`text`": f"{messages.MAX_TEXT} characters",
        "`name`": f"{messages.MAX_NAME} characters",
        "`kind`": f"{messages.MAX_KIND} characters of `a-z 0-9 _ . -`, the first a letter",
        "`payload` of a `custom`": f"{messages.MAX_PAYLOAD_CUSTOM:,} bytes",
        "`size`, `queue_bytes`, `have`": f"{messages.MAX_SIZE:,}",
        "`eta`, `ttl`, `retry_after`": f"{messages.MAX_SECONDS:,.0f} s",
        "`part`": f"{messages.MAX_PART:,} bytes",
        "`addrs`": f"{messages.MAX_ADDRS}, of {messages.MAX_ADDR} characters each",
        "`signed`": f"{messages.MAX_SIGNED:,} bytes",
        "an intent by gossip": f"{codec.MAX_SEALED:,} bytes",
        "`hops`": f"{messages.MAX_HOPS}",
        "a ticket": f"{ticket.MAX_TICKET:,} characters, {ticket.MAX_ADDRS} addresses",
        "intents of one origin": f"{own} at once, {own_rate} a second",
        "intents from one neighbour, others' included": f"{sender} at once, {sender_rate} a second",
        "entries that one peer causes in a series": (
            f"{adm.PEER_BYTES:,} bytes at once, {adm.PEER_RATE:,} a second; "
            f"all strangers together {adm.COMMON_BYTES:,} and {adm.COMMON_RATE:,}, "
            f"and {adm.DAY_BYTES:,} a day"
        ),
        "NOs to a peer that pushes more": f"{noes} at once, {no_rate} a second",
        "`have` that a node of this version pushes": f"{HAVES_BURST:.0f} at once, {HAVES_RATE:.0f} a second",
        "objects in a `have`": f"{messages.MAX_MORE_HAVES + 1}",
        "provider records that a node of this version sends to one node": (
            f"{provide.RECORDS_BURST:,.0f} at once, {provide.RECORDS_RATE:,.0f} a second; "
            f"it accepts {provide.ADMITTED * provide.RECORDS_BURST:,.0f} "
            f"and {provide.ADMITTED * provide.RECORDS_RATE:,.0f}"
        ),
        "provider records that a node keeps": f"{MAX_RECORDS:,}",
        "customs that a node of this version pushes": (
            f"{outbox.PUSH_BURST:.0f} at once, {outbox.PUSH_RATE:.0f} a second; "
            f"{outbox.BYTES_BURST:,.0f} bytes at once, {outbox.BYTES_RATE:,.0f} a second"
        ),
        "messages read from one peer": (
            f"{push_stream.MESSAGE_BURST:,.0f} at once, {push_stream.MESSAGE_RATE:,.0f} a second; "
            "what comes faster is read later"
        ),
        "yamux streams of one connection": f"{guarded_yamux.MAX_STREAMS}",
        "a message about peers": f"{exchange.MAX_TOLD:,} bytes",
        "records of one peer that are checked": f"{TELLER_BURST:.0f} at once, {TELLER_RATE:.0f} a second",
        "peers remembered from records": (
            f"{MAX_BOOK}, of which {MAX_HEARSAY} on the word of one peer that were never connected"
        ),
        "bytes that wait unread on one connection": f"{guarded_yamux.MAX_PARKED:,}",
    }
    assert dict(table("limits")) == expected
    assert f"An entry costs {ENTRY_BYTES} bytes, {CID_BYTES} for each CID" in README
    assert f"1 … {codec.MAX_HEADER:,}" in README
    assert f"0 … {codec.MAX_PAYLOAD:,}" in README


def test_its_protocols_are_those_that_are_spoken() -> None:
    spoken = (
        port.PUSH_PROTOCOL,
        port.INTENT_TOPIC,
        port.KAD_PROTOCOL,
        port.ROUTE_PROTOCOL,
        port.PEERS_PROTOCOL,
        port.PROVIDE_PROTOCOL,
        port.REFUSED_PROTOCOL,
    )
    for name in spoken:
        assert f"`{name}`" in README


def test_its_lists_are_whole() -> None:
    for reason in REASONS:
        assert README.count(reason) >= 2
    for name in names():
        about = load(name).about
        assert f"| `{name}` | " in README, about
    known = [
        kind
        for _, kind, _ in re.findall(r"(\|) `([a-z-]+)` (\|) ", README.split("## Demos")[1].split("## ")[0])
    ]
    assert known == list(names())


@pytest.mark.parametrize(("mark", "actions"), [("keys", ACTIONS), ("story keys", NARRATED)])
def test_its_tables_of_keys_are_the_table_of_actions(mark: str, actions: tuple[Action, ...]) -> None:
    """Every key of every action, and no key that does nothing."""
    real = {sign(key) for action in actions for key in action.keys.split(",") if " " not in key}
    if mark == "keys":
        real |= {*"↑↓jkgG←→hl"}  # keys that move the selection cannot be rebound
        real = real - {*"234567", "v"} | {"J"}  # `1`-`8`; the next node is a demo's
        assert "`v` looks at the next node" in README
    assert {key for row in table(mark) for key in re.findall(r"`([^`]+)`", row[0])} == real


def test_its_benchmarks_are_commands() -> None:
    for row in table("benchmarks"):
        module = row[1].strip("`").split()[2]
        done = subprocess.run(
            [sys.executable, "-m", module, "--help"], cwd=ROOT, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 0, done.stderr
        assert "--json" in done.stdout


def test_its_files_and_anchors_are_there() -> None:
    for target in re.findall(r"(?:\]\(|src=\"|srcset=\")([^)\"]+)", README):
        if target.startswith("#"):
            heading = target[1:].replace("-", " ")
            assert re.search(rf"^## {heading}$", README, re.MULTILINE | re.IGNORECASE), target
        elif not target.startswith("http"):
            assert (ROOT / target).exists(), target


def test_its_pictures_are_all_there_are() -> None:
    """Each picture is shown, as SVG if there is one. Unused pictures are not kept."""
    shown = set(re.findall(r"!\[[^]]+\]\(screenshots/([a-z]+)\.(svg|png)\)", README))
    svgs = {path.stem for path in (ROOT / "screenshots").glob("*.svg")}
    pngs = {path.stem for path in (ROOT / "screenshots").glob("*.png")}
    assert shown == {(name, "svg") for name in svgs} | {(name, "png") for name in pngs - svgs}
    for match in re.findall(r"!\[([^]]+)\]", README):
        assert match.strip(), "a picture says what it shows"


def test_its_reasons_have_the_signs_of_the_panels_and_are_in_the_protocol() -> None:
    (row,) = [row for row in table("messages") if row[0] == "`status_no`"]
    for reason, drawn in REASON_SIGNS.items():
        assert f"`{drawn.glyph} {reason}`" in README
        assert f"`{reason}`" in row[2]


def test_its_recipes_name_files_that_are_there() -> None:
    """Paths of the package stand as its modules do; the others are the repo's."""
    recipes = README.split("## Contributing\n", 1)[1].split("\n## ", 1)[0]
    paths = re.findall(r"`([a-z_]+(?:/[a-z_]+)*(?:/|\.py|\.toml))`", recipes)
    assert len(paths) > 20
    for path in paths:
        assert (ROOT / path).exists() or (ROOT / "flux_tui" / path).exists(), path


def test_its_rooms_are_the_folders_of_the_package() -> None:
    """Folders within a room may be named in its row."""
    package = ROOT / "flux_tui"
    folders = {
        f"{path.parent.relative_to(package)}/"
        for room in ("core", "store", "net", "node", "ui", "cli")
        for path in (package / room).glob("*/__init__.py")
    }
    assert {row[0].strip("`") for row in table("rooms")} == folders


def defined(path: Path) -> set[str]:
    """Return the functions of a module, and the methods of its classes as `Class.method`."""
    functions = ast.FunctionDef | ast.AsyncFunctionDef
    found: set[str] = set()
    for node in ast.parse(path.read_text()).body:
        if isinstance(node, functions):
            found.add(node.name)
        elif isinstance(node, ast.ClassDef):
            found |= {f"{node.name}.{one.name}" for one in node.body if isinstance(one, functions)}
    return found


def test_its_walks_name_methods_that_are_there() -> None:
    """Each hop is a module, a method of it, and what it decides."""
    walks = README.split("### Three walks through the code\n", 1)[1].split("\n## ", 1)[0]
    lines = re.findall(r"^(\d+)\. (.+)$", walks, re.MULTILINE)
    starts = [number for number, (hop, _) in enumerate(lines) if hop == "1"]
    assert len(starts) == 3
    for start, end in itertools.pairwise([*starts, len(lines)]):
        assert [int(hop) for hop, _ in lines[start:end]] == list(range(1, end - start + 1))
    for _, text in lines:
        hop = re.match(r"`([a-z_/]+\.py)` `([\w.]+)`: \S", text)
        assert hop is not None, text
        assert hop[2] in defined(ROOT / "flux_tui" / hop[1]), text
    for told in re.findall(r"\(`?(\d+) to (\d+)`?\)", walks):
        assert int(told[0]) < int(told[1]) <= len(lines)


def test_its_newest_changes_are_of_this_version() -> None:
    assert README.split("## Changes\n", 1)[1].strip().startswith(f"**{__version__}**")
