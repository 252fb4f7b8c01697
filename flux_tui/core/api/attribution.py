"""Attribution of an input: which peer pushed it, what it says, and which peer is charged for it. Pure."""

from flux_tui.core.api import effects as fx
from flux_tui.core.api.effects import Input
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire import messages as msg


def pusher(given: Input) -> PeerId | None:
    """The peer that pushed this of its own will. None: no peer did, or it must be accepted in any case."""
    match given:
        case fx.MessageCame():
            return given.peer
        case fx.IntentCame() | fx.RouteCame():
            return given.intent.origin
        case _:
            return None


def faulty(given: Input) -> PeerId | None:
    """The peer whose fault this is."""
    match given:
        case fx.ChunkSkipped() | fx.ChunkCorrupt() | fx.PeerFault() | fx.Unheeded() | fx.UnknownCame():
            return given.peer
        case _:
            return None


def asked(given: Input) -> tuple[Cid, ...]:
    """The CIDs that its sender wants."""
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
    """The custom message that its sender pushes."""
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
    """The message or intent body that its sender pushes."""
    match given:
        case fx.MessageCame():
            return given.message
        case fx.IntentCame() | fx.RouteCame():
            return given.intent.body
        case _:
            return None
