"""Keeps what the Objects panel shows besides the state: its tab, and the blocks and files of the selected object."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from flux_tui.core.ids import Cid
from flux_tui.core.series.state import State
from flux_tui.store.database import StoreError
from flux_tui.ui.rows.objects.tabs import TABS, Tab, objects_by_tab
from flux_tui.ui.series.cursor import Source
from flux_tui.ui.watching.watched_node import Nodes

if TYPE_CHECKING:  # imported when Objects first shows an object: the dashboard's first frame has none
    from flux_tui.store.index.object_files_reader import ObjectFiles
    from flux_tui.ui.rows.objects.details import Selected
    from flux_tui.ui.series.block_map import BlockMap

SLICE = 4_000
"""Entries about blocks that are read in one frame, in about 20 ms. Others follow between keys and frames."""
MOST = 100_000
"""Entries that are read for the blocks of one object. Of a longer history, only the newest: what came before counts as
here before."""
JUST_BEFORE = 0.001
"""Seconds: an object's first entries may have the very time since when it is wanted."""
FILES_SECONDS = 1.0
"""Seconds between two looks at the files of an object that is not whole, at least."""
FILES_SHARE = 0.02
"""The share of the time that these looks may take: after a slow one, the next comes later."""


class ObjectsFeed:
    """Reads the entries about the selected object, some in each frame, and its files from the home's index."""

    def __init__(self, nodes: Nodes, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._nodes = nodes
        self._chosen: Tab | None = None
        """The tab that the person chose. None: the one that has something, or the selected object."""
        self._shown: Tab = TABS[0]
        self._blocks: BlockMap | None = None
        """The blocks of the object that was selected last. None: nothing was selected yet."""
        self._source: Source | None = None
        """The series that `_blocks` is of. None: of no series."""
        self._until = 0
        """The last entry that may tell of the blocks."""
        self._whole_at: float | None = None
        self._files = _FilesLookUp(monotonic)
        self.unfolded = False
        """Whether all files of the selected object are listed."""

    # ── tabs ────────────────────────────────────────────────────────────────────────────────────

    def tab(self, state: State, selected: Cid | None) -> Tab:
        """Return the tab that the Objects panel shows.

        It is the tab that the person chose, or else a tab with the selected object, or else the first tab
        that is not empty. So an object that becomes whole does not disappear from the screen.
        """
        if self._chosen is None:
            objects = objects_by_tab(state)
            having = [tab for tab in (self._shown, *TABS) if selected in objects[tab]]
            first = [tab for tab in TABS if objects[tab]]
            self._shown = next(iter((*having, *first)), TABS[0])
        return self._chosen or self._shown

    def next_tab(self, by: int) -> None:
        """Choose the next (1) or previous (-1) tab of the Objects panel; after the last tab comes the first."""
        current = self._chosen or self._shown
        self._chosen = TABS[(TABS.index(current) + by) % len(TABS)]

    def show_tab(self, tab: Tab) -> None:
        """Choose a tab of the Objects panel."""
        self._chosen = tab

    def follow(self) -> None:
        """Forget which tab the person chose. The Objects panel then shows a tab that has the selected object."""
        self._chosen = None

    # ── the selected object ─────────────────────────────────────────────────────────────────────

    @property
    def looking(self) -> bool:
        """Whether some entries about the blocks of the selected object were not read yet."""
        blocks = self._blocks
        return blocks is not None and self._source is self._nodes.source and blocks.seq < self._until

    def forget(self) -> None:
        """Forget the blocks of the object that was selected, because none is selected now."""
        self._source = None

    def selected(self, root: Cid) -> "Selected":
        """Read some more entries about an object, as many as one frame allows. Return its blocks and files."""
        from flux_tui.ui.rows.objects.details import Selected

        blocks = self._read(root)
        files, why = self._files_of(root)
        return Selected(
            root,
            blocks,
            self.looking,
            files,
            why,
            self._nodes.source.frozen and files is not None,
            self.unfolded,
        )

    def _read(self, root: Cid) -> "BlockMap | None":
        """Read some more entries about the blocks of an object, and return its block map.

        None: the object was added here, so no entry is about its blocks, or the state does not have the
        object.
        """
        from flux_tui.ui.series.block_map import BlockMap

        source, blocks = self._nodes.source, self._blocks
        found = source.state.objects.get(root)
        if found is None or found.origin == "added":
            self.forget()
            return None
        # When it was set back, or is wanted again, the map begins anew.
        anew = (
            self._source is not source or blocks is None or blocks.root != root or blocks.seq > source.cursor
        )
        if found.completed_at is None:
            self._until = source.cursor
        elif anew or self._whole_at != found.completed_at:
            self._until = min(source.cursor, source.seq_at(found.completed_at))
        self._whole_at = found.completed_at
        if blocks is None or anew or self._until - blocks.seq > MOST:
            start = max(0, source.seq_at(found.since - JUST_BEFORE), self._until - MOST)
            blocks = self._blocks = BlockMap(root, start)
            self._source = source
        left = SLICE
        while left > 0 and blocks.seq < self._until:
            page = source.read(blocks.seq, min(left, self._until - blocks.seq))
            if not page:
                self._until = blocks.seq  # it cannot be read now
                break
            blocks.extend(page)
            left -= len(page)
        return blocks

    def _files_of(self, root: Cid) -> tuple["ObjectFiles | None", str]:
        """Return the files of an object, and a sentence that says why they are not known.

        The files are None if they are not known, or if the object is not a folder. The sentence is empty for
        every node that is not a recording.
        """
        node, found = self._nodes.shown, self._nodes.state.objects.get(root)
        if node.recording:
            return None, "a recording does not have the names of its files"
        if node.index is None or found is None:
            return None, ""
        changing = found.completed_at is None
        return self._files.read(node.index, root, found.path, changing=changing), ""


class _FilesLookUp:
    """Reads the files of the selected object from a home's index, and not more often than every FILES_SECONDS."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._asked: tuple[object, ...] = ()
        """The arguments of the last look-up."""
        self._again_at = 0.0
        """The earliest time at which the same object is looked up again."""
        self._found: ObjectFiles | None = None

    def read(self, index: Path, root: Cid, path: str | None, *, changing: bool) -> "ObjectFiles | None":
        """Return the files of an object. None: the home does not know them, or the object is not a folder.

        `index`: the database of the home. `path`: the path of the object; None: it has none. `changing`: the
        object is not whole yet, so its files are read again at intervals.
        """
        asked, now = (index, root, path, changing), self._monotonic()
        if asked != self._asked or (changing and now >= self._again_at):
            self._asked = asked
            self._found = _look_up(index, root, path)
            after = self._monotonic()
            self._again_at = after + max(FILES_SECONDS, (after - now) / FILES_SHARE)
        return self._found


def _look_up(index: Path, root: Cid, path: str | None) -> "ObjectFiles | None":
    """Read the files of an object from the database of a home.

    `path`: the path of the object; None: it has none. None is returned if the home cannot be read or does not
    know the files, or if the object is not a folder.
    """
    from flux_tui.store.index.object_files_reader import ObjectFilesReader
    from flux_tui.ui.rows.objects.details import FILES_UNFOLDED

    try:
        reader = ObjectFilesReader.open(index)
    except StoreError:
        return None
    try:
        return reader.read(root, path, FILES_UNFOLDED)
    except StoreError:
        return None
    finally:
        reader.close()
