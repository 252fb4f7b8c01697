"""The window with a ticket as a QR code, and what is said where it cannot be shown."""

import pytest
from textual.screen import ModalScreen

from flux_tui.core.ids import PeerId, dag_cid
from flux_tui.core.series import events as ev
from flux_tui.core.text.plain import plain
from flux_tui.qr_code import LACKING, qr_lines
from flux_tui.ui.rows.next_steps import shared_last, ticket_of
from flux_tui.ui.screens.qr_code import QrScreen
from flux_tui.ui.widgets.plain_text import PlainText
from tests.support.dashboard import toasts
from tests.ui.conftest import Live, on_asyncio

ADDRS = ("/ip4/192.0.2.7/tcp/4001/p2p/12D3KooWRbWdtYLpiVvvjCBkwHtCUkxBa8vueC51uoXvyqX99NmA",)


def shared(live: Live) -> None:
    me = PeerId(ADDRS[0].rpartition("/")[2])
    live.append(ev.NodeStarted(peer_id=me, addrs=ADDRS, version="0.2.0", max_pending=9))
    live.append(
        ev.ObjectAdded(root=dag_cid(b"film"), path="/x/film.mkv", name="film.mkv", size=4096, chunks=1)
    )


@on_asyncio
async def test_the_code_of_the_ticket_is_shown_and_closed(live: Live) -> None:
    shared(live)
    async with live.app.run_test(size=(120, 50)) as pilot:
        await pilot.pause()
        live.app.parts.ticker.tick()
        await pilot.press("C")
        await pilot.pause()
        assert isinstance(live.app.screen, QrScreen)
        state = live.app.parts.nodes.state
        found = shared_last(state)
        assert found is not None
        lines = [str(line.content) for line in live.app.screen.query(".code").results(PlainText)]
        assert lines == [plain(line) for line in qr_lines(ticket_of(state, found))]
        await pilot.press("escape")
        assert not isinstance(live.app.screen, ModalScreen)


@on_asyncio
async def test_what_is_said_where_it_cannot_be_shown(live: Live, monkeypatch: pytest.MonkeyPatch) -> None:
    async with live.app.run_test(size=(80, 24)) as pilot:
        await pilot.pause()
        await pilot.press("C")
        assert "nothing is shared yet" in toasts(live.app)[-1]
        shared(live)
        live.app.parts.ticker.tick()
        await pilot.press("C")
        assert "the code needs a terminal of " in toasts(live.app)[-1]
        await pilot.press("m", "C")
        assert "ids and addresses, which are hidden now" in toasts(live.app)[-1]
        await pilot.press("m")
        monkeypatch.setattr("flux_tui.qr_code.find_spec", lambda name: None)
        await pilot.press("C")
        assert LACKING in toasts(live.app)[-1]
        assert not isinstance(live.app.screen, ModalScreen)
