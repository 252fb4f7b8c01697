"""Sharing: the user adds a file or folder, cancels an add, or removes an object.

- The command `Add` makes a worker read a path. The result comes back as the input `Added` or `AddEnded`.
- The command `Remove` stops sharing at once: an entry is written, the provider record is withdrawn, and every
  connected peer is answered `not_held` for the root. Then the store deletes the blocks that no other object
  contains. A peer that still waits for one of these blocks is answered `not_held`.
- The user's own files are never touched.
- If this node also keeps a replica of the removed object for others, the replica first gets its own copy of the
  blocks, if there is room.

All of this follows from the state. So a node that was killed in the middle continues when it is restarted.
"""

from flux_tui.core.api import commands as cmd
from flux_tui.core.api.effects import AddPath, EndAdd, Free, StopAdd
from flux_tui.core.api.inputs import Added, AddEnded, AddStepped, Freed
from flux_tui.core.fetching.requester import Requester
from flux_tui.core.ids import Cid, is_leaf
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.provider_records import ProviderRecords
from flux_tui.core.replication.keeper import Keeper
from flux_tui.core.series import events as ev
from flux_tui.core.serving.responder import Responder
from flux_tui.core.turn import Ledger
from flux_tui.core.vocabulary import ErrorCode


def notes_of(added: Added) -> tuple[ev.ErrorOccurred, ...]:
    """Return error entries about the parts of an added path that are not shared: one entry for each kind of part.

    An example is a symbolic link that leads out of the folder. These entries come before `object_added` in the
    series.
    """
    return tuple(
        ev.ErrorOccurred(text=note, cid=added.root, path=added.path, code="left_out") for note in added.notes
    )


def object_added(added: Added) -> ev.ObjectAdded:
    """Return the event that says that a path was read completely and is shared now."""
    return ev.ObjectAdded(
        root=added.root,
        name=added.name,
        size=added.size,
        chunks=added.chunks,
        path=added.path,
        stored=added.stored,
        stored_chunks=added.stored_chunks,
        by=added.by,
    )


class Sharing:
    """Handles the commands and inputs that add files to the shared objects, or remove objects."""

    def __init__(
        self,
        ledger: Ledger,
        connected: ConnectedPeers,
        requester: Requester,
        responder: Responder,
        provider_records: ProviderRecords,
        keeper: Keeper,
    ) -> None:
        self.ledger = ledger
        self.connected = connected
        self.requester = requester
        self.responder = responder
        self.provider_records = provider_records
        self.keeper = keeper
        self._adds: list[tuple[str, str | None]] = []
        """Path and mark of each add that is being read."""
        self._unfinished = tuple(ledger.state.adding)
        """Paths of adds that ended when the node stopped."""
        self._waiting: dict[Cid, None] = {}
        """Removed objects from whose blocks a replica of the same object is being copied."""

    def start(self) -> None:
        """Continue after a restart: have the store delete the blocks of removed objects and of unfinished adds."""
        for path in self._unfinished:
            self.ledger.do(EndAdd(share=0, keep=False, others=self.ledger.state.roots, path=path))
        for root in self.ledger.state.removing:
            self._waiting[root] = None
        self.settle()

    def settle(self) -> None:
        """Have the store delete the blocks of removed objects, once no replica is copied from these blocks any more.

        Called after the machine has handled an input.
        """
        for root in [root for root in self._waiting if root not in self.requester.downloads]:
            del self._waiting[root]
            self._free(root)

    # ── adding ──────────────────────────────────────────────────────────────────────────────────

    def add(self, command: cmd.Add) -> None:
        """Begin to read the path of an `Add` command."""
        self._adds.append((command.path, command.by))
        self.ledger.do(AddPath(path=command.path, by=command.by, verify=command.verify, car=command.car))

    def cancel_add(self, command: cmd.CancelAdd) -> None:
        """Stop the add that a `CancelAdd` command names, or write an error if no such add is running."""
        if any(self._is_meant(command, add) for add in self._adds):
            self.ledger.do(StopAdd(path=command.path, mark=command.mark))
            return
        text = f"{command.path} is not being added, so there is nothing to cancel"
        self.ledger.emit(ev.ErrorOccurred(text=text, path=command.path, by=command.by, code="not_adding"))

    def stepped(self, step: AddStepped) -> None:
        """Record how much of a path has been read."""
        self.ledger.emit(
            ev.AddProgressed(path=step.path, bytes_done=step.bytes_done, size=step.size, by=step.by)
        )

    @staticmethod
    def _is_meant(command: cmd.CancelAdd, add: tuple[str, str | None]) -> bool:
        path, mark = add
        return path == command.path and command.mark in (None, mark)

    def added(self, added: Added) -> None:
        """Share a path that was read completely, and announce it to the swarm."""
        self._forget((added.path, added.by))
        for note in notes_of(added):
            self.ledger.emit(note)
        self.ledger.emit(object_added(added))
        self.ledger.do(EndAdd(share=added.share, keep=True))
        self.announce(added.root)
        self.keeper.adopt(added.root)

    def ended(self, ended: AddEnded) -> None:
        """Record that an add was cancelled or failed, and have the store delete the blocks that it had stored.

        Blocks that another object contains stay.
        """
        self._forget((ended.path, ended.by))
        if ended.text is None:
            self.ledger.emit(ev.AddCancelled(path=ended.path, by=ended.by))
        else:
            self.ledger.emit(
                ev.ErrorOccurred(text=ended.text, path=ended.path, by=ended.by, code="cannot_add")
            )
        self.ledger.do(EndAdd(share=ended.share, keep=False, others=self.ledger.state.roots))

    def _forget(self, add: tuple[str, str | None]) -> None:
        if add in self._adds:
            self._adds.remove(add)

    def announce(self, root: Cid) -> None:
        """Announce a complete object to the swarm and the DHT. Does nothing if this node does not know the object."""
        if known := self.ledger.state.objects.get(root):
            self.provider_records.add(root, wanted=self.responder.announcements.is_wanted(root))
            self.responder.announcements.add(root, known.name, known.size or 0)

    # ── removing ────────────────────────────────────────────────────────────────────────────────

    def remove(self, command: cmd.Remove) -> None:
        """Stop sharing the objects and loose chunks of a `Remove` command.

        For each one that cannot be removed, an error entry gives the reason.
        """
        removed = []
        for cid in dict.fromkeys(command.cids):
            if (why := self._why_not(cid)) is not None:
                about = None if cid in self.ledger.state.pending else cid  # the error is not about its want
                self.ledger.emit(ev.ErrorOccurred(text=why[1], cid=about, by=command.by, code=why[0]))
                continue
            removed.append(cid)
            known = self.ledger.state.objects.get(cid)
            self.ledger.emit(
                ev.ObjectRemoved(
                    root=cid,
                    name=known.name if known is not None else None,
                    size=known.size if known is not None else self.ledger.holdings.size_of(cid),
                    path=known.path if known is not None else None,
                    peers=tuple(self.connected),
                    by=command.by,
                )
            )
            self.provider_records.drop(cid)
        self.responder.removed(tuple(removed))
        for cid in removed:
            self.keeper.disowned(cid)
            self._waiting[cid] = None
        self.settle()

    def freed(self, freed: Freed) -> None:
        """Record that the store has deleted the blocks of a removed object.

        Answer `not_held` to peers that wait for one of these blocks.
        """
        removing = self.ledger.state.removing.get(freed.root)
        if removing is None:
            return
        self.ledger.emit(
            ev.ObjectFreed(
                root=freed.root, chunks=freed.chunks, size=freed.size, name=removing.name, by=removing.by
            )
        )
        self.responder.freed(freed.cids)

    def _why_not(self, cid: Cid) -> tuple[ErrorCode, str] | None:
        """Return why an object or chunk cannot be removed, and the right command, in a sentence; None if it can."""
        state = self.ledger.state
        known, kept = state.objects.get(cid), state.kept.get(cid)
        name = (known.name if known is not None else None) or cid
        download = self.requester.downloads.get(cid)
        if download is not None and not download.held:
            return "not_whole", f"{name} is not whole yet: cancel it instead (`flux-tui cancel {cid}`)"
        if kept is not None and not kept.own:
            text = f"{name} is kept here for others: release it instead (`flux-tui release {cid}`)"
            return "kept_for_others", text
        if known is not None:
            return None
        if is_leaf(cid) and self.ledger.holdings.size_of(cid) is not None and cid not in state.removing:
            return None
        if cid in state.holds:
            text = f"{name} is only held by others: release it instead (`flux-tui release {cid}`)"
            return "kept_by_others", text
        return "not_shared", f"{cid} is not shared here, so there is nothing to remove"

    def _free(self, root: Cid) -> None:
        state = self.ledger.state
        removing = state.removing.get(root)
        if removing is None:
            return
        paths = (known.path for known in state.objects.values() if known.path is not None)
        free = Free(
            root=root, mark=removing.mark, others=self.ledger.state.roots, paths=tuple(dict.fromkeys(paths))
        )
        self.ledger.do(free)
