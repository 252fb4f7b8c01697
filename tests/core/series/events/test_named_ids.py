"""Every event is searched for the peers and CIDs that it names, by the names of its fields."""

from typing import get_args, get_type_hints

import pytest

from flux_tui.core.ids import Cid, PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.events.named_ids import cids_of, peers_of

ONE: dict[str, object] = {"cid": Cid, "root": Cid, "peer": PeerId}
MANY: dict[str, object] = {"cids": tuple[Cid, ...], "roots": tuple[Cid, ...], "peers": tuple[PeerId, ...]}
PEER = PeerId("12D3KooWA")
CID = raw_cid(b"chunk")


@pytest.mark.parametrize("kind", [kind for kind in ev.EVENT_TYPES if kind is not ev.Unknown])
def test_fields_with_these_names_have_ids(kind: type[ev.Event]) -> None:
    """A number in a field called `roots` ended the dashboard."""
    hints = get_type_hints(kind)
    for name, wanted in (ONE | MANY).items():
        if name in kind.__struct_fields__:
            assert wanted in (hints[name], *get_args(hints[name])), f"{kind.__name__}.{name}"


def test_what_an_event_names() -> None:
    granted = ev.Granted(peer=PEER, root=CID, cids=(CID, raw_cid(b"other")), deadline=1.0)
    assert peers_of(granted) == (PEER,)
    assert cids_of(granted) == (CID, raw_cid(b"other"))
    assert cids_of(ev.RecordsProvided(told=3)) == ()
