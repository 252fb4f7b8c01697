"""Tasks that fail alone: logged with a traceback, counted, dropped or restarted. A cancellation is not a failure."""

import logging
from itertools import pairwise

import pytest
import trio
import trio.testing

from flux_tui.net.connections import supervisor
from flux_tui.net.connections.supervisor import Supervisor, Tasks


async def fails(*_: object) -> None:
    raise KeyError("something")


async def test_a_task_that_fails_ends_alone(caplog: pytest.LogCaptureFixture) -> None:
    told: list[str] = []
    owner = Supervisor(told.append)
    async with trio.open_nursery() as nursery:
        tasks = Tasks(nursery, owner)
        tasks.start_soon(fails, 1)
        tasks.start_soon(fails, 2)
    assert owner.failures == {"fails": 2}
    assert told == ["fails failed, and was ended or restarted: KeyError: 'something'"]
    (record,) = caplog.records
    assert record.levelno == logging.ERROR
    assert record.exc_info is not None
    assert isinstance(record.exc_info[1], KeyError), "its own traceback"


async def test_a_loop_is_started_again(
    autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    owner = Supervisor(lambda text: None)
    begun: list[float] = []

    async def loop() -> None:
        begun.append(trio.current_time())
        if len(begun) < 12:
            raise ValueError("again")

    await owner.restart("the loop", loop)
    waits = [after - before for before, after in pairwise(begun)]
    assert waits[:3] == [0.5, 1.0, 2.0]
    assert max(waits) == supervisor.RESTART.most
    assert owner.failures["the loop"] == 11
    assert 1 < len(caplog.records) < 11, "not each of them"
    assert "times since the last report" in caplog.text


async def test_a_cancellation_is_not_a_failure_and_hides_none() -> None:
    owner = Supervisor(lambda text: None)

    async def both() -> None:
        async with trio.open_nursery() as nursery:

            async def fails_as_it_ends() -> None:
                try:
                    await trio.sleep_forever()
                finally:
                    raise RuntimeError("while it was cancelled")

            nursery.start_soon(fails_as_it_ends)
            nursery.start_soon(trio.sleep_forever)

    with trio.move_on_after(0) as scope:
        await owner.drop("waits", trio.sleep_forever)
    assert scope.cancelled_caught
    assert not owner.failures
    with trio.move_on_after(0) as scope:
        await owner.drop("both", both)
    assert owner.failures == {"both": 1}


async def test_kinds_are_bounded() -> None:
    owner = Supervisor(lambda text: None)
    for number in range(2 * supervisor.MAX_KINDS):
        owner.failed(f"task {number}", ValueError())
    assert len(owner.failures) == supervisor.MAX_KINDS + 1
    assert owner.failures.total() == 2 * supervisor.MAX_KINDS


def test_the_reason_is_the_innermost() -> None:
    group = ExceptionGroup("outer", [ExceptionGroup("inner", [ValueError("here")])])
    assert supervisor.reason(group) == "ValueError: here"
    assert supervisor.reason(ValueError()) == "ValueError"
