"""The requester: what this node wants, the blocks of these objects, and what became of each want.

1. This node pushes a want (want_pusher.py). Holders answer with a delayed yes or a NO (peer_answers.py).
2. The scheduler grants missing chunks to the holders that said yes (scheduler.py).
3. A chunk that comes ends its leases (arrivals.py). An inner node says which other blocks belong to the
   object, and where their content belongs (planning_in_turns.py).
4. When no holder is left to ask, this node pushes the want again (want_pusher.py).
"""

from flux_tui.core.api.effects import Claim, DropTree, FinishTree, OpenTree
from flux_tui.core.api.inputs import Placed
from flux_tui.core.content.unixfs_trees import BadBlockError
from flux_tui.core.fetching.arrivals import Arrivals
from flux_tui.core.fetching.downloads.download import Download
from flux_tui.core.fetching.downloads.plan_builder import plan_leaf
from flux_tui.core.fetching.downloads.planning_in_turns import Planning
from flux_tui.core.fetching.grants.leases import Leases
from flux_tui.core.fetching.grants.restored_leases import InheritedLeases
from flux_tui.core.fetching.grants.scheduler import Scheduler
from flux_tui.core.fetching.grants.wanted_blocks import WantedBlocks
from flux_tui.core.fetching.holders import Holders
from flux_tui.core.fetching.peer_answers import PeerAnswers
from flux_tui.core.fetching.wants.want_pusher import WantPusher
from flux_tui.core.fetching.wants.want_queue import WantPriority
from flux_tui.core.fetching.write_failures import Failures
from flux_tui.core.ids import Cid, PeerId, is_leaf
from flux_tui.core.peers.connected import ConnectedPeers
from flux_tui.core.peers.router import Router
from flux_tui.core.series import events as ev
from flux_tui.core.turn import Ledger


class Requester:
    """Everything that this node wants: the downloads, and the parts that handle them.

    The machine calls the parts directly: `answers` with the messages of peers, `arrivals` with chunks.
    """

    def __init__(self, ledger: Ledger, connected: ConnectedPeers, router: Router, max_pending: int) -> None:
        self.ledger = ledger
        self.downloads: dict[Cid, Download] = {}
        self.holders = Holders(connected)
        self.leases = Leases()
        self.inherited = InheritedLeases(ledger, self.holders)
        self.wanted = WantedBlocks(self.holders, self.downloads, self.leases, self.inherited)
        self.want_pusher = WantPusher(ledger, self.holders, self.downloads, router, max_pending)
        self.scheduler = Scheduler(
            ledger, self.holders, self.downloads, self.wanted, self.leases, self.want_pusher
        )
        self.failures = Failures(ledger, self.scheduler, self.cancel)
        self.planning = Planning(ledger, self.downloads, self.wanted.miss, self.failures.refuse)
        self.answers = PeerAnswers(
            ledger, self.holders, self.downloads, self.wanted, self.leases, self.scheduler, self.want_pusher
        )
        self.arrivals = Arrivals(
            ledger,
            self.holders,
            self.downloads,
            self.wanted,
            self.leases,
            self.inherited,
            self.scheduler,
            self.want_pusher,
            self.planning,
            self.failures,
        )

    # ── what is wanted ──────────────────────────────────────────────────────────────────────────

    def want(
        self,
        cid: Cid,
        *,
        path: str | None,
        name: str | None,
        size: int | None,
        by: str | None,
        at_once: bool = False,
    ) -> None:
        """Want a root or a loose chunk, because a person or program here asked for it. `by`: the command's mark.

        If it is wanted already, a new path replaces the old one, and what could not be written is tried again. If
        it is in the store already and no path is given, an entry says at once that it is complete. With `at_once`,
        the want is pushed even if max_pending wants are in the network already.
        """
        known = self.downloads.get(cid)
        if known is not None:
            only_block = not known.tree and not is_leaf(cid)
            if known.held or only_block or (path is not None and path != known.path):
                self._moved(known, path, name, size, by)
            self.retry_write(cid)
            if at_once and not self.want_pusher.queue.is_in_network(cid):
                self.want_pusher.queue.move_to_front(cid)  # it was dormant, or not pushed yet: push it now
            return
        held, whole = self.ledger.holdings.size_of(cid), self._whole(cid)
        if cid in self.ledger.state.removing:
            held = None  # the store is about to free it
        self.ledger.emit(ev.Requested(cid=cid, name=name, size=size, path=path, by=by))
        if path is None and held is not None and (is_leaf(cid) or whole):
            size = held if is_leaf(cid) else self.ledger.state.objects[cid].size or 0
            self.ledger.emit(ev.ObjectCompleted(root=cid, size=size, path=None, by=by))
            if is_leaf(cid) and (self.ledger.state.kept or self.ledger.state.dropping):
                self.ledger.do(Claim(cid))
            return
        tree = path is not None or not is_leaf(cid)
        priority: WantPriority = "urgent" if at_once else "new"
        self.begin(Download(cid, path=path, tree=tree, by=by, size=size, limit=size), priority)

    def want_block(self, cid: Cid, *, by: str | None, at_once: bool = False) -> None:
        """Want one block, although it may be the root of an object. `by`, `at_once`: as for `want`.

        If it is in the store already, an entry says at once that it is complete. If the object with this root is
        wanted, nothing is done: its root is the first block that is fetched.
        """
        if cid in self.downloads:
            if at_once and not self.want_pusher.queue.is_in_network(cid):
                self.want_pusher.queue.move_to_front(cid)
            return
        held = self.ledger.holdings.size_of(cid) if cid not in self.ledger.state.removing else None
        self.ledger.emit(ev.Requested(cid=cid, by=by, block=True))
        if held is not None:
            self.ledger.emit(ev.ObjectCompleted(root=cid, size=held, path=None, by=by))
            if is_leaf(cid) and (self.ledger.state.kept or self.ledger.state.dropping):
                self.ledger.do(Claim(cid))
            return
        self.begin(Download(cid, path=None, tree=False, by=by, size=None), "urgent" if at_once else "new")

    def retry_write(self, root: Cid) -> None:
        """Try at once to write an object that could not be written, because a person asked for it again."""
        if download := self.downloads.get(root):
            self.scheduler.write_backoff.try_now(download, self.ledger.now)

    def begin(self, download: Download, priority: WantPriority = "new") -> None:
        """Start a download that is recorded in the series, or continue it after a restart.

        `priority`: urgent, new or due, which decides how soon its want is pushed (want_queue.py).
        """
        self.downloads[download.root] = download
        self.want_pusher.enqueue(download, priority)
        root = download.root
        if download.tree:
            self.ledger.do(OpenTree(root=root, path=download.path, held=download.held, limit=download.limit))
        if not download.tree:
            self.wanted.miss(download, root)
        elif is_leaf(root):
            self.planning.ask(download, plan_leaf(download))
        else:
            self.planning.read(download, root)

    def cancel(self, root: Cid) -> bool:
        """End a download, because nobody here wants it any more. Returns False if it was not wanted.

        The holders are told not to send its granted chunks, except chunks that another download wants.
        """
        download = self.downloads.pop(root, None)
        if download is None:
            return False
        self.want_pusher.forget(root)
        if download.tree:
            self.scheduler.write_backoff.end(download)
        told: dict[PeerId, list[Cid]] = {}
        for cid in download.blocks:
            if self.wanted.leave(cid, download):
                continue
            for batch in self.leases.release(cid):
                batch.holder.let_lapse(cid, "cancelled")
                told.setdefault(batch.holder.peer, []).append(cid)
        for peer, cids in told.items():
            self.scheduler.tell_cancel(peer, cids)
            self.holders.may_have_room(peer)
        return True

    def _moved(
        self, download: Download, path: str | None, name: str | None, size: int | None, by: str | None
    ) -> None:
        """Start a download again, for another path, or as the user's own if it was only a replica for others.

        The chunks that came so far are found in the store.
        """
        self.cancel(download.root)
        if download.tree:
            self.ledger.do(DropTree(root=download.root))
        self.ledger.emit(ev.Requested(cid=download.root, name=name, size=size, path=path, by=by))
        self.begin(Download(download.root, path=path, tree=True, by=by, size=size, limit=size))

    # ── what the store answers ──────────────────────────────────────────────────────────────────

    def node_read(self, root: Cid, cid: Cid, data: bytes | None) -> None:
        """Handle the store's answer to a `ReadNode`.

        `data`: the bytes of the inner node; None: the store lacks it, so it is fetched from the swarm.
        """
        if download := self.planning.answered(root):
            if data is None:
                self.wanted.miss(download, cid)
            else:
                self.planning.learn(download, cid, data)
            self.planning.finish_if_whole(download)

    def placed(self, answer: Placed) -> None:
        """Handle the store's answer to a `Place`: leaves that it lacks are fetched from the swarm.

        If the disk had no room, the store tries again later. After another error the download ends.
        """
        download = self.planning.answered(answer.root)
        if download is None:
            return
        if answer.later is not None:
            self.failures.postpone(download, answer.later, answer.error or "")
            return
        if answer.error is not None:
            self.failures.give_up(download, answer.error, discard=answer.impossible)
            return
        try:
            for cid in answer.present:
                download.found(cid, self.ledger.holdings.size_of(cid) or 0)
        except BadBlockError as wrong:
            self.failures.refuse(download, wrong)
            return
        self.scheduler.resume(download)
        have = download.have
        self.wanted.miss_all(download, [cid for cid in answer.missing if cid not in have])
        self.planning.mapped(download)
        self.planning.run()
        download.rotate_missing(self.ledger.random)
        self.planning.finish_if_whole(download)

    def finish_failed(self, root: Cid, text: str, *, later: bool) -> None:
        """Handle the store's failure to begin an object's files, or to move the finished object to its path.

        `later`: there was no room on the disk, so it is tried again. Otherwise the download ends. `text`: the
        reason.
        """
        download = self.downloads.get(root)
        if download is None:
            return
        if later:
            self.failures.postpone(download, FinishTree(root=root), text)
        else:
            self.failures.give_up(download, text, discard=False)

    def finished(self, root: Cid, path: str) -> None:
        """End a download, because the store has moved the finished object to its path."""
        if download := self.downloads.pop(root, None):
            self.want_pusher.forget(root)
            self.scheduler.write_backoff.end(download)
            self.ledger.emit(
                ev.ObjectCompleted(root=root, size=download.have_bytes, path=path, by=download.by)
            )

    # ── peers ───────────────────────────────────────────────────────────────────────────────────

    def peer_up(self, peer: PeerId) -> None:
        """Handle a new connection: push the wants of this node to the peer, and grant it chunks that it offered."""
        self.holders.may_have_room(peer)
        self.want_pusher.peer_up(peer)

    def peer_down(self, peer: PeerId) -> None:
        """Handle a lost connection: end all leases of the peer."""
        self.want_pusher.peer_down(peer)
        self.scheduler.lapse_all(self.holders.get(peer), "disconnected")

    # ── time ────────────────────────────────────────────────────────────────────────────────────

    def next_deadline(self) -> float:
        """Return the time at which `on_time` has work next; infinity if it has none."""
        return min(
            self.scheduler.next_deadline(), self.want_pusher.next_deadline(), self.planning.next_deadline()
        )

    def on_time(self) -> None:
        """Let leases lapse, continue plans, push wants again, and grant chunks, as far as their time has come."""
        for download in self.failures.over():
            self.planning.ask_again(download)
        self.scheduler.watch()
        self.planning.run()
        self.scheduler.grant_all()  # before pushing: a want that a holder sends now need not be pushed
        self.want_pusher.on_time()
        self.want_pusher.report()

    def _whole(self, root: Cid) -> bool:
        known = self.ledger.state.objects.get(root)
        # A replica that is kept for others is the user's only once the user has added or got the object.
        return known is not None and known.completed_at is not None and known.origin != "held"
