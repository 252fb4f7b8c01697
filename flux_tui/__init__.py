"""flux-tui: a push-only peer-to-peer file exchange that you can watch.

    push ──► network ──► append ──► series (one SQLite file) ──► derive ──► state ──► panels

core/   pure: what can happen, what can be said, and what follows from it
store/  the series and the chunks on disk
net/    libp2p, behind one small port
node/   the only writer of the series; the public `FluxNode`
ui/     the dashboard: folds the series file, never talks to the network
cli.py  the shell commands

Only the standard library is imported here, so `import flux_tui` costs nothing; `FluxNode` and the
intents are loaded when first used.
"""

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

if TYPE_CHECKING:
    from flux_tui.core.commands import Add, Cancel, Custom, Get, Hold, Release, Remove, Want
    from flux_tui.node.node import FluxNode

__all__ = ["Add", "Cancel", "Custom", "FluxNode", "Get", "Hold", "Release", "Remove", "Want", "__version__"]


def __getattr__(name: str) -> Any:
    """Load the public names lazily (PEP 562)."""
    if name == "FluxNode":
        from flux_tui.node.node import FluxNode

        return FluxNode
    if name in {"Add", "Cancel", "Custom", "Get", "Hold", "Release", "Remove", "Want"}:
        from flux_tui.core import commands

        return getattr(commands, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
