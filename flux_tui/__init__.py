"""flux-tui: a push-only peer-to-peer file exchange that you can watch.

    push ──► network ──► append ──► series (one SQLite file) ──► derive ──► state ──► panels

    core/     the logic of a node, without I/O: events, messages, state, decisions
    store/    the series and the chunks on disk
    net/      libp2p, behind one small port
    node/     the only writer of the series; the public `FluxNode`
    aio/      the same node for programs on asyncio
    gateway/  objects over HTTP
    reading/  objects read block by block: paths, folders, and the bytes of files
    ui/       the dashboard: folds the series file, never talks to the network
    demo/     scenarios as data, and the code that plays them
    cli/      the shell commands
    testing/  nodes on a network in memory, for tests of programs

All that a program needs is a name of this package: the node, its settings, commands, events and errors. Only the
standard library is imported here, so `import flux_tui` costs nothing; each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from flux_tui.config import LOOPBACK, Settings, SettingsError
    from flux_tui.core.api.commands import (
        Add,
        BadCommandError,
        Cancel,
        CancelAdd,
        Command,
        Configure,
        Custom,
        Get,
        Hold,
        Join,
        Leave,
        Prune,
        Release,
        Remove,
        Retry,
        Stop,
        Want,
        WantMany,
    )
    from flux_tui.core.content.ticket import Ticket, format_ticket, parse_ticket
    from flux_tui.core.errors import FluxError
    from flux_tui.core.ids import BadIdError, Cid, PeerId, parse_cid, parse_peer_id
    from flux_tui.core.series.events import (
        AddCancelled,
        AddProgressed,
        AddrsChanged,
        AddrsTold,
        AnsweredLater,
        AnsweredNo,
        Cancelled,
        CancelReceived,
        CanHold,
        ChunkReceived,
        ChunksLost,
        ChunksSent,
        ChunkWasted,
        ClockDiffers,
        ClockStepped,
        CustomReceived,
        DelayedYes,
        Entry,
        ErrorOccurred,
        ErrorReceived,
        Event,
        EventBase,
        Granted,
        GrantReceived,
        HaveReceived,
        HeardNobody,
        HoldRequested,
        IntentReceived,
        KeepReceived,
        LeaseExtended,
        LeaseLapsed,
        MessagePassedOver,
        NameSuggested,
        NodeStarted,
        NodeStopped,
        ObjectAdded,
        ObjectCompleted,
        ObjectDiscarded,
        ObjectFreed,
        ObjectMapped,
        ObjectRefused,
        ObjectRemoved,
        OfferedHold,
        PeerConnected,
        PeerDisconnected,
        PeerFaulted,
        PeerMoved,
        PolicyChanged,
        PushedCustom,
        PushedHave,
        PushedHold,
        PushedKeep,
        PushedWant,
        RecordsProvided,
        Released,
        ReleaseReceived,
        ReplicaAdopted,
        ReplicaDropped,
        ReplicaEvicted,
        ReplicaHeld,
        ReplicaLost,
        ReplicaWanted,
        Requested,
        RetrySet,
        SeriesPruned,
        StatusNo,
        Unknown,
        WentDormant,
    )
    from flux_tui.core.series.giving_policy import ObjectRule, Policy, PolicyChange
    from flux_tui.core.series.state import ObjectState, State
    from flux_tui.core.series.want_explanation import NotPendingError, Why
    from flux_tui.core.text.as_json import entry_report
    from flux_tui.core.vocabulary import ErrorCode, Reason, Refusal
    from flux_tui.core.wire.messages import Intent
    from flux_tui.home import HomeBusyError, HomeError
    from flux_tui.net.port import NetworkError
    from flux_tui.node.node import FluxNode
    from flux_tui.node.programs.handlers import Subscription
    from flux_tui.node.programs.object_bytes import NotHereError, ReadError
    from flux_tui.node.programs.outcomes import Freed, OutcomeError
    from flux_tui.store.database import StoreError

__all__ = [
    "LOOPBACK",
    "Add",
    "AddCancelled",
    "AddProgressed",
    "AddrsChanged",
    "AddrsTold",
    "AnsweredLater",
    "AnsweredNo",
    "BadCommandError",
    "BadIdError",
    "CanHold",
    "Cancel",
    "CancelAdd",
    "CancelReceived",
    "Cancelled",
    "ChunkReceived",
    "ChunkWasted",
    "ChunksLost",
    "ChunksSent",
    "Cid",
    "ClockDiffers",
    "ClockStepped",
    "Command",
    "Configure",
    "Custom",
    "CustomReceived",
    "DelayedYes",
    "Entry",
    "ErrorCode",
    "ErrorOccurred",
    "ErrorReceived",
    "Event",
    "EventBase",
    "FluxError",
    "FluxNode",
    "Freed",
    "Get",
    "GrantReceived",
    "Granted",
    "HaveReceived",
    "HeardNobody",
    "Hold",
    "HoldRequested",
    "HomeBusyError",
    "HomeError",
    "Intent",
    "IntentReceived",
    "Join",
    "KeepReceived",
    "LeaseExtended",
    "LeaseLapsed",
    "Leave",
    "MessagePassedOver",
    "NameSuggested",
    "NetworkError",
    "NodeStarted",
    "NodeStopped",
    "NotHereError",
    "NotPendingError",
    "ObjectAdded",
    "ObjectCompleted",
    "ObjectDiscarded",
    "ObjectFreed",
    "ObjectMapped",
    "ObjectRefused",
    "ObjectRemoved",
    "ObjectRule",
    "ObjectState",
    "OfferedHold",
    "OutcomeError",
    "PeerConnected",
    "PeerDisconnected",
    "PeerFaulted",
    "PeerId",
    "PeerMoved",
    "Policy",
    "PolicyChange",
    "PolicyChanged",
    "Prune",
    "PushedCustom",
    "PushedHave",
    "PushedHold",
    "PushedKeep",
    "PushedWant",
    "ReadError",
    "Reason",
    "RecordsProvided",
    "Refusal",
    "Release",
    "ReleaseReceived",
    "Released",
    "Remove",
    "ReplicaAdopted",
    "ReplicaDropped",
    "ReplicaEvicted",
    "ReplicaHeld",
    "ReplicaLost",
    "ReplicaWanted",
    "Requested",
    "Retry",
    "RetrySet",
    "SeriesPruned",
    "Settings",
    "SettingsError",
    "State",
    "StatusNo",
    "Stop",
    "StoreError",
    "Subscription",
    "Ticket",
    "Unknown",
    "Want",
    "WantMany",
    "WentDormant",
    "Why",
    "__version__",
    "entry_report",
    "format_ticket",
    "parse_cid",
    "parse_peer_id",
    "parse_ticket",
]

_PLACES = {
    "flux_tui.config": (
        "LOOPBACK",
        "Settings",
        "SettingsError",
    ),
    "flux_tui.core.api.commands": (
        "Add",
        "BadCommandError",
        "Cancel",
        "CancelAdd",
        "Command",
        "Configure",
        "Custom",
        "Get",
        "Hold",
        "Join",
        "Leave",
        "Prune",
        "Release",
        "Remove",
        "Retry",
        "Stop",
        "Want",
        "WantMany",
    ),
    "flux_tui.core.content.ticket": (
        "Ticket",
        "format_ticket",
        "parse_ticket",
    ),
    "flux_tui.core.errors": ("FluxError",),
    "flux_tui.core.ids": (
        "BadIdError",
        "Cid",
        "PeerId",
        "parse_cid",
        "parse_peer_id",
    ),
    "flux_tui.core.series.giving_policy": (
        "ObjectRule",
        "Policy",
        "PolicyChange",
    ),
    "flux_tui.core.series.state": (
        "ObjectState",
        "State",
    ),
    "flux_tui.core.series.want_explanation": (
        "NotPendingError",
        "Why",
    ),
    "flux_tui.core.text.as_json": ("entry_report",),
    "flux_tui.core.vocabulary": (
        "ErrorCode",
        "Reason",
        "Refusal",
    ),
    "flux_tui.core.wire.messages": ("Intent",),
    "flux_tui.home": (
        "HomeBusyError",
        "HomeError",
    ),
    "flux_tui.net.port": ("NetworkError",),
    "flux_tui.node.node": ("FluxNode",),
    "flux_tui.node.programs.object_bytes": (
        "NotHereError",
        "ReadError",
    ),
    "flux_tui.node.programs.handlers": ("Subscription",),
    "flux_tui.node.programs.outcomes": (
        "Freed",
        "OutcomeError",
    ),
    "flux_tui.store.database": ("StoreError",),
}
"""Where each public name is defined. All others are events."""


def __getattr__(name: str) -> Any:
    """Import and return a public name when it is first used (PEP 562). Raises AttributeError for any other name."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    place = next((place for place, names in _PLACES.items() if name in names), "flux_tui.core.series.events")
    return getattr(import_module(place), name)


def __dir__() -> list[str]:
    """Return the public names."""
    return __all__
