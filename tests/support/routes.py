"""Signed intents that are being routed."""

from typing import Any

from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire import messages as msg
from tests.support.script import CHUNK, HOLDER, OTHER, START, Script, wanted

SEALED = msg.SealedIntent(signed=b"signed", signature=bytes(64))


def routed(
    script: Script, *, origin: PeerId = OTHER, by: PeerId = HOLDER, hops: int = 1, number: int = 0,
    expires: float = START + 60, cids: tuple[Cid, ...] = (CHUNK,),
) -> tuple[list[Any], list[Any]]:  # fmt: skip
    intent = wanted(origin, *cids, nonce=b"nonce-%06d" % number, expires=expires)
    return script.give(inp.RouteCame(peer=by, intent=intent, sealed=SEALED, hops=hops))
