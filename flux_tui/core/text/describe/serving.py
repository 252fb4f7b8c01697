"""Describes the responder's events: what other nodes want, and what was sent to them."""

from typing import assert_never

from flux_tui.core.series import events as ev
from flux_tui.core.text.describe.wording import Wording
from flux_tui.core.text.quantities import counted, human_seconds, human_size


def words(event: ev.ServingEvent, w: Wording) -> str:
    """Return one event of the responder in words."""
    match event:
        case ev.IntentReceived():
            how = {"direct": "", "gossip": ", by gossip", "routed": ", by DHT"}[event.via]
            return f"wants {w.what(event.cids)}{how}"
        case ev.AnsweredLater():
            return f"heard yes for {w.what(event.cids)}, in {human_seconds(event.eta)}"
        case ev.AnsweredNo():
            return f"heard {w.no(event.reason, event.retry_after, _refused(event, w))}"
        case ev.GrantReceived():
            return f"takes {counted(len(event.cids), 'chunk')}, {human_size(event.size)}"
        case ev.CancelReceived():
            return f"no longer wants {w.what(event.cids)}"
        case ev.ChunksSent():
            return f"{w.what(event.cids)} {human_size(event.size)}"
        case _:
            assert_never(event)


def _refused(event: ev.AnsweredNo, w: Wording) -> str:
    match event.about:
        case "hold":
            return f"{w.what(event.cids)} is not kept for it"
        case "custom":
            return "pushes too many messages of its own kinds"
        case "want":
            return f"wants {w.what(event.cids)}"
        case _:
            assert_never(event.about)
