"""flux-tui: a push-only peer-to-peer file exchange that you can watch.

    push ──► network ──► append ──► series (one SQLite file) ──► derive ──► state ──► panels

    core/     the logic of a node, without I/O: events, messages, state, decisions
    store/    the series and the chunks on disk
    net/      libp2p, behind one small port
    node/     the only writer of the series; the public `FluxNode`
    ui/       the dashboard: folds the series file, never talks to the network
    demo/     scenarios as data, and the code that plays them
    cli/      the shell commands
    testing/  a network in memory, for tests of programs

Only the standard library is imported here, so `import flux_tui` costs nothing. `FluxNode` and the commands
are loaded when they are first used.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.2.0"

if TYPE_CHECKING:
    from flux_tui.core.api.commands import (
        Add,
        Cancel,
        CancelAdd,
        Configure,
        Custom,
        Get,
        Hold,
        Join,
        Release,
        Remove,
        Retry,
        Stop,
        Want,
        WantMany,
    )
    from flux_tui.node.node import FluxNode

__all__ = [
    "Add",
    "Cancel",
    "CancelAdd",
    "Configure",
    "Custom",
    "FluxNode",
    "Get",
    "Hold",
    "Join",
    "Release",
    "Remove",
    "Retry",
    "Stop",
    "Want",
    "WantMany",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Import and return a public name when it is first used (PEP 562). Raises AttributeError for any other name."""
    if name == "FluxNode":
        from flux_tui.node.node import FluxNode

        return FluxNode
    if name in __all__:
        from flux_tui.core.api import commands

        return getattr(commands, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
