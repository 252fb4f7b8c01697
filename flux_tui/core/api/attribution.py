"""Of an input: who pushed it, what it says, and whom it is to be laid to. Pure."""

from flux_tui.core.api import effects as fx
from flux_tui.core.api.effects import Input
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire import messages as msg


def pusher(given: Input) -> PeerId | None:
    """Who pushes this of its own will; None: nobody does, or it has to be taken in any case."""
    match given:
        case fx.MessageCame():
            return given.peer
        case fx.IntentCame() | fx.RouteCame():
            return given.intent.origin
        case _:
            return None


def faulty(given: Input) -> PeerId | None:
    """Whose fault this is."""
    match given:
        case fx.ChunkSkipped() | fx.ChunkCorrupt() | fx.PeerFault() | fx.Unheeded() | fx.UnknownCame():
            return given.peer
        case _:
            return None


def asked(given: Input) -> tuple[Cid, ...]:
    """What its sender wants."""
    match given:
        case fx.MessageCame(message=msg.Grant(cids=cids)):
            return cids
        case fx.IntentCame(intent=msg.Intent(body=msg.Want(cids=cids)), via="direct"):
            return cids
        case fx.Unheeded(intent=msg.Intent(body=msg.Want(cids=cids))):
            return cids
        case _:
            return ()


def custom(given: Input) -> msg.Custom | None:
    """What its sender pushes of a program's own kind."""
    match given:
        case fx.MessageCame(message=msg.Custom() as found):
            return found
        case fx.IntentCame(intent=msg.Intent(body=msg.Custom() as found), via="direct"):
            return found
        case fx.Unheeded(intent=msg.Intent(body=msg.Custom() as found)):
            return found
        case _:
            return None


def body(given: Input) -> msg.Message | msg.IntentBody | None:
    """What its sender says."""
    match given:
        case fx.MessageCame():
            return given.message
        case fx.IntentCame() | fx.RouteCame():
            return given.intent.body
        case _:
            return None
