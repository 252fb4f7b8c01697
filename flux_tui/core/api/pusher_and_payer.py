"""Attribution of an input: which peer pushed it, what it contains, and which peer is charged for it. Pure."""

from flux_tui.core.api import inputs as inp
from flux_tui.core.api.inputs import Input
from flux_tui.core.ids import Cid, PeerId
from flux_tui.core.wire import messages as msg


def pusher(given: Input) -> PeerId | None:
    """Return the peer that pushed this input unasked. None: no peer did, or the input must always be accepted.

    The pusher of an intent is its origin, also if another peer passed the intent on.
    """
    match given:
        case inp.MessageCame() | inp.RecordsCame() | inp.IntroductionCame() | inp.NameSuggested():
            return given.peer
        case inp.IntentCame() | inp.RouteCame():
            return given.intent.origin
        case _:
            return None


def payer(given: Input) -> PeerId | None:
    """Return the peer that is charged for the entries that this input causes: the one that pushed it or is at fault.

    None: no peer is charged.
    """
    match given:
        case (
            inp.ChunkSkipped() | inp.ChunkCorrupt() | inp.PeerFault() | inp.NotAdmitted() | inp.UnknownCame()
        ):
            return given.peer
        case _:
            return pusher(given)


def wanted_cids(given: Input) -> tuple[Cid, ...]:
    """Return the CIDs that a peer asks for with this input (a direct want or a grant); none for other inputs."""
    match given:
        case inp.MessageCame(message=msg.Grant(cids=cids)):
            return cids
        case inp.IntentCame(intent=msg.Intent(body=msg.Want(cids=cids)), via="direct"):
            return cids
        case inp.NotAdmitted(intent=msg.Intent(body=msg.Want(cids=cids))):
            return cids
        case _:
            return ()


def custom(given: Input) -> msg.Custom | None:
    """Return the custom message that a peer pushed to this node directly with this input; None if there is none."""
    match given:
        case inp.MessageCame(message=msg.Custom() as found):
            return found
        case inp.IntentCame(intent=msg.Intent(body=msg.Custom() as found), via="direct"):
            return found
        case inp.NotAdmitted(intent=msg.Intent(body=msg.Custom() as found)):
            return found
        case _:
            return None


def body(given: Input) -> msg.Message | msg.IntentBody | None:
    """Return the message, or the body of the intent, in this input; None if it has none."""
    match given:
        case inp.MessageCame():
            return given.message
        case inp.IntentCame() | inp.RouteCame():
            return given.intent.body
        case _:
            return None
