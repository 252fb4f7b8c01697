"""What the halves of a hold say to each other."""

from typing import Any

from flux_tui.core.api import effects as fx
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire import messages as msg
from tests.support.script import Script


def said(
    script: Script, peer: PeerId, message: msg.Message, after: float = 0.0
) -> tuple[list[Any], list[Any]]:
    return script.give(fx.MessageCame(peer, message), after)


def keep(script: Script, peer: PeerId, root: Cid, size: int) -> tuple[list[Any], list[Any]]:
    """It asks who can keep this, and then says that it is to be kept: what comes of that."""
    nonce = f"hold{len(script.series):08}".encode()
    body = msg.Hold(root=root, size=size, replicas=1, name="film.mkv")
    intent = msg.Intent(origin=peer, nonce=nonce, expires=script.now + 60, body=body)
    script.give(fx.IntentCame(intent, "direct"))
    return said(script, peer, msg.Keep(root=root, size=size, name="film.mkv"))
