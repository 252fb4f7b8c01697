"""A program's own decision whom to answer: it is asked for each want or hold of another node, and its NO goes out.

The decision is part of the input that the machine gets. So a recording of the inputs replays without the program.
"""

import logging
from collections.abc import Callable
from typing import TypeAlias

import msgspec

from flux_tui.core.api import inputs as inp
from flux_tui.core.ids import PeerId
from flux_tui.core.vocabulary import REASONS, Refusal
from flux_tui.core.wire import messages as msg
from flux_tui.core.wire.messages import MAX_TEXT, MAX_WAIT, Intent

log = logging.getLogger(__name__)

Answer: TypeAlias = bool | Refusal
ShouldAnswer: TypeAlias = Callable[[Intent, PeerId], Answer]
"""Is called with an intent and the peer that signed it. True: answer as the policy says. False: do not answer at all.
A `Refusal`: answer NO with this reason. Must not block."""


def ask(
    hook: ShouldAnswer, given: inp.IntentCame | inp.RouteCame
) -> inp.IntentCame | inp.RouteCame | inp.Failed:
    """Ask the program about an intent that came. Returns the input with the program's decision.

    If the hook raises, the intent is not answered, and the result is an input that tells of the error.
    """
    intent = given.intent
    if not isinstance(intent.body, msg.Want | msg.Hold):
        return given
    try:
        answer = hook(intent, intent.origin)
        refusal = None if isinstance(answer, bool) else _checked(answer)
    except Exception as error:  # an error of the program must neither stop the node nor open a door
        log.exception("should_answer failed")
        return inp.Failed(text=f"should_answer failed: {error!r}", code="handler_failed")
    return (
        given if answer is True else msgspec.structs.replace(given, refusal=refusal, silent=answer is False)
    )


def _checked(answer: object) -> Refusal:
    if not isinstance(answer, Refusal):
        raise TypeError(f"{answer!r} is neither True nor False nor a Refusal")
    if answer.reason not in REASONS:
        raise ValueError(f"{answer.reason!r} is not a reason of a NO: there are {', '.join(REASONS)}")
    wait = answer.retry_after
    if wait is not None and not 0 <= wait <= MAX_WAIT:
        raise ValueError(f"retry_after has to be 0 to {MAX_WAIT:.0f} seconds, not {wait}")
    return answer._replace(text=answer.text[:MAX_TEXT])
