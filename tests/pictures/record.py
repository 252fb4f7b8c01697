"""Record the series that the pictures show: five real nodes, files, refusals, a death, a return.

    python -m tests.pictures.record assets/swarm.flux

Two holders serve one peer at a time, so the others hear `busy`; one holder is killed in the middle and
comes back; one chunk is wanted that nobody has. What the third node saw of it is the recording.
"""

import json
import os
import shutil
import tempfile
import time
from pathlib import Path

from flux_tui.core.api import commands as cmd
from flux_tui.core.content.ticket import Ticket, parse_ticket
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.home import Home
from tests.bench.nodes import Node, flux, running, state, wait_for
from tests.pictures.target import target_of

FILM, TALK, PHOTOS = 500 * 1024 * 1024, 3 * 1024 * 1024, 40
PATIENCE_SECONDS = 120.0


def share(node: Node, *paths: Path) -> list[Ticket]:
    """Add paths. Return their tickets."""
    lines = flux("add", "--json", *map(str, paths), home=node.home).stdout.splitlines()
    return [parse_ticket(json.loads(line)["ticket"]) for line in lines]


def get(node: Node, ticket: Ticket, folder: Path) -> None:
    """Push a want for the object of a ticket."""
    path = folder / (ticket.name or "object")
    command = cmd.Get(ticket.root, str(path), ticket.name, ticket.size, ticket.addrs, "recording")
    Home(node.home).push(command)


def progress(node: Node, root: Cid) -> float:
    """Return the share of an object that is here."""
    objects = state(node.home)["objects"]
    return max((found["progress"] for found in objects if found["root"] == root), default=0.0)


def make_files(folder: Path) -> list[Path]:
    """Make a film, a talk and a folder of photos, of random bytes."""
    film, talk, photos = folder / "film.mkv", folder / "talk.pdf", folder / "photos"
    with film.open("wb") as file:
        for _ in range(FILM // (4 * 1024 * 1024)):
            file.write(os.urandom(4 * 1024 * 1024))
    talk.write_bytes(os.urandom(TALK))
    photos.mkdir()
    for number in range(PHOTOS):
        (photos / f"IMG_{4100 + number}.jpg").write_bytes(os.urandom(300_000 + 17_000 * number))
    return [film, talk, photos]


def record(target: Path, work: Path) -> None:
    """Play the story, and copy the series of the third node."""
    for name in ("ada", "bob"):
        (work / name).mkdir(mode=0o700)
        (work / name / "settings.toml").write_text("max_uploads = 1\n")
    paths = make_files(work)
    ada, bob, cy, dee, eve = nodes = [Node(work / name) for name in ("ada", "bob", "cy", "dee", "eve")]
    with running(*nodes):
        film, talk, photos = share(ada, *paths)
        share(bob, *paths)
        for node in (cy, dee, eve):
            Home(node.home).push(cmd.Join(ada.addrs[0]), cmd.Join(bob.addrs[0]))
        for node in (dee, eve, cy):
            (node.home / "got").mkdir()
            get(node, film, node.home / "got")
        get(cy, talk, cy.home / "got")
        Home(cy.home).push(cmd.Want(raw_cid(b"nobody has this"), "recording"))
        wait_for(lambda: progress(cy, film.root) > 0.3, PATIENCE_SECONDS)
        get(cy, photos, cy.home / "got")
        bob.kill()
        wait_for(lambda: progress(cy, film.root) > 0.7, PATIENCE_SECONDS)
        bob.start()
        wait_for(lambda: progress(cy, film.root) == 1, PATIENCE_SECONDS)
        wait_for(lambda: progress(cy, photos.root) == 1, PATIENCE_SECONDS)
        time.sleep(3)  # a few quiet seconds at the end are part of the recording
        target.unlink(missing_ok=True)
        flux("export", str(target), home=cy.home)


def main() -> None:
    """Run the command."""
    target = target_of("tests.pictures.record", __doc__, "file", Path("assets/swarm.flux")).absolute()
    work = Path(tempfile.mkdtemp(prefix="flux-tui-recording-"))
    try:
        record(target, work)
    finally:
        shutil.rmtree(work)
    print(f"recorded {target}, {target.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
