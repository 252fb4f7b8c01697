"""The node's log: its level, and its form (text for people, or one JSON object a line)."""

import json
import logging
import sys
import time
import traceback
from types import TracebackType
from typing import Any

from typing_extensions import override

from flux_tui.cli.output import PlainFormatter, log_failures_as
from flux_tui.config import LogLevel

NOISY = ("multiaddr",)
"""Libraries whose debug lines are left out: multiaddr logs a dozen for each address that it reads."""
MAX_MESSAGE = 64 * 1024
"""Characters of a message or a traceback in a line of JSON."""


class JsonFormatter(logging.Formatter):
    """A log formatter that makes one JSON object of a record, in ASCII, so that no text can steer a terminal."""

    @override
    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": round(record.created, 6),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage()[:MAX_MESSAGE],
        }
        if record.exc_info and record.exc_info[1] is not None:
            line["error"] = "".join(traceback.format_exception(record.exc_info[1]))[-MAX_MESSAGE:]
        return json.dumps(line).replace("\x7f", "\\u007f")


def begin_logging(level: LogLevel, *, as_json: bool) -> None:
    """Log to stderr what is of this level or worse, in this process."""
    handler = logging.StreamHandler()
    handler.setFormatter(
        JsonFormatter() if as_json else PlainFormatter("%(asctime)s %(levelname)s %(message)s")
    )
    logging.basicConfig(level=level.upper(), handlers=[handler])
    for name in NOISY:
        logging.getLogger(name).setLevel(logging.INFO)
    logging.captureWarnings(True)
    if as_json:
        log_failures_as(_failure_line)
        sys.excepthook = _log_traceback


def _failure_line(sentence: str) -> str:
    line = {"at": round(time.time(), 6), "level": "error", "logger": "flux_tui", "message": sentence}
    return json.dumps(line | {"failed": True})


def _log_traceback(kind: type[BaseException], error: BaseException, trace: TracebackType | None, /) -> None:
    """Log the traceback of a bug as one line (`sys.excepthook`)."""
    logging.getLogger("flux_tui").critical("a bug ended the node: %r", error, exc_info=(kind, error, trace))
