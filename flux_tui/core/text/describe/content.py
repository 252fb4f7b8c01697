"""Describes the events about objects: added, complete, removed, lost."""

from typing import assert_never

from flux_tui.core.series import events as ev
from flux_tui.core.text.describe.wording import Wording
from flux_tui.core.text.quantities import counted, human_size


def words(event: ev.ContentEvent, w: Wording) -> str:
    """Return one event about an object in words."""
    match event:
        case ev.AddProgressed():
            return f"{w.names.text(event.path)} {human_size(event.bytes_done)} of {human_size(event.size)}"
        case ev.AddCancelled():
            return f"{w.names.text(event.path)} is not shared: its add was cancelled"
        case ev.ObjectAdded():
            chunks = counted(event.chunks, "chunk")
            return f"{event.name} {human_size(event.size)} in {chunks}, root {w.names.cid(event.root)}"
        case ev.ObjectMapped():
            chunks = counted(event.chunks, "chunk")
            return f"{w.names.name(event.root)} is {human_size(event.size)} in {chunks}, {event.have:,} here"
        case ev.ObjectCompleted():
            where = f" at {w.names.text(event.path)}" if event.path else ""
            return f"{w.names.name(event.root)} is whole, {human_size(event.size)}{where}"
        case ev.ObjectRefused():
            return f"{w.names.name(event.root)} is refused: its blocks are removed"
        case ev.ObjectDiscarded():
            return f"{w.names.name(event.root)}: its blocks are removed, {human_size(event.size)} less"
        case ev.ObjectRemoved():
            told = f", {counted(len(event.peers), 'peer')} told" if event.peers else ""
            return f"{event.name or w.what((event.root,))} is no longer shared{told}"
        case ev.ObjectFreed():
            named, chunks = event.name or w.what((event.root,)), counted(event.chunks, "chunk")
            return f"{named}: {chunks} {human_size(event.size)} less in the store"
        case ev.ChunksLost():
            lost = counted(len(event.cids), "chunk")
            withdrawn = f"; {w.what(event.roots)} is not provided any more" if event.roots else ""
            return f"{lost} {human_size(event.size)} of {w.names.text(event.path)}{withdrawn}"
        case _:
            assert_never(event)
