"""Test doubles for programs that use a node: nodes on a network in memory, with the rules of the real network.

    async with nodes(2, tmp_path) as (a, b):      # pytest-trio; each has a home in tmp_path
        root = (await a.outcome(Add(tmp_path / "f"))).root
        await b.outcome(Want(root))

No socket is opened, and libp2p runs nowhere. `Switchboard` is the network by itself, for `FluxNode.open(network=…)`.

Modules:

    joined_nodes        `nodes`
    memory_network      `Switchboard`, and the network in memory
    ed25519_peer_ids    peer ids that are keys
    pipe                one direction of a link
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from flux_tui.testing.joined_nodes import nodes
    from flux_tui.testing.memory_network import Switchboard

__all__ = ["Switchboard", "nodes"]


def __getattr__(name: str) -> Any:
    """Import and return a public name when it is first used (PEP 562). Raises AttributeError for any other name."""
    if name == "nodes":
        from flux_tui.testing.joined_nodes import nodes

        return nodes
    if name == "Switchboard":
        from flux_tui.testing.memory_network import Switchboard

        return Switchboard
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
