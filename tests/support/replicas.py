"""The messages of a hold between origin and keeper."""

from typing import Any

from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire import messages as msg
from tests.support.script import Script


def said(
    script: Script, peer: PeerId, message: msg.Message, after: float = 0.0
) -> tuple[list[Any], list[Any]]:
    return script.give(inp.MessageCame(peer, message), after)


def keep(script: Script, peer: PeerId, root: Cid, size: int) -> tuple[list[Any], list[Any]]:
    """Ask whether a node can keep an object, then tell it to. Return the events and effects."""
    nonce = f"hold{len(script.series):08}".encode()
    body = msg.Hold(root=root, size=size, replicas=1, name="film.mkv")
    intent = msg.Intent(origin=peer, nonce=nonce, expires=script.now + 60, body=body)
    script.give(inp.IntentCame(intent, "direct"))
    return said(script, peer, msg.Keep(root=root, size=size, name="film.mkv"))
