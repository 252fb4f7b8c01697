"""Functions that are called for events, and streams of entries: typed, from any entry on, and ended again."""

from pathlib import Path

import pytest
import trio

from flux_tui.core.api import commands as cmd
from flux_tui.core.series import events as ev
from flux_tui.core.series.giving_policy import PolicyChange
from flux_tui.testing import nodes

SECONDS = 60


async def test_a_function_is_called_until_it_is_unsubscribed(tmp_path: Path) -> None:
    async with nodes(2, tmp_path) as (a, b):
        heard: list[bytes] = []

        @b.on(ev.CustomReceived, kind="app.word")
        def word(event: ev.CustomReceived) -> None:
            heard.append(event.payload)

        every: list[ev.EventBase] = []
        all_of_them = b.on(ev.EventBase)(every.append)
        with trio.fail_after(SECONDS):
            a.push_intent(cmd.Custom("app.word", b"one"))
            a.push_intent(cmd.Custom("app.other", b"two"))
            seen = 0
            async for _ in b.follow(ev.CustomReceived, after=0):
                seen += 1
                if seen == 2:
                    break
            word.unsubscribe()
            word.unsubscribe()
            all_of_them.unsubscribe()
            before = len(every)
            a.push_intent(cmd.Custom("app.word", b"three"))
            async for entry in b.follow(ev.CustomReceived, kind="app.word"):
                assert entry.event.payload == b"three"
                break
        assert heard == [b"one"]
        assert len(every) == before
        assert ev.CustomReceived in {type(event) for event in every}
        word(ev.CustomReceived(peer=a.peer_id, kind="app.word", size=4, via="direct", payload=b"call"))
        assert heard[-1] == b"call", "it is still the function"


async def test_a_handler_that_fails_stops_nothing(tmp_path: Path) -> None:
    async with nodes(1, tmp_path) as (a,):

        @a.on(ev.PolicyChanged)
        def fails(event: ev.PolicyChanged) -> None:
            raise ZeroDivisionError

        with trio.fail_after(SECONDS):
            a.push_intent(cmd.Configure(PolicyChange(upload_limit=1)))
            async for entry in a.follow(ev.ErrorOccurred, after=0):
                assert entry.event.code == "handler_failed"
                break


async def test_a_stream_has_the_past_and_then_what_happens(tmp_path: Path) -> None:
    async with nodes(1, tmp_path) as (a,):
        for number in range(2500):
            a.push_intent(cmd.Configure(PolicyChange(upload_limit=number)))
        with trio.fail_after(SECONDS):
            found = []
            stream = a.follow(ev.PolicyChanged, after=0)
            async for entry in stream:
                found.append(entry.event.policy.upload_limit)
                if len(found) == 2500:
                    break
            assert found == list(range(2500)), "more than one page, in order, without a gap"
            assert stream.seq == entry.seq
            a.push_intent(cmd.Configure(PolicyChange(upload_limit=7)))
            assert (await anext(a.follow(ev.PolicyChanged, after=stream.seq))).event.policy.upload_limit == 7
            assert (await anext(a.follow(after=0))).seq == 1
        rest = a.follow(after=0)
    assert len([entry async for entry in rest]) == 0, "the node has stopped"


async def test_a_kind_of_the_program_itself_is_refused(tmp_path: Path) -> None:
    async with nodes(1, tmp_path) as (a,):
        with pytest.raises(cmd.BadCommandError):
            a.follow(ev.CustomReceived, kind="status_no")
        with pytest.raises(cmd.BadCommandError):
            a.on(ev.CustomReceived, kind="Not a kind")
