"""The names that nodes suggest for themselves, from the settings of one to the state of another."""

import socket
from pathlib import Path

import msgspec
import pytest

from flux_tui import FluxNode, Join, __version__
from flux_tui.core.api.inputs import NameSuggested
from flux_tui.core.ids import PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.text.as_json import state_report
from flux_tui.node.suggested_names import TOLD_BURST, SuggestedNames, own_name
from tests.support.networks import Loopback, node
from tests.support.nodes_here import LOOPBACK, series_of, until

PEER, OTHER = PeerId("12D3KooW" + "A" * 44), PeerId("12D3KooW" + "B" * 44)
ADA, BOB = "flux-tui/0.2.0 (ada)", "flux-tui/0.2.0 (bob)"


def test_a_name_is_an_input_once_the_peer_is_connected() -> None:
    names = SuggestedNames()
    assert names.told(PEER, ADA, 0.0) == ()
    assert names.connected(OTHER) == ()
    assert names.connected(PEER) == (NameSuggested(PEER, "ada"),)
    assert names.told(PEER, BOB, 0.0) == (NameSuggested(PEER, "bob"),)
    names.disconnected(PEER)
    assert names.told(PEER, "py-libp2p/0.8.1", 0.0) == ()
    assert names.connected(PEER) == (NameSuggested(PEER, ""),), "it suggests none any more"


def test_a_peer_that_tells_names_all_the_time_is_not_read() -> None:
    names = SuggestedNames()
    names.connected(PEER)
    read = [name for number in range(1000) for name in names.told(PEER, f"flux-tui/1 (n{number})", 5.0)]
    assert len(read) == TOLD_BURST
    assert names.told(OTHER, ADA, 5.0) == ()
    assert names.connected(OTHER) == (NameSuggested(OTHER, "ada"),), "others are"
    assert names.told(PEER, ADA, 15.1) == (NameSuggested(PEER, "ada"),), "and this one, later"


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("ada-laptop", "ada-laptop"),
        ("ada.example.org", "ada"),
        ("x" * 40, "x" * 24),
        ("localhost", ""),
        ("localhost.localdomain", ""),
        ("", ""),
        ("a\x1b", ""),
    ],
)
def test_the_name_of_the_machine(monkeypatch: pytest.MonkeyPatch, host: str, name: str) -> None:
    monkeypatch.setattr(socket, "gethostname", lambda: host)
    assert own_name("hostname") == name
    assert own_name("ada") == "ada"
    assert own_name("") == ""


def suggested(one: FluxNode, other: FluxNode) -> str | None:
    """Return what another node calls itself, in the state of one."""
    found = one.derive_state().peers.get(other.peer_id)
    return found.suggested if found is not None else None


async def test_a_node_hears_what_another_calls_itself(tmp_path: Path) -> None:
    ada_settings = msgspec.structs.replace(LOOPBACK, suggest_name="ada")
    async with FluxNode.open(tmp_path / "bob", LOOPBACK) as bob:
        for name, settings in (("ada", ada_settings), ("", LOOPBACK)):  # then it suggests none any more
            async with FluxNode.open(tmp_path / "ada", settings) as ada:
                bob.push_intent(Join(ada.addrs[0]))
                await until(lambda: suggested(bob, ada) == name)  # noqa: B023 - it is called at once
                await until(lambda: suggested(ada, bob) == "")
        entries = [entry.event for entry in series_of(bob) if isinstance(entry.event, ev.NameSuggested)]
        assert [event.suggested for event in entries] == ["ada", ""]
        assert not [e for e in series_of(bob) if isinstance(e.event, ev.PeerFaulted)]


async def test_it_is_a_field_of_the_state(tmp_path: Path) -> None:
    settings = msgspec.structs.replace(LOOPBACK, suggest_name="ada")
    async with FluxNode.open(tmp_path / "a", settings) as ada, FluxNode.open(tmp_path / "b", LOOPBACK) as bob:
        bob.push_intent(Join(ada.addrs[0]))
        await until(lambda: suggested(bob, ada) == "ada")
        (peer,) = state_report(bob.derive_state())["peers"]
        assert (peer["peer_id"], peer["suggested"]) == (ada.peer_id, "ada")


async def test_a_node_that_tells_libp2ps_agent_version_suggests_nothing(tmp_path: Path) -> None:
    """So do nodes of earlier versions."""
    settings = msgspec.structs.replace(LOOPBACK, suggest_name="ada")
    async with FluxNode.open(tmp_path / "a", settings) as ada, node(Loopback(), 7) as old:
        ada.push_intent(Join(old.addr))
        await old.seen.up(ada.peer_id)
        await old.seen.until(lambda: old.seen.agents.get(ada.peer_id) == f"flux-tui/{__version__} (ada)")
        await until(lambda: old.id in ada.derive_state().peers)
        assert ada.derive_state().peers[old.id].suggested == ""
