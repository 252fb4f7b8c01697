"""`flux-tui export --car`: write an object as a CAR, block by block, in constant memory."""

import contextlib
import os
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

from flux_tui.cli.arguments.time_limit import WITHOUT_END, Patience
from flux_tui.cli.content.looking import Looking, as_failures, read_path
from flux_tui.cli.content.trio_runs import run_in_trio
from flux_tui.cli.output import Failure, print_json, say, stdout_descriptor
from flux_tui.core.content.car import encode_header, encode_section
from flux_tui.core.ids import Cid
from flux_tui.core.text.quantities import counted, human_size
from flux_tui.home import Home
from flux_tui.path_arguments import literal_path
from flux_tui.reading.dag_blocks import blocks_of
from flux_tui.reading.object_reader import ObjectReader


def export_car(
    home: Home,
    what: str,
    output: str,
    *,
    force: bool,
    flags: Mapping[str, Any],
    patience: Patience = WITHOUT_END,
    as_json: bool = False,
) -> None:
    """Write the object, or the part of one, that `what` names to a CAR. Blocks that are not here are fetched.

    `output`: a path, or `-` for standard output. The file appears under its name when it is whole. Raises Failure.
    """
    path = read_path(what)
    with Looking(home, path.ticket, flags, patience, as_json=as_json) as looking:
        part = looking.resolve(path)
        if output == "-":
            _run(looking, part.cid, os.fdopen(os.dup(stdout_descriptor()), "wb"))
            return
        whole = literal_path(output)
        if not force and os.path.lexists(whole):
            raise Failure(f"{whole} exists already: --force replaces it")
        temporary = whole.with_name(f".{whole.name}.{os.getpid()}.part")
        try:
            try:
                count, size = _run(looking, part.cid, temporary.open("xb"))
                temporary.replace(whole)
            except OSError as error:
                raise Failure(
                    f"{whole} cannot be written: {(error.strerror or str(error)).lower()}"
                ) from None
        except BaseException:
            with contextlib.suppress(OSError):
                temporary.unlink()
            raise
    if as_json:
        print_json({"event": "done", "path": str(whole), "blocks": count, "size": size})
    else:
        say(f"{counted(count, 'block')}, {human_size(size)} in {Path(output)}")


def _run(looking: Looking, cid: Cid, file: BinaryIO) -> tuple[int, int]:
    with file, as_failures():
        return run_in_trio(partial(_write, looking, cid, file))


async def _write(looking: Looking, cid: Cid, file: BinaryIO) -> tuple[int, int]:
    """Write the CAR. Return its number of blocks, and its bytes."""
    import trio

    def write(*parts: bytes) -> None:
        for part in parts:
            file.write(part)

    header = encode_header([cid])
    await trio.to_thread.run_sync(write, header)
    count, size = 0, len(header)
    async with contextlib.aclosing(blocks_of(ObjectReader(looking.blocks), cid)) as blocks:
        async for block in blocks:
            head = encode_section(block.cid, len(block.data))
            await trio.to_thread.run_sync(write, head, block.data)
            count, size = count + 1, size + len(head) + len(block.data)
            if looking.begun:
                looking.follower.look()
    return count, size
