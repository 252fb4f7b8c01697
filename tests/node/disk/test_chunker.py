"""Adding files of the user: what is read, what is refused and why, and what changed since."""

import os
import socket
import sys
import unicodedata
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from flux_tui.core.api import commands as cmd
from flux_tui.core.api.inputs import Added
from flux_tui.core.content.nodes import FileNode, FolderNode, SymlinkNode
from flux_tui.core.content.unixfs_trees import CHUNK_SIZE, decode_node
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.home import Home, HomeBusyError
from flux_tui.node.disk import add_task, chunker
from flux_tui.node.disk.add_task import read_and_reference
from flux_tui.node.disk.chunker import AddError, Done, walk
from flux_tui.node.node import FluxNode
from flux_tui.node.offline import add_offline
from flux_tui.store.series_reader import SeriesReader
from flux_tui.store.store import Store
from tests.support.nodes_here import LOOPBACK, series_of, share, until
from tests.support.rights import without_rights

EMPTY_FILE = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku"
EMPTY_FOLDER = "bafybeiczsscdsbs7ffqz55asqdf3smv6klcw3gofszvwlyarci47bgf354"
"""The CIDs of an empty file and an empty folder, the same in every IPFS tool."""
NOTE = ev.NodeStopped(reason="x")
LONG_AGO = 1_600_000_000_000_000_000
"""Nanoseconds since 1970. Nothing written now can look as if it was written then."""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    opened = Store.open(tmp_path / "home")
    yield opened
    opened.close()


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    folder = tmp_path / "tree"
    folder.mkdir()
    return folder


def add(store: Store, path: Path) -> Added:
    """Add a path as a node does: rows are committed on the way, the last ones with the entry."""

    def step(done: int, size: int, rows: object) -> None:
        store.commit([(1.0, NOTE)], rows)  # type: ignore[arg-type]

    added, rows = read_and_reference(store, path, None, step, lambda: False)
    store.commit([(1.0, NOTE)], rows)
    return added


def listing(store: Store, root: Cid, rel: str = "") -> dict[str, bytes | str]:
    """Return what another node gets of an object: bytes of files, targets of links; folders end in a slash."""
    data = store.chunks.read_block(root)
    assert data is not None, f"{rel} is not there"
    if root == raw_cid(data):
        return {rel: data}
    match decode_node(root, data):
        case FileNode() as node:
            parts = [listing(store, child.cid)[""] for child in node.children]
            return {rel: b"".join(part for part in parts if isinstance(part, bytes))}
        case SymlinkNode(target=target):
            return {rel: f"→ {target}"}
        case FolderNode(entries=entries):
            found: dict[str, bytes | str] = {f"{rel}/": ""}
            for entry in entries:
                found |= listing(store, entry.cid, f"{rel}/{entry.name}")
            return found
        case other:
            raise AssertionError(other)


def while_read(path: Path, change: Callable[[], object]) -> Done:
    """Add a path, and change something once its first bytes were read."""
    changes = iter([change])

    def progress(_: int) -> None:
        for do in changes:
            do()

    *_, done = walk(path, progress, lambda: False)
    assert isinstance(done, Done)
    return done


# ── what is read ────────────────────────────────────────────────────────────────────────────────


def test_an_empty_file(store: Store, tree: Path) -> None:
    (tree / "nothing").touch()
    added = add(store, tree / "nothing")
    assert (added.root, added.name, added.size, added.chunks) == (EMPTY_FILE, "nothing", 0, 1)
    assert listing(store, added.root) == {"": b""}


def test_an_empty_folder(store: Store, tree: Path) -> None:
    added = add(store, tree)
    assert (added.root, added.name, added.size, added.chunks) == (EMPTY_FOLDER, "tree", 0, 1)
    assert listing(store, added.root) == {"/": ""}


@pytest.mark.parametrize("size", [1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 2 * CHUNK_SIZE])
def test_a_file_of_any_size(store: Store, tree: Path, size: int) -> None:
    data = os.urandom(size)
    (tree / "file").write_bytes(data)
    added = add(store, tree / "file")
    assert (added.size, added.stored) == (size, store.chunks.counts()[1])
    assert added.chunks == added.stored_chunks == store.chunks.counts()[0]
    assert added.chunks == (1 if size <= CHUNK_SIZE else 3), "leaves, and a node over more than one"
    assert listing(store, added.root) == {"": data}


def test_a_folder_with_all_that_folders_have(store: Store, tree: Path) -> None:
    (tree / "sub" / "empty").mkdir(parents=True)
    (tree / "sub" / "nothing").touch()
    (tree / "b").write_bytes(b"b")
    (tree / "a").write_bytes(b"a")
    (tree / ".hidden").write_bytes(b"h")
    (tree / "link").symlink_to("sub/nothing")
    (tree / "to a folder").symlink_to("sub")
    (tree / "sub" / "round").symlink_to("..")
    (tree / "dangling").symlink_to("/nowhere/at all")
    os.mkfifo(tree / "pipe")
    with socket.socket(socket.AF_UNIX) as special:
        special.bind(str(tree / "sock"))
    added = add(store, tree)
    assert listing(store, added.root) == {
        "/": "",
        "/.hidden": b"h",
        "/a": b"a",
        "/b": b"b",
        "/dangling": "→ /nowhere/at all",
        "/link": "→ sub/nothing",
        "/sub/": "",
        "/sub/empty/": "",
        "/sub/nothing": b"",
        "/sub/round": "→ ..",
        "/to a folder": "→ sub",
    }, "links stay links; what is not a file, folder or link is left out"
    assert added.size == 3
    assert added.chunks == added.stored_chunks == store.chunks.counts()[0] == 11
    assert added.notes == (
        f"{tree} has 1 link that leads out of it, which others do not get: dangling → /nowhere/at all",
        f"{tree} has 2 sockets, pipes or devices, left out: pipe; sock",
    )


def test_repeated_content_is_counted_once(store: Store, tree: Path) -> None:
    for name in "abc":
        (tree / name).write_bytes(b"x" * 1000)
    os.link(tree / "a", tree / "d")
    added = add(store, tree)
    assert (added.size, added.chunks, store.chunks.counts()[0]) == (4000, 2, 2)


def test_a_link_named_by_the_user_is_followed(store: Store, tree: Path) -> None:
    (tree / "real").write_bytes(b"real")
    (tree / "link").symlink_to("real")
    added = add(store, tree / "link")
    assert (added.root, added.name) == (raw_cid(b"real"), "link")
    (tree / "sub").mkdir()
    (tree / "to sub").symlink_to("sub")
    assert add(store, tree / "to sub").root == EMPTY_FOLDER


def test_the_order_of_entries_does_not_depend_on_the_disk(store: Store, tmp_path: Path) -> None:
    names = [f"{n}" for n in range(50)]
    for folder, order in (("one", names), ("two", names[::-1])):
        (tmp_path / folder).mkdir()
        for name in order:
            (tmp_path / folder / name).write_text(name)
    assert add(store, tmp_path / "one").root == add(store, tmp_path / "two").root


def test_a_large_folder_is_committed_in_portions(
    store: Store, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(add_task, "ROWS_AT_ONCE", 5)
    monkeypatch.setattr(add_task, "INDEXED_AT_ONCE", 2)
    monkeypatch.setattr(chunker, "LEAVES_AT_ONCE", 2)
    monkeypatch.setattr(chunker, "CHUNK_SIZE", 10)
    data = bytes(range(200))
    (tree / "big").write_bytes(data)
    for number in range(20):
        (tree / f"{number}").write_text(f"{number}")
    before = store.last_seq
    added = add(store, tree)
    assert store.last_seq - before >= 8
    found = listing(store, added.root)
    assert found["/big"] == data
    assert len(found) == 22


NAMES = [
    "ünïcode",
    unicodedata.normalize("NFD", "ünïcode"),
    "日本語",
    "שלום",
    "👩‍👩‍👧‍👦",
    "\u202etxt.exe",
    "two\nlines",
    "tab\tand\x1b[31mred",
    " spaces ",
    "-rf",
    "...",
    "back\\slash",
    "CON",
    "*?<>|\":'`$(x)",
    "[bold]no markup[bold]",
    "x" * 255,
    "é" * 127,
    "\U0001f600" * 63,
]


async def test_odd_names_cross_whole(tmp_path: Path, tree: Path) -> None:
    for number, name in enumerate(NAMES):
        (tree / name).write_text(f"{number}")
    (tree / "sub").mkdir()
    (tree / "sub" / "link").symlink_to("../" + NAMES[0])
    single = tmp_path / ("s" * 255)
    single.write_bytes(b"single" * 300_000)
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        folder, file = await share(a, tree), await share(a, single)
        (tmp_path / "got").mkdir()
        long = tmp_path / "got" / ("l" * 255)
        b.push_intent(cmd.Get(folder, str(tmp_path / "got" / "tree"), "tree", None, a.addrs))
        b.push_intent(cmd.Get(file, str(long), "s" * 255, None, a.addrs))
        await until(lambda: not b.count_pending())
        assert b.derive_state().last_error is None
    got = tmp_path / "got" / "tree"
    assert {path.name: path.read_text() for path in got.iterdir() if path.is_file()} == {
        name: f"{number}" for number, name in enumerate(NAMES)
    }
    assert (got / "sub" / "link").readlink() == Path("../" + NAMES[0])
    assert long.read_bytes() == single.read_bytes(), "a name as long as names can be has a shorter one before"


# ── what is refused, and why ────────────────────────────────────────────────────────────────────


def refused(path: Path) -> str:
    """Add a path, which must fail, and return the error sentence."""
    with pytest.raises(AddError) as error:
        list(walk(path, lambda _: None, lambda: False))
    assert "\n" not in str(error.value)
    return str(error.value)


def test_a_missing_path_is_refused(tree: Path) -> None:
    (tree / "dangling").symlink_to("nothing")
    assert refused(tree / "none") == f"{tree}/none does not exist"
    assert refused(tree / "dangling") == f"{tree}/dangling does not exist"
    (tree / "file").touch()
    assert refused(tree / "file" / "below") == f"{tree}/file/below does not exist"


def test_a_path_that_is_not_a_file_is_refused(tree: Path) -> None:
    os.mkfifo(tree / "pipe")
    assert refused(tree / "pipe") == f"{tree}/pipe is neither a file nor a folder, so it cannot be shared"
    assert refused(Path("/dev/null")).startswith("/dev/null is neither a file nor a folder")


def test_a_link_to_itself(tree: Path) -> None:
    (tree / "loop").symlink_to("loop")
    assert refused(tree / "loop").startswith(f"{tree}/loop ")


def test_a_name_that_is_too_long(tree: Path) -> None:
    assert refused(tree / ("x" * 300)).endswith("xxx cannot be read: file name too long")


def test_an_unreadable_path_is_refused(tree: Path) -> None:
    (tree / "sub").mkdir()
    (tree / "open").write_text("x")
    (tree / "sub" / "file").write_text("x")
    (tree / "sub" / "file").chmod(0)
    with without_rights():
        for path in (tree / "sub" / "file", tree / "sub", tree):
            assert refused(path) == f"{tree}/sub/file cannot be read: you have no right to"
    (tree / "sub").chmod(0)
    with without_rights():
        for path in (tree / "sub" / "file", tree / "sub", tree):
            assert refused(path).startswith(f"{tree}/sub")
            assert refused(path).endswith(" cannot be read: you have no right to")
        assert while_read(tree / "open", lambda: None).size == 1
    (tree / "sub").chmod(0o700)


@pytest.mark.skipif(sys.platform == "darwin", reason="its names are always UTF-8")
@pytest.mark.parametrize("where", ["the file", "in the folder", "a folder above", "a link's target"])
def test_a_path_that_is_not_utf_8_is_refused(tree: Path, where: str) -> None:
    odd = os.fsdecode(b"odd\xff")
    match where:
        case "the file":
            (tree / odd).touch()
            told = refused(tree / odd)
        case "in the folder":
            (tree / odd).touch()
            told = refused(tree)
        case "a folder above":
            (tree / odd).mkdir()
            (tree / odd / "fine").touch()
            told = refused(tree / odd / "fine")
        case _:
            (tree / "link").symlink_to(odd)
            told = refused(tree)
    assert "odd\\udcff" in told, "in letters that every terminal takes"
    assert "not UTF-8: rename it to share it" in told


def test_very_deep_folders_are_refused(store: Store, tree: Path) -> None:
    at = os.getcwd()
    depth = sys.getrecursionlimit() + 100
    try:
        os.chdir(tree)
        for _ in range(depth):
            os.mkdir("d")
            os.chdir("d")
        with pytest.raises(AddError, match="tree has folders in folders too deep to be read"):
            add(store, tree)
    finally:
        for _ in range(depth):  # pytest's own cleaning could not go that deep
            os.chdir("..")
            os.rmdir("d")
        os.chdir(at)


def test_a_stop_ends_an_add(tree: Path) -> None:
    (tree / "file").write_bytes(b"x")
    with pytest.raises(AddError, match="file was stopped"):
        list(walk(tree, lambda _: None, lambda: True))


# ── what changes while it is being read ─────────────────────────────────────────────────────────


def in_place(path: Path) -> None:
    """Overwrite a file with other bytes of the same size."""
    with path.open("r+b") as file:
        file.write(b"y")


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


@pytest.mark.parametrize(
    "change", [in_place, append, lambda path: os.truncate(path, 1), lambda path: path.write_bytes(b"")]
)
@pytest.mark.parametrize("size", [10, CHUNK_SIZE, CHUNK_SIZE + 10])
def test_a_file_that_changes_while_it_is_read(
    tree: Path, change: Callable[[Path], object], size: int
) -> None:
    path = tree / "file"
    path.write_bytes(b"x" * size)
    os.utime(path, ns=(LONG_AGO, LONG_AGO))
    with pytest.raises(AddError) as error:
        while_read(tree, lambda: change(path))
    assert (
        str(error.value)
        == f"{path} was changed while it was being read: add it again when nothing writes to it"
    )
    assert while_read(tree, lambda: None).size == path.stat().st_size, "at rest, it can be added"


def test_a_file_that_disappears_before_it_is_read(tree: Path) -> None:
    for name in ("a", "b"):
        (tree / name).write_bytes(b"x")
    with pytest.raises(AddError, match="tree/b does not exist"):
        while_read(tree, (tree / "b").unlink)


def test_a_replaced_file_is_not_mistaken_for_the_one_read(store: Store, tree: Path) -> None:
    """An editor replaces the old file with a new one: the bytes read are whole, but are nowhere now."""
    path = tree / "file"
    path.write_bytes(b"x" * 10)
    (tree / "new").write_bytes(b"y" * 10)

    def progress(_: int) -> None:
        (tree / "new").rename(path)

    rows = [
        row
        for step in walk(path, progress, lambda: False)
        if isinstance(step, chunker.Leaves)
        for row in store.share_file(store.share_tree(path), step.rel, step.stat, step.leaves)
    ]
    store.commit([(1.0, NOTE)], rows)
    result = store.chunks.read([raw_cid(b"x" * 10)])
    assert result.chunks == []
    assert [lost.path for lost in result.lost] == [path]


# ── what becomes of it afterwards ───────────────────────────────────────────────────────────────


def forge(path: Path) -> None:
    """Overwrite a file with other bytes of the same size, and restore the time of its last change."""
    stat = path.stat()
    path.write_bytes(b"z" * stat.st_size)
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))


def swap(path: Path) -> None:
    path.with_name("new").write_bytes(b"z" * path.stat().st_size)
    path.with_name("new").rename(path)


def to_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (in_place, "was changed since it was shared: its changed parts are not sent any more"),
        (forge, "was changed since"),
        (swap, "was changed since"),
        (lambda path: os.truncate(path, 5), "was changed since"),
        (Path.unlink, "is gone: its chunks cannot be sent any more"),
        (to_folder, "cannot be read (is a directory)"),
        (lambda path: path.chmod(0), "cannot be read (permission denied)"),
    ],
)
def test_a_changed_file_is_not_served(
    store: Store, tree: Path, change: Callable[[Path], object], why: str
) -> None:
    path = tree / "file"
    path.write_bytes(b"x" * 10)
    root = add(store, path).root
    assert listing(store, root) == {"": b"x" * 10}
    change(path)
    with without_rights():
        result = store.chunks.read([root])
    assert result.chunks == []
    (lost,) = result.lost
    assert (lost.path, lost.cids, lost.size) == (path, (root,), 10)
    assert lost.why.startswith(f"{path} {why}")


def test_an_unchanged_file_is_still_served(store: Store, tree: Path) -> None:
    path = tree / "file"
    first, second = os.urandom(CHUNK_SIZE), os.urandom(CHUNK_SIZE)
    path.write_bytes(first + second)
    add(store, path)
    append(path)
    assert [cid for cid, _ in store.chunks.read([raw_cid(first), raw_cid(second)]).chunks] == [
        raw_cid(first),
        raw_cid(second),
    ]
    in_place(path)
    result = store.chunks.read([raw_cid(first), raw_cid(second)])
    assert [cid for cid, _ in result.chunks] == [raw_cid(second)]
    assert [lost.cids for lost in result.lost] == [(raw_cid(first),)]
    path.touch()
    assert len(store.chunks.read([raw_cid(second)]).chunks) == 1, "a new time alone is no change"


def test_adding_an_unchanged_file_again_stores_nothing(store: Store, tree: Path) -> None:
    for name in "abc":
        (tree / name).write_text(name)
    first, counts = add(store, tree), store.chunks.counts()
    again = add(store, tree)
    assert (again.root, again.chunks, again.size) == (first.root, first.chunks, first.size)
    assert (first.stored_chunks, again.stored, again.stored_chunks) == (4, 0, 0)
    assert store.chunks.counts() == counts
    (tree / "c").rename(tree / "d")
    moved = add(store, tree)
    assert moved.root != first.root
    assert moved.stored_chunks == 1, "the folder's own node; the files are known"


def test_adding_a_changed_file_again_serves_the_new_content(store: Store, tree: Path) -> None:
    path = tree / "file"
    path.write_bytes(b"old")
    old = add(store, path).root
    path.write_bytes(b"new")
    new = add(store, path).root
    assert listing(store, new) == {"": b"new"}
    assert store.chunks.read([old]).chunks == []
    path.write_bytes(b"old")
    assert add(store, path).root == old
    assert listing(store, old) == {"": b"old"}, "and the old, once it is back"


def test_an_added_copy_replaces_a_lost_file(store: Store, tree: Path) -> None:
    (tree / "one").write_bytes(b"same")
    (tree / "two").write_bytes(b"same")
    add(store, tree / "one")
    root = add(store, tree / "two").root
    (tree / "one").unlink()
    assert listing(store, root) == {"": b"same"}


async def test_a_change_is_noticed_when_it_is_served(tmp_path: Path, tree: Path) -> None:
    """The series of the holder names each changed file. The rest crosses, and so does a file that is restored."""
    data = {name: os.urandom(300_000) for name in ("changed", "gone", "same")}
    for name, content in data.items():
        (tree / name).write_bytes(content)
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        root = await share(a, tree)
        in_place(tree / "changed")
        (tree / "gone").unlink()
        b.push_intent(cmd.Get(root, str(tmp_path / "copy"), None, None, a.addrs))

        def lost() -> dict[str, tuple[Cid, ...]]:
            return {e.event.path: e.event.cids for e in series_of(a) if isinstance(e.event, ev.ChunksLost)}

        await until(lambda: len(lost()) == 2)
        await until(lambda: b.check_if_arrived(raw_cid(data["same"])) == data["same"])
        assert lost() == {str(tree / name): (raw_cid(data[name]),) for name in ("changed", "gone")}
        told = [e.event for e in series_of(a) if isinstance(e.event, ev.ErrorOccurred)]
        assert {error.path for error in told} == set(lost())
        assert {error.text for error in told} == {
            f"{tree}/changed was changed since it was shared: its changed parts are not sent any more",
            f"{tree}/gone is gone: its chunks cannot be sent any more",
        }
        assert b.count_pending() == 1
        assert not (tmp_path / "copy").exists()
        for name in ("changed", "gone"):
            (tree / name).write_bytes(data[name])
        assert await share(a, tree) == root
        await until(lambda: len([e for e in series_of(a) if isinstance(e.event, ev.ObjectAdded)]) == 2)
        b.retry_pending()
        await until(lambda: not b.count_pending())
    assert {path.name: path.read_bytes() for path in (tmp_path / "copy").iterdir()} == data


# ── by a node, and with none ────────────────────────────────────────────────────────────────────


async def test_a_node_reports_each_add_with_its_mark(tmp_path: Path, tree: Path) -> None:
    (tree / "file").write_bytes(b"x" * 10)
    (tree / "closed").mkdir()
    async with FluxNode.open(tmp_path / "home", LOOPBACK) as node:
        node.push_intent(cmd.Add(str(tree / "file"), "good"))
        node.push_intent(cmd.Add(str(tree / "none"), "bad"))

        def told() -> dict[str | None, ev.Event]:
            return {getattr(entry.event, "by", None): entry.event for entry in series_of(node)}

        await until(lambda: {"good", "bad"} <= told().keys())
        assert told()["good"] == ev.ObjectAdded(
            root=raw_cid(b"x" * 10), name="file", size=10, chunks=1, path=str(tree / "file"),
            stored=10, stored_chunks=1, by="good",
        )  # fmt: skip
        assert told()["bad"] == ev.ErrorOccurred(
            text=f"{tree}/none does not exist", path=str(tree / "none"), by="bad", code="cannot_add"
        )
        assert list(node.derive_state().objects) == [raw_cid(b"x" * 10)]


def test_without_a_node_the_same_entry_is_written(tmp_path: Path, tree: Path) -> None:
    home = Home(tmp_path / "home")
    (tree / "file").write_bytes(b"x" * 10)
    notes: list[str] = []
    told = add_offline(home, tree / "file", "me", lambda done, size: None, notes.append)
    assert notes == []
    assert (told.root, told.size, told.by) == (raw_cid(b"x" * 10), 10, "me")
    with pytest.raises(AddError):
        add_offline(home, tree / "none", "you", lambda done, size: None, print)
    reader = SeriesReader.open(home.database)
    assert [entry.event for entry in reader.read(0, 10)] == [told], "what failed left nothing"
    reader.close()
    with home.lock(), pytest.raises(HomeBusyError):
        add_offline(home, tree / "file", "me", lambda done, size: None, print)
    assert home.running() is None


def test_without_a_node_left_out_files_are_entries_too(tmp_path: Path, tree: Path) -> None:
    home = Home(tmp_path / "home")
    (tree / "out").symlink_to("/etc")
    notes: list[str] = []
    told = add_offline(home, tree, "me", lambda done, size: None, notes.append)
    text = f"{tree} has 1 link that leads out of it, which others do not get: out → /etc"
    assert notes == [text]
    reader = SeriesReader.open(home.database)
    note = ev.ErrorOccurred(text=text, cid=told.root, path=str(tree), code="left_out")
    assert [entry.event for entry in reader.read(0, 10)] == [note, told]
    reader.close()


async def test_a_running_node_writes_entries_about_left_out_files(tmp_path: Path, tree: Path) -> None:
    (tree / "out").symlink_to("/etc")
    os.mkfifo(tree / "pipe")
    async with FluxNode.open(tmp_path / "home", LOOPBACK) as node:
        root = await share(node, tree)
        await until(lambda: len(series_of(node)) == node.derive_state().seq)
        notes = [entry.event for entry in series_of(node) if isinstance(entry.event, ev.ErrorOccurred)]
    assert [(note.cid, note.by) for note in notes] == [(root, None)] * 2
