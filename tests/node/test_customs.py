"""Custom kinds of a program: a presence board on three real nodes, as a worked example; and refused kinds.

A program needs to write no more than the board: it pushes an intent with its words, receives those of others,
answers each newcomer directly, and derives who is present from the messages.
"""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from flux_tui import Custom, FluxNode
from flux_tui.core.api import commands as cmd
from flux_tui.core.api import effects as fx
from flux_tui.core.api import inputs as inp
from flux_tui.core.api.commands import BadCommandError
from flux_tui.core.ids import PeerId
from flux_tui.core.series import events as ev
from flux_tui.core.series.events import Entry
from flux_tui.core.wire import messages as msg
from flux_tui.core.wire.messages import MAX_PAYLOAD_CUSTOM
from tests.support.nodes_here import LOOPBACK, series_of, until
from tests.support.script import HOLDER, OTHER, Script, up

HELLO, WELCOME = "board.hello", "board.welcome"


class Board:
    """A whole application on a FluxNode: who is present, and what they say."""

    def __init__(self, node: FluxNode, words: str) -> None:
        self.node = node
        self.words = words.encode()
        self.said: dict[PeerId, str] = {}
        node.on_data(HELLO, self._hello)
        node.on_data(WELCOME, self._heard)

    def enter(self) -> None:
        """Announce this node. Nodes that are present answer."""
        self.node.push_intent(Custom(HELLO, self.words))

    def _hello(self, entry: Entry) -> None:
        self._heard(entry)
        assert isinstance(entry.event, ev.CustomReceived)
        self.node.answer(entry.event.peer, WELCOME, self.words)

    def _heard(self, entry: Entry) -> None:
        assert isinstance(entry.event, ev.CustomReceived)
        self.said[entry.event.peer] = entry.event.payload.decode()


async def test_a_presence_board(tmp_path: Path) -> None:
    async with AsyncExitStack() as stack:
        nodes = [await stack.enter_async_context(FluxNode.open(tmp_path / name, LOOPBACK)) for name in "abc"]
        boards = [Board(node, f"I am {name}") for node, name in zip(nodes, "abc", strict=True)]
        for node in nodes[1:]:
            node.push_intent(cmd.Join(nodes[0].addrs[0]))
        await until(lambda: nodes[0].derive_state().connected == 2)
        # The outer two nodes are not connected. Words reach the other by gossip, the answer comes directly.
        with trio.fail_after(20):
            while not all(len(board.said) == 2 for board in boards):
                for board in boards:
                    board.enter()  # gossip is best effort: a program repeats its words
                await trio.sleep(0.2)
        for mine, board in zip(nodes, boards, strict=True):
            others = {
                n.peer_id: b.words.decode() for n, b in zip(nodes, boards, strict=True) if n is not mine
            }
            assert board.said == others
        told = [entry.event for entry in series_of(nodes[2]) if isinstance(entry.event, ev.CustomReceived)]
        assert {event.kind for event in told} == {HELLO, WELCOME}
        assert any(isinstance(entry.event, ev.PushedCustom) for entry in series_of(nodes[0]))


def custom(peer: PeerId, kind: str, payload: bytes) -> inp.MessageCame:
    return inp.MessageCame(peer, msg.Custom(kind=kind, payload=payload))


def test_a_kind_without_a_listener_is_an_entry_without_its_payload() -> None:
    script = Script()
    script.give(up(OTHER))
    events, _ = script.give(custom(OTHER, "presence", b"x" * 1000))
    assert events == [ev.CustomReceived(peer=OTHER, kind="presence", size=1000, via="direct")]
    script.give(inp.ListenerAdded("presence"))
    (event,), _ = script.give(custom(OTHER, "presence", b"here"))
    assert (event.payload, event.size) == (b"here", 4)


def test_an_answer_to_an_unconnected_peer_dials_it_if_its_intent_came() -> None:
    script = Script()
    addr = f"/ip4/192.0.2.1/tcp/1/p2p/{HOLDER}"
    body = msg.Custom(kind="presence", payload=b"hi")
    intent = msg.Intent(origin=HOLDER, nonce=b"12345678", expires=script.now + 60, body=body, addrs=(addr,))
    script.give(inp.IntentCame(intent, "gossip"))
    _, effects = script.give(inp.Commanded(cmd.Custom("presence", b"you too", HOLDER)))
    assert effects == [fx.Dial(addr=addr, from_peers=True)]
    _, effects = script.give(up(HOLDER))
    assert fx.Push(peer=HOLDER, message=msg.Custom(kind="presence", payload=b"you too")) in effects
    events, effects = script.give(inp.Commanded(cmd.Custom("presence", b"", OTHER)))
    assert isinstance(events[-1], ev.ErrorOccurred)
    assert "not connected" in events[-1].text
    assert not effects


@pytest.mark.parametrize(
    "command",
    [
        Custom("Presence"),
        Custom(""),
        Custom("a" * 65),
        Custom("chunk"),
        Custom("status_no"),
        Custom("presence", b"x" * (MAX_PAYLOAD_CUSTOM + 1)),
        Custom("presence", b"", PeerId("nobody")),
    ],
)
def test_an_invalid_custom_is_refused_at_once(command: Custom) -> None:
    with pytest.raises(BadCommandError):
        cmd.check_command(command)


async def test_a_state_that_a_node_derived_has_the_chunks(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"some bytes")
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as node:
        node.push_intent(cmd.Add(str(tmp_path / "file")))
        await until(lambda: node.derive_state().objects)
        state = node.derive_state()
        (root,) = state.objects
        assert state.chunks[root] == b"some bytes"
        await until(lambda: len(state.chunks) == state.chunk_count == 1)
