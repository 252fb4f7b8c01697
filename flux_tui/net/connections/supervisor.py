"""Runs background tasks so that a failed task is logged and ended or restarted, and all others continue.

libp2p runs its handlers and loops in nurseries, where one exception cancels everything else. So a peer that
makes one handler fail would end the whole node. Here a `Supervisor` runs each such task.

- The traceback of a failure is logged. A cancellation is not a failure: it is passed on.
- A failed task that serves one peer or one connection is ended. A loop that the node needs is restarted, after a
  wait that doubles.
- The log and the series get one report of each kind of failure in REPORT_SECONDS, with the number of
  failures.

Errors of this program are not hidden from its tests: the tests check `failures`.
"""

import logging
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any

import trio

from flux_tui.core.limits import Backoff

log = logging.getLogger(__name__)

RESTART = Backoff(first=0.5, most=60.0)
"""The wait until a failed loop is started again."""
STEADY_SECONDS = 60.0
"""Seconds after which a loop counts as steady: its next failure counts as the first."""
REPORT_SECONDS = 30.0
"""Seconds between two reports of one kind of failure."""
MAX_KINDS = 256
"""Kinds of failure that are counted apart."""

Task = Callable[..., Awaitable[object]]


class Supervisor:
    """Runs the background tasks of one network, and counts and reports their failures.

    `on_failure`: called with a sentence about a failure, at most once in REPORT_SECONDS for each kind of task.
    """

    def __init__(self, on_failure: Callable[[str], None]) -> None:
        self.failures: Counter[str] = Counter()
        """How many times each kind of task failed."""
        self._on_failure = on_failure
        self._due: dict[str, float] = {}
        self._told: Counter[str] = Counter()

    async def drop(self, name: str, task: Task, *args: Any) -> bool:
        """Run a task to its end. If the task fails, it is dropped: the failure is reported, and nothing else ends.

        Returns whether the task succeeded.
        """
        try:
            await task(*args)
        except Exception as error:
            self.failed(name, error)
            return False
        except BaseExceptionGroup as group:
            failed, rest = group.split(Exception)
            if failed is not None:
                self.failed(name, failed)
            if rest is not None:
                raise rest from None
        return True

    async def restart(self, name: str, task: Task, *args: Any) -> None:
        """Run a loop, and start it again whenever it fails, after a wait that grows. Return if it ends otherwise."""
        failures = 0
        while True:
            began = trio.current_time()
            if await self.drop(name, task, *args):
                return
            if trio.current_time() - began >= STEADY_SECONDS:
                failures = 0
            failures += 1
            await trio.sleep(RESTART.wait(failures))

    def failed(self, name: str, error: BaseException) -> None:
        """Count a failure of the task `name`. Report it, unless one was reported in the last REPORT_SECONDS."""
        if name not in self.failures and len(self.failures) >= MAX_KINDS:
            name = "other tasks"
        self.failures[name] += 1
        now = trio.current_time()
        if now < self._due.get(name, 0.0):
            return
        self._due[name] = now + REPORT_SECONDS
        times = self.failures[name] - self._told[name]
        self._told[name] = self.failures[name]
        again = f" ({times} times since the last report)" if times > 1 else ""
        log.error("%s failed%s", name, again, exc_info=error)
        self._on_failure(f"{name} failed, and was ended or restarted{again}: {reason(error)}")


class Tasks:
    """A nursery with supervised tasks: a task that fails ends alone, and the others continue."""

    def __init__(self, nursery: trio.Nursery, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self._nursery = nursery

    @property
    def cancel_scope(self) -> trio.CancelScope:
        """The cancel scope of the nursery."""
        return self._nursery.cancel_scope

    def start_soon(self, task: Task, *args: Any) -> None:
        """Run a task in the background. If it fails, only this task ends."""
        self._nursery.start_soon(self.supervisor.drop, name_of(task), task, *args)

    def keep(self, task: Task, *args: Any) -> None:
        """Run a loop in the background, and start it again whenever it fails."""
        self._nursery.start_soon(self.supervisor.restart, name_of(task), task, *args)


def name_of(task: Task) -> str:
    """Return a task's name, for the log and for counting failures."""
    return str(getattr(task, "__qualname__", None) or type(task).__name__)


def reason(error: BaseException) -> str:
    """Describe an exception in one line: its class and text. Of a group, the innermost first exception is taken."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    text = " ".join(str(error).split())[:200]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
