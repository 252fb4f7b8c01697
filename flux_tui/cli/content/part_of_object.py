"""Finds a part of an object for the dashboard, which shows no lines of a command."""

import time
from collections.abc import Sequence
from contextlib import closing

from flux_tui.cli.home_and_series import new_mark
from flux_tui.core.api import commands as cmd
from flux_tui.core.content.object_paths import ObjectPath
from flux_tui.core.content.path_walk import Part, resolve
from flux_tui.core.content.ticket import Ticket
from flux_tui.core.ids import Cid
from flux_tui.home import Home
from flux_tui.reading.blocks import ReadError
from flux_tui.reading.home_blocks import HomeBlocks

PART_SECONDS = 60.0
"""Seconds for the folders on the way to come."""


def find_part(home: Home, path: ObjectPath, seconds: float = PART_SECONDS) -> Ticket:
    """Return the ticket of the file or folder that a path leads to. The node fetches folders on the way that lack.

    It blocks, for at most `seconds` without a folder. Raises ReadError, BadBlockError, HomeError.
    """
    mark = new_mark()

    def begin() -> None:
        home.push(*(cmd.Join(addr, mark) for addr in path.ticket.addrs))

    with closing(HomeBlocks(home, begin, by=mark)) as blocks:
        part = _resolved(blocks, path, seconds)
    if part.kind == "link":
        raise ReadError(f"{part.name} is a symbolic link to {part.target}: name that instead")
    return Ticket(part.cid, part.name, part.size, path.ticket.addrs)


def _resolved(blocks: HomeBlocks, path: ObjectPath, seconds: float) -> Part:
    end = time.monotonic() + seconds

    def waiting(cids: Sequence[Cid]) -> None:
        if time.monotonic() >= end:
            raise ReadError(f"nobody sent the folders on its way within {seconds:g} s")

    walk = resolve(path.ticket.root, path.names)
    try:
        wanted = next(walk)
        while True:
            wanted = walk.send(blocks.wait(wanted, waiting))
    except StopIteration as found:
        part: Part = found.value
        return part
