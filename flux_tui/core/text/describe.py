"""Entries in words that a person understands without knowing the protocol. Pure.

An entry is shown in columns: number, time, kind, peer (if it is about one), and a few words. The command line
and the dashboard use the same words. The names of objects and peers are an argument, so names that become
known later, and masked names, need nothing here.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, assert_never

from flux_tui.core.ids import Cid, PeerId, short
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry, Event, kind_of
from flux_tui.core.series.policy import POLICY, Policy
from flux_tui.core.series.setting import Kind, Setting
from flux_tui.core.series.state import ObjectState, State
from flux_tui.core.text.plain import Plain, plain

UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def object_words(found: ObjectState) -> str:
    """The status of an object here, in a word or two."""
    if found.broken:
        return "changed since"
    if found.completed_at:
        return "whole"
    return "cancelled" if found.cancelled else f"{found.progress:.0%}"


def human_size(size: float) -> str:
    """`1.5 GiB`."""
    unit = 0
    while size >= 1024 and unit < len(UNITS) - 1:
        size /= 1024
        unit += 1
    return f"{size:.0f} {UNITS[unit]}" if unit == 0 or size >= 100 else f"{size:.1f} {UNITS[unit]}"


def human_seconds(seconds: float) -> str:
    """`0.4 s`, `12 s`, `3:05`, `2:01:09`."""
    if seconds < 10:
        return f"{max(seconds, 0):.1f} s"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


class Names(Protocol):
    """The names of objects and peers."""

    def name(self, cid: Cid) -> Plain:
        """An object's name, or the short form of its CID."""

    def peer(self, peer: PeerId) -> Plain:
        """A peer's short form."""

    def text(self, text: str) -> Plain:
        """A path, an address or a sentence from elsewhere, made safe to show."""


class StateNames:
    """The names that a state knows."""

    def __init__(self, state: State | None = None) -> None:
        self._named: tuple[Mapping[Cid, object], ...] = ()
        if state is not None:
            self._named = (state.objects, state.holds, state.kept)

    def name(self, cid: Cid) -> Plain:
        for named in self._named:
            name: str | None = getattr(named.get(cid), "name", None)
            if name:
                return plain(name)
        return plain(short(cid))

    def peer(self, peer: PeerId) -> Plain:
        return plain(short(peer))

    def text(self, text: str) -> Plain:
        return plain(text)


NO_NAMES = StateNames()
WHO_WIDTH = 9
"""Columns of the short form of a peer id."""


def counted(number: int, what: str, many: str | None = None) -> str:
    """`1 chunk`, `1,204 chunks`, `2 entries`."""
    return f"{number:,} {what if number == 1 else many or what + 's'}"


NAMED = 3
"""Items that a sentence names, of many of the same kind."""


def some(items: Sequence[str], total: int | None = None) -> Plain:
    """The first few items, and how many more there are: `a; b; c; and 1,204 more`."""
    named = [plain(item) for item in items[:NAMED]]
    rest = (len(items) if total is None else total) - len(named)
    return plain("; ".join([*named, f"and {rest:,} more"] if rest else named))


def short_addr(addr: str) -> str:
    """A multiaddr as people write it: `192.0.2.7:4001`. Other kinds stay as they are."""
    match addr.rpartition("/p2p/")[0].split("/") if "/p2p/" in addr else addr.split("/"):
        case ["", "ip6", host, "tcp", port]:
            return f"[{host}]:{port}"
        case ["", "ip4" | "dns" | "dns4" | "dns6", host, "tcp", port]:
            return f"{host}:{port}"
        case _:
            return addr.rpartition("/p2p/")[0] or addr


_OF_AN_ADDRESS = re.compile(r"(/\S+/p2p/\w+) (?:cannot be reached: )?(.+)")


def reason_first(text: str, path: str | None = None) -> str:
    """Put the reason of a sentence first if it begins with an address, or with this path.

    So a narrow line cuts off the place and not the reason.
    """
    if path and text.startswith(f"{path} "):
        return f"{text[len(path) + 1 :]} · {path}"
    found = _OF_AN_ADDRESS.fullmatch(text)
    return f"{found[2]} · {found[1]}" if found else text


def who(event: Event) -> PeerId | None:
    """The peer that an event is about; None if it is about none."""
    return getattr(event, "peer", None)


def entry_line(entry: Entry, names: Names = NO_NAMES) -> Plain:
    """An entry as one line: number, local time, kind, peer, words."""
    clock = datetime.fromtimestamp(entry.at).strftime("%H:%M:%S.%f")[:-3]
    peer = who(entry.event)
    named = f"{names.peer(peer):<{WHO_WIDTH}}  " if peer else ""
    kind = plain(kind_of(entry.event))
    return plain(f"{entry.seq:>8}  {clock}  {kind:<17}  {named}{describe(entry.event, names)}")


def describe(event: Event, names: Names = NO_NAMES, *, brief: bool = False) -> Plain:
    """What happened, on one line. It does not name the peer of `who`, only what that peer did.

    A NO begins with the reason and with when to come back, so that a narrow line does not cut them off.
    `brief`: use fewer words for the most frequent events, for such a line.
    """
    return plain(_describe(event, names, brief))


def _describe(event: Event, names: Names, brief: bool) -> str:
    def what(cids: tuple[Cid, ...]) -> str:
        if not cids:
            return "nothing"
        first = names.name(cids[0])
        return first if len(cids) == 1 else f"{first} and {len(cids) - 1:,} more"

    def blocks(cids: tuple[Cid, ...], roots: tuple[Cid, ...]) -> str:
        return counted(len(cids), "chunk") + (f" of {what(roots)}" if roots else "")

    def no(event: ev.StatusNo | ev.AnsweredNo, about: str) -> str:
        if event.retry_after is None:
            return f"{event.reason}: {about}, waiting will not help"
        again = human_seconds(event.retry_after)
        return f"{event.reason} {again}: {about}" if brief else f"{event.reason}, again in {again}: {about}"

    match event:
        case ev.ChunkReceived():
            return f"{what((event.cid,))} {human_size(event.size)}"
        case ev.ChunksSent():
            return f"{what(event.cids)} {human_size(event.size)}"
        case ev.Requested():
            where = f" → {names.text(event.path)}" if event.path else ""
            return (
                f"{event.name or what((event.cid,))}{where}{', to be kept for others' if event.held else ''}"
            )
        case ev.PushedWant():
            to = f"to {len(event.peers):,} peers" if event.peers else "to nobody yet"
            to = f"to {names.peer(event.peers[0])}" if len(event.peers) == 1 else to
            if event.routed:
                to = f"{to}, by DHT" if event.peers else "by DHT"
            swarm = " and the swarm" if event.gossip else ""
            again = ", besides" if event.besides else ", again" if event.retry else ""
            return f"{what(event.cids)} {to}{swarm}{again}"
        case ev.WentDormant():
            return f"{what(event.cids)}: nobody here has it, its place in the network is free"
        case ev.RetrySet():
            causes = _CAUSES if event.about == "want" else _HOLD_CAUSES
            return f"{causes[event.cause]}: {what(event.cids)}"
        case ev.Granted():
            of = f" of {names.name(event.root)}" if event.root else ""
            hedge = ", overdue elsewhere" if event.hedge else ""
            number = f"{len(event.cids):,}" if brief and of else counted(len(event.cids), "chunk")
            return f"may send {number}{of}{hedge}"
        case ev.LeaseExtended():
            return f"is late, but nobody else has them: {blocks(event.cids, event.roots)}"
        case ev.LeaseLapsed():
            return f"{_LAPSES[event.cause]}: {blocks(event.cids, event.roots)}"
        case ev.DelayedYes():
            part = "" if event.have is None else f"{counted(event.have, 'chunk')} of "
            return f"has {part}{what(event.cids)}, can send in {human_seconds(event.eta)}"
        case ev.StatusNo(about="hold"):
            text = f" ({names.text(event.text)})" if event.text else ""
            return f"{no(event, f'will not keep {what(event.cids)}')}{text}"
        case ev.StatusNo(about="custom"):
            return no(event, f"does not take {counted(len(event.cids), 'message')} of a program's own kind")
        case ev.StatusNo():
            has = "has" if event.has_it else "has not"
            of = blocks(event.cids, event.roots) if event.roots else what(event.cids)
            text = f" ({names.text(event.text)})" if event.text else ""
            return f"{no(event, f'{has} {of}')}{text}"
        case ev.ChunkWasted():
            of = f" of {what(event.roots)}" if event.roots else ""
            return f"{event.cause}: {human_size(event.size)}, {what((event.cid,))}{of}"
        case ev.ObjectMapped():
            chunks = counted(event.chunks, "chunk")
            return f"{names.name(event.root)} is {human_size(event.size)} in {chunks}, {event.have:,} here"
        case ev.ObjectAdded():
            chunks = counted(event.chunks, "chunk")
            return f"{event.name} {human_size(event.size)} in {chunks}, root {names.text(short(event.root))}"
        case ev.ObjectCompleted():
            where = f" at {names.text(event.path)}" if event.path else ""
            return f"{names.name(event.root)} is whole, {human_size(event.size)}{where}"
        case ev.ObjectRemoved():
            told = f", {counted(len(event.peers), 'peer')} told" if event.peers else ""
            return f"{event.name or what((event.root,))} is no longer shared{told}"
        case ev.ObjectFreed():
            named, chunks = event.name or what((event.root,)), counted(event.chunks, "chunk")
            return f"{named}: {chunks} {human_size(event.size)} less in the store"
        case ev.AddCancelled():
            return f"{names.text(event.path)} is not shared: its add was cancelled"
        case ev.AddProgressed():
            return f"{names.text(event.path)} {human_size(event.bytes_done)} of {human_size(event.size)}"
        case ev.Cancelled():
            return what(event.cids)
        case ev.PushedHave():
            return f"told the swarm: {event.name or names.name(event.root)} is here"
        case ev.HaveReceived():
            return f"has {event.name or names.name(event.root)}"
        case ev.ErrorReceived():
            return names.text(event.text) if brief else f"says: {names.text(event.text)}"
        case ev.ChunksLost():
            lost = counted(len(event.cids), "chunk")
            withdrawn = f"; {what(event.roots)} is not provided any more" if event.roots else ""
            return f"{lost} {human_size(event.size)} of {names.text(event.path)}{withdrawn}"
        case ev.IntentReceived():
            how = {"direct": "", "gossip": ", by gossip", "routed": ", by DHT"}[event.via]
            return f"wants {what(event.cids)}{how}"
        case ev.AnsweredLater():
            return f"heard yes for {what(event.cids)}, in {human_seconds(event.eta)}"
        case ev.AnsweredNo(about="hold"):
            return f"heard {no(event, f'{what(event.cids)} is not kept for it')}"
        case ev.AnsweredNo(about="custom"):
            return f"heard {no(event, 'pushes too many messages of its own kinds')}"
        case ev.AnsweredNo():
            return f"heard {no(event, f'wants {what(event.cids)}')}"
        case ev.GrantReceived():
            return f"takes {counted(len(event.cids), 'chunk')}, {human_size(event.size)}"
        case ev.CancelReceived():
            return f"no longer wants {what(event.cids)}"
        case ev.PushedCustom():
            return f"{event.kind}, {human_size(event.size)}" + ("" if event.peer else ", to all")
        case ev.CustomReceived():
            way = "" if event.via == "direct" else f", by {event.via}"
            kept = "" if event.payload or not event.size else "; nobody here listens for it"
            return f"{event.kind}, {human_size(event.size)}{way}{kept}"
        case ev.PeerConnected():
            return f"at {short_addr(names.text(event.addr))}"
        case ev.PeerDisconnected():
            return names.text(event.why)
        case ev.PeerFaulted():
            times = f" ({event.count:,} times)" if event.count > 1 else ""
            return f"{event.fault}{times}: {names.text(event.text)}"
        case ev.NodeStarted():
            return f"listens at {counted(len(event.addrs), 'address', 'addresses')}, as {names.peer(event.peer_id)}"
        case ev.ClockStepped():
            way = "forward" if event.seconds > 0 else "back"
            return f"the clock of this machine was set {way} by {_long(abs(event.seconds))}; timers go on"
        case ev.AddrsChanged():
            return f"is to be dialled at {counted(len(event.addrs), 'address', 'addresses')} now"
        case ev.MessagePassedOver():
            times = f" ({event.count:,} times)" if event.count > 1 else ""
            return f"{names.text(event.kind)}{times}: of a later version, passed over"
        case ev.ClockDiffers():
            return clock_words(event.seconds, event.via)
        case ev.PolicyChanged():
            return policy_words(event.policy)
        case ev.NodeStopped():
            return event.reason
        case ev.ErrorOccurred():
            return names.text(reason_first(event.text, event.path))
        case ev.HoldRequested():
            return f"{event.name or names.name(event.root)}: {counted(event.replicas, 'replica')} to be kept by others"
        case ev.PushedHold():
            to = f"asked {counted(len(event.peers), 'peer')}" if event.peers else "asked nobody yet"
            to = f"asked {names.peer(event.peers[0])}" if len(event.peers) == 1 else to
            swarm = " and the swarm" if event.gossip else ""
            return (
                f"{to}{swarm} to keep {names.name(event.root)}: {counted(event.lacking, 'replica')} lacking"
            )
        case ev.CanHold():
            return f"has {names.name(event.root)} and can keep it" if event.whole else (
                f"has room to keep {names.name(event.root)}"
            )  # fmt: skip
        case ev.PushedKeep():
            return f"is to keep {names.name(event.root)}"
        case ev.ReplicaHeld():
            why = f"{event.reason}: " if event.reason else ""
            return f"{why}{_HELD[event.how]} {names.name(event.root)}"
        case ev.ReplicaLost():
            return f"{_LOSSES[event.cause]}: does not count as a keeper of {names.name(event.root)} any more"
        case ev.Released():
            return f"{what(event.cids)} need not be kept by others any more"
        case ev.OfferedHold():
            how = "" if event.via == "direct" else f", by {event.via}"
            size = f", {human_size(event.size)}" if event.size else ""
            return f"asks to keep {event.name or names.name(event.root)}{size}{how}: heard yes"
        case ev.KeepReceived():
            return f"has {event.name or names.name(event.root)} kept here, {human_size(event.size)}"
        case ev.ReplicaWanted():
            return f"takes from {names.name(event.root)}, which is kept here"
        case ev.ReleaseReceived():
            return f"no longer needs {event.name or names.name(event.root)} kept here"
        case ev.ReplicaDropped():
            named = event.name or names.name(event.root)
            return f"{_DROPS[event.cause]}: {named} {human_size(event.size)} is no longer kept here"
        case ev.ReplicaAdopted():
            return (
                f"{names.name(event.root)} is kept for others, and the user's own: it takes none of the quota"
            )
        case ev.ObjectRefused():
            return f"{names.name(event.root)} cannot be had: what came of it is removed"
        case ev.ObjectDiscarded():
            return f"{names.name(event.root)}: what came of it is gone, {human_size(event.size)} less"
        case ev.ReplicaEvicted():
            named = event.name or names.name(event.root)
            return f"{named}: the copy that was kept for others is gone, {human_size(event.size)} less"
        case ev.Unknown():
            return "an entry of a newer version, which this one cannot read"
        case _:
            assert_never(event)


def clock_words(seconds: float, via: ev.Via) -> str:
    """Why a forwarded intent is refused, in words about the two clocks."""
    way = "ahead of" if seconds > 0 else "behind"
    by = {"gossip": "by gossip", "routed": "by DHT", "direct": "directly"}[via]
    return f"an intent {by} is refused: its clock is {_long(abs(seconds))} {way} this one, or it is old"


def _long(seconds: float) -> str:
    """`59:12`, `2:01:09`, `1,461 days`."""
    return f"{seconds / 86_400:,.0f} days" if seconds >= 2 * 86_400 else human_seconds(seconds)


def policy_words(policy: Policy) -> str:
    """A policy on one line: only the limits that are set, and what is not given at all."""
    parts = (_limit_words(setting, getattr(policy, setting.name)) for setting in POLICY.values())
    return ", ".join(part for part in parts if part)


def _limit_words(setting: Setting, value: Any) -> str:
    if not value:
        return setting.spec.none
    if value == 1 and setting.spec.one:
        return setting.spec.one
    match setting.kind:
        case Kind.RATE | Kind.SIZE:
            return setting.words.format(human_size(value))
        case kind:
            return setting.words.format(f"{len(value) if kind.is_list else value:,}")


_CAUSES: dict[ev.RetryCause, str] = {
    "retry_after": "pushed again when the NO said",
    "eta": "pushed again when the yes is due",
    "lapsed": "pushed again, as nobody is left to send it",
    "silence": "pushed again, as nobody answered",
    "asked": "pushed again, as asked for",
    "unwritten": "tried again, as it could not be written here",
}
_HOLD_CAUSES: dict[ev.RetryCause, str] = {
    "retry_after": "offered again when the NO said",
    "eta": "offered again when there is room",
    "lapsed": "offered again, as a keeper is lacking",
    "silence": "offered again, as nobody answered",
    "asked": "offered again, as asked for",
}
_HELD: dict[ev.HeldHow, str] = {
    "begun": "has begun to keep",
    "whole": "keeps all of",
    "gone": "no longer keeps",
}
_LOSSES: dict[ev.LossCause, str] = {
    "left": "it is gone and did not come back",
    "silent": "it never said that it had begun",
    "slow": "its queue is full",
    "surplus": "fewer are needed",
}
_DROPS: dict[ev.DropCause, str] = {
    "released": "nobody needs it any more",
    "evicted": "makes room for another",
    "quota": "the quota is smaller now",
    "low_space": "it is larger than there is room for",
    "too_large": "it is larger than objects may be",
    "denied": "who had it kept is denied",
    "cancelled": "let go here",
    "failed": "it could not be had",
    "lost": "its file was changed or removed",
}
_LAPSES: dict[ev.LapseCause, str] = {
    "deadline": "did not come in time",
    "disconnected": "it is gone",
    "restarted": "this node was started again meanwhile",
    "refused": "it said NO",
    "corrupt": "the bytes were wrong",
    "slow": "its queue is full",
    "unwritten": "cannot be written here now",
    "moved": "another holder sends them sooner",
}
