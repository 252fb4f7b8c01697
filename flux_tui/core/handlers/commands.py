"""Handles the commands that a person or a program of this node pushes."""

from typing import assert_never

from flux_tui.core.adds_and_removals import Sharing
from flux_tui.core.api import commands as cmd
from flux_tui.core.api.effects import DropTree, PruneSeries, StopNode
from flux_tui.core.custom.custom_messages import CustomMessages
from flux_tui.core.fetching.requester import Requester
from flux_tui.core.ids import Cid
from flux_tui.core.peers.dial_requests import Dialling
from flux_tui.core.replication.keeper import Keeper
from flux_tui.core.replication.origin import Origin
from flux_tui.core.series import events as ev
from flux_tui.core.serving.responder import Responder
from flux_tui.core.turn import Ledger


class CommandHandler:
    """Passes each command to the parts of the machine that it concerns."""

    def __init__(
        self,
        ledger: Ledger,
        dialling: Dialling,
        requester: Requester,
        responder: Responder,
        custom_messages: CustomMessages,
        keeper: Keeper,
        sharing: Sharing,
        origin: Origin,
    ) -> None:
        self.ledger = ledger
        self.dialling = dialling
        self.requester = requester
        self.responder = responder
        self.custom_messages = custom_messages
        self.keeper = keeper
        self.sharing = sharing
        self.origin = origin

    def handle(self, command: cmd.Command) -> None:  # noqa: C901 - a flat match: one line a case
        """Run a command. The series records its outcome."""
        match command:
            case cmd.Want():
                self._want((command.cid,), command.by, block=command.block)
            case cmd.WantMany():
                self._want(command.cids, command.by, block=command.block)
            case cmd.Get():
                self._get(command)
            case cmd.Custom():
                self.custom_messages.push(command)
            case cmd.Cancel():
                self._cancel(command)
            case cmd.Hold():
                self._hold(command)
            case cmd.Release():
                self._release(command)
            case cmd.Retry():
                self._retry(command)
            case cmd.Add():
                self.sharing.add(command)
            case cmd.CancelAdd():
                self.sharing.cancel_add(command)
            case cmd.Remove():
                self.sharing.remove(command)
            case cmd.Join():
                self.dialling.named(command.addr)
            case cmd.Leave():
                self.dialling.leave(cmd.peer_of(command.peer))
            case cmd.Configure():
                self._configure(command)
            case cmd.Prune():
                self.ledger.do(PruneSeries(command.keep, command.archive, command.by))
            case cmd.Stop():
                self.ledger.do(StopNode())
            case _:
                assert_never(command)

    def _want(self, cids: tuple[Cid, ...], by: str | None, *, block: bool) -> None:
        at_once = self.requester.want_pusher.at_once(len(cids))
        for cid in cids:
            if block:
                self.requester.want_block(cid, by=by, at_once=at_once)
                continue
            self.requester.want(cid, path=None, name=None, size=None, by=by, at_once=at_once)
            self.keeper.adopt(cid)

    def _get(self, command: cmd.Get) -> None:
        for addr in command.addrs:
            self.dialling.named(addr)
        self.requester.want(
            command.root,
            path=command.path,
            name=command.name,
            size=command.size,
            by=command.by,
            at_once=self.requester.want_pusher.at_once(1),
        )

    def _hold(self, command: cmd.Hold) -> None:
        for addr in command.addrs:
            self.dialling.named(addr)
        self.origin.hold(command)

    def _release(self, command: cmd.Release) -> None:
        for cid in command.cids:
            held = self.origin.release(cid, command.by)
            if not self.keeper.release_by_user(cid, command.by) and not held:
                text = f"{cid} is held neither by others for this node nor here for others"
                self.ledger.emit(ev.ErrorOccurred(text=text, cid=cid, by=command.by, code="not_kept"))

    def _cancel(self, command: cmd.Cancel) -> None:
        for cid in command.cids:
            download = self.requester.downloads.get(cid)
            if download is not None and download.held:
                self.keeper.release_by_user(cid, command.by)
                continue
            if not self.requester.cancel(cid):
                text = f"{cid} is not pending, so there is nothing to cancel"
                self.ledger.emit(ev.ErrorOccurred(text=text, cid=cid, by=command.by, code="not_pending"))
                continue
            self.responder.forget_watchers(cid)
            self.ledger.emit(ev.Cancelled(cids=(cid,), by=command.by))
            self.ledger.do(DropTree(root=cid))
        self.keeper.check_downloads()  # a replica of it is still to be fetched

    def _retry(self, command: cmd.Retry) -> None:
        roots = command.cids or tuple(self.ledger.state.pending)
        for root in roots:
            self.requester.retry_write(root)
        self.requester.want_pusher.retry_now(list(roots))
        self.origin.push_now(command.cids or tuple(self.ledger.state.holds))

    def _configure(self, command: cmd.Configure) -> None:
        policy = command.change.applied(self.responder.policy)
        self.ledger.emit(ev.PolicyChanged(policy=policy, by=command.by))
        self.responder.change(policy)
        self.keeper.apply_policy()
