"""The price of an entry for the peer that caused it, in bytes of the peer's token bucket (push_admission.py)."""

from typing import assert_never

from flux_tui.core.series import events as ev

ENTRY_BYTES, CID_BYTES = 72, 61
"""Bytes that an entry is assumed to cost, and a CID in it."""


def cost(event: ev.Event) -> int:
    """Return the bytes that an entry costs the peer that caused it; 0 if this node caused the entry itself."""
    match event:
        case ev.FetchingBase():
            return _fetching(event)
        case ev.ServingBase():
            return _serving(event)
        case ev.ContentBase():
            return _content(event)
        case ev.NodeBase():
            return _node(event)
        case ev.ReplicationBase():
            return _replication(event)
        case ev.Unknown():
            return 0
        case _:
            assert_never(event)


def _fetching(event: ev.FetchingEvent) -> int:
    match event:
        case ev.StatusNo() | ev.ErrorReceived():
            return ENTRY_BYTES + CID_BYTES * len(event.cids) + len(event.text)
        case ev.DelayedYes():
            return ENTRY_BYTES + CID_BYTES * len(event.cids)
        case ev.ChunkWasted() | ev.HaveReceived():
            return ENTRY_BYTES + CID_BYTES
        case ev.LeaseLapsed():
            return ENTRY_BYTES + CID_BYTES * len(event.cids) if event.cause == "refused" else 0
        case (
            ev.Requested()
            | ev.PushedWant()
            | ev.WentDormant()
            | ev.RetrySet()
            | ev.Granted()
            | ev.LeaseExtended()
            | ev.Cancelled()
            | ev.PushedHave()
            | ev.RecordsProvided()
            | ev.ChunkReceived()  # it earns (Admission.earned)
        ):
            return 0
        case _:
            assert_never(event)


def _serving(event: ev.ServingEvent) -> int:
    match event:
        case (
            ev.IntentReceived()
            | ev.AnsweredLater()
            | ev.AnsweredNo()
            | ev.GrantReceived()
            | ev.CancelReceived()
        ):
            return ENTRY_BYTES + CID_BYTES * len(event.cids)
        case ev.ChunksSent():
            return 0
        case _:
            assert_never(event)


def _content(event: ev.ContentEvent) -> int:
    match event:
        case (
            ev.AddProgressed()
            | ev.AddCancelled()
            | ev.ObjectAdded()
            | ev.ObjectMapped()
            | ev.ObjectCompleted()
            | ev.ObjectRefused()
            | ev.ObjectDiscarded()
            | ev.ObjectRemoved()
            | ev.ObjectFreed()
            | ev.ChunksLost()
        ):
            return 0
        case _:
            assert_never(event)


def _node(event: ev.NodeEvent) -> int:
    match event:
        case ev.PeerFaulted():
            return ENTRY_BYTES + len(event.text)
        case ev.MessagePassedOver():
            return ENTRY_BYTES + len(event.kind)
        case ev.CustomReceived():
            return ENTRY_BYTES + len(event.kind) + len(event.payload)
        case ev.AddrsTold():
            return ENTRY_BYTES + sum(CID_BYTES + sum(map(len, told.addrs)) for told in event.told)
        case ev.NameSuggested():
            return ENTRY_BYTES + len(event.suggested)
        case ev.ClockDiffers():
            return ENTRY_BYTES + CID_BYTES
        case (
            ev.NodeStarted()
            | ev.NodeStopped()
            | ev.ClockStepped()
            | ev.AddrsChanged()
            | ev.HeardNobody()
            | ev.PolicyChanged()
            | ev.ErrorOccurred()
            | ev.PeerConnected()
            | ev.PeerMoved()
            | ev.PeerDisconnected()
            | ev.PushedCustom()
            | ev.SeriesPruned()
        ):
            return 0
        case _:
            assert_never(event)


def _replication(event: ev.ReplicationEvent) -> int:
    match event:
        case ev.CanHold() | ev.OfferedHold() | ev.KeepReceived() | ev.ReplicaWanted() | ev.ReleaseReceived():
            return ENTRY_BYTES + CID_BYTES
        case (
            ev.HoldRequested()
            | ev.PushedHold()
            | ev.PushedKeep()
            | ev.ReplicaHeld()
            | ev.ReplicaLost()
            | ev.Released()
            | ev.ReplicaDropped()
            | ev.ReplicaAdopted()
            | ev.ReplicaEvicted()
        ):
            return 0
        case _:
            assert_never(event)
