"""`flux-tui cat`: write the bytes of a file to stdout, in order, while they arrive, in constant memory."""

import contextlib
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import ExitStack, aclosing, closing
from functools import partial
from pathlib import Path
from typing import Any

import click

from flux_tui.cli.arguments.options import home_option, node_options
from flux_tui.cli.arguments.time_limit import keep_option, patience, timeout_option
from flux_tui.cli.content.looking import PATIENT_SECONDS, Looking, as_failures, read_path
from flux_tui.cli.content.stdout_pieces import StdoutPieces
from flux_tui.cli.content.trio_runs import run_in_trio
from flux_tui.cli.home_and_series import the_home
from flux_tui.cli.output import Failure, stdout_descriptor
from flux_tui.core.api import commands as cmd
from flux_tui.core.content.path_walk import Part
from flux_tui.core.ids import Cid, is_leaf
from flux_tui.home import Home, HomeError
from flux_tui.reading.home_blocks import HomeBlocks
from flux_tui.reading.object_reader import ObjectReader
from flux_tui.reading.open_runs import OpenRuns, Piece
from flux_tui.store.disk.file_places import KEPT
from flux_tui.store.series_reader import StoreError

LOOK_SECONDS = 0.1
"""Seconds between two looks into the series, for errors."""


@click.command(
    epilog="""\b
Examples:
  flux-tui cat bafy…/notes.txt | less
  flux-tui cat flux1… > film.mkv                      written in order, while it arrives
  flux-tui cat bafy… --offset 1000000 --length 500    only the blocks of these bytes are fetched

What was fetched stays in the store; a whole file is shared from there: `flux-tui rm CID` frees it."""
)
@click.argument("what", nargs=-1, required=True, metavar="CID-or-TICKET[/PATH]...")
@click.option("--offset", type=click.IntRange(min=0), default=0, metavar="BYTES", help="Begin at this byte.")
@click.option(
    "--length", type=click.IntRange(min=0), default=None, metavar="BYTES", help="At most so many bytes."
)
@timeout_option
@keep_option
@home_option
@node_options
def cat(
    what: tuple[str, ...],
    offset: int,
    length: int | None,
    timeout: float | None,
    keep: bool,
    home: Path | None,
    **flags: Any,
) -> None:
    """Write files inside objects to standard output, one after the other.

    What is here is read without a node. Of an object, only the folders on the way and the file itself are fetched.
    With `--offset` or `--length`, only the blocks of these bytes are.
    """
    place, limit = the_home(home), patience(timeout, keep=keep)
    for text in what:
        path = read_path(text)
        with Looking(place, path.ticket, flags, limit) as looking:
            part = looking.resolve(path)
            stop = None if length is None else offset + length
            write_file(looking, part, offset, stop)


def write_file(looking: Looking, part: Part, start: int = 0, stop: int | None = None) -> None:
    """Write bytes `start` to `stop` of a file to stdout, in order; what lacks is fetched. Raises Failure.

    All of a file is wanted as one object, so that it is shared while it arrives. Of a part of one, the blocks are.
    """
    name = part.name or looking.ticket.name or part.cid
    if part.kind != "file":
        kind = (
            "a folder: `flux-tui ls` lists it"
            if part.kind == "folder"
            else f"a symbolic link to {part.target}"
        )
        raise Failure(f"{name} is {kind}")
    stdout_descriptor()  # fails before anything is fetched
    all_of_it = start == 0 and stop is None and not is_leaf(part.cid)
    want = _WholeWant(looking, part)
    with ExitStack() as stack:
        blocks = looking.blocks
        if all_of_it:
            if not looking.patience.keep:
                stack.callback(want.end)
            blocks = HomeBlocks(looking.home, looking.begin, by=looking.mark, want=want)
            stack.callback(blocks.close)
        with as_failures():
            if all_of_it:
                runs = stack.enter_context(closing(OpenRuns(blocks)))
                pieces: AsyncGenerator[Piece, None] = runs.read(part.cid)
            else:
                pieces = ObjectReader(blocks).read(part.cid, start, stop)
            run_in_trio(partial(_write, pieces, looking, part.cid, blocks))
            want.is_met = True


class _WholeWant:
    """Wants all of a file as one object when the first block lacks. If the command ends early, the want ends too."""

    def __init__(self, looking: Looking, part: Part) -> None:
        self._looking = looking
        self._part = part
        self.home: Home = looking.home
        self.is_met = False
        """Whether all of the file was read. The node finishes it in a moment, and must not be told to cancel it."""

    def __call__(self, cids: Sequence[Cid]) -> None:
        part, ticket, follower = self._part, self._looking.ticket, self._looking.follower
        follower.look()
        if follower.wanted_by(part.cid) is not None:
            return  # another command fetches it: what arrives serves both
        self.home.push(
            cmd.Get(
                part.cid,
                str(self.home.path.absolute() / KEPT / part.cid),
                part.name or ticket.name,
                part.size,
                ticket.addrs,
                self._looking.mark,
            )
        )

    def end(self) -> None:
        """Cancel the want, if it is this command's and not met."""
        if self.is_met or not self._looking.begun:
            return
        with contextlib.suppress(HomeError, StoreError, Failure):  # then there is no want left to cancel
            self._looking.follower.look()
            if self._looking.follower.wanted_by(self._part.cid) == self._looking.mark:
                self.home.push(cmd.Cancel((self._part.cid,), self._looking.mark))


async def _write(pieces: AsyncGenerator[Piece, None], looking: Looking, cid: Cid, blocks: HomeBlocks) -> None:
    import trio

    out = StdoutPieces()
    async with trio.open_nursery() as nursery:

        async def watch() -> None:
            last, since = 0, time.monotonic()
            while True:
                await trio.sleep(LOOK_SECONDS)
                if looking.begun:
                    looking.follower.look()
                looking.check_patience((cid, *blocks.wanted))
                if not looking.begun:
                    continue
                if out.written != last:
                    last, since = out.written, time.monotonic()
                elif time.monotonic() - since >= PATIENT_SECONDS:
                    since = time.monotonic()
                    looking.tell(looking.follower.waits_for(cid))

        nursery.start_soon(watch)
        async with aclosing(pieces):
            async for piece in pieces:
                await trio.to_thread.run_sync(out.write, piece, abandon_on_cancel=True)  # type: ignore[call-arg]
        nursery.cancel_scope.cancel()
