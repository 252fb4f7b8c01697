"""Records a demo as an asciicast (version 2). The demo runs in its own terminal, whose output is stored with times.

https://docs.asciinema.org/manual/asciicast/v2/: a line of JSON with the size, then one line for each piece of
output: [seconds, "o", text]. asciinema plays the file, and so does its player on a web page.
"""

import codecs
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from flux_tui.child_command import child_command

GATHER_SECONDS = 0.01
"""Output within this many seconds becomes one line of the file."""


def record(arguments: Sequence[str], file: Path, *, columns: int, rows: int, title: str) -> int:
    """Run `flux-tui` with these arguments in its own terminal, and write the terminal's output to `file`.

    `columns`, `rows`: the terminal's size. Returns the exit status of `flux-tui`.
    """
    descriptor = _open(file)
    pid, terminal = pty.fork()
    if pid == 0:
        environment = dict(os.environ, TERM="xterm-256color", COLORTERM="truecolor")
        for name in ("NO_COLOR", "SSH_CONNECTION", "SSH_TTY"):
            # so that the dashboard has the colours and the frame rate of a local terminal
            environment.pop(name, None)
        environment |= {"COLUMNS": str(columns), "LINES": str(rows)}
        os.execve(sys.executable, child_command("flux_tui", *arguments), environment)  # noqa: S606
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    header = {
        "version": 2, "width": columns, "height": rows, "timestamp": int(time.time()), "title": title,
        "env": {"TERM": "xterm-256color"},
    }  # fmt: skip
    try:
        with open(descriptor, "w", encoding="utf-8") as out:
            out.write(json.dumps(header) + "\n")
            for seconds, text in _output(terminal):
                out.write(json.dumps([round(seconds, 3), "o", text], ensure_ascii=False) + "\n")
        _, status = os.waitpid(pid, 0)
    except BaseException:
        os.close(terminal)  # nobody reads its output any more: it must not block on that
        os.kill(pid, signal.SIGTERM)
        os.waitpid(pid, 0)
        raise
    os.close(terminal)
    return os.waitstatus_to_exitcode(status)


def _open(file: Path) -> int:
    """Open a file for writing, and return its descriptor. A named pipe that nobody reads raises an error at once."""
    descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NONBLOCK | os.O_CLOEXEC, 0o666)
    os.set_blocking(descriptor, True)
    return descriptor


def _output(terminal: int) -> Iterator[tuple[float, str]]:
    """Yield the terminal's output in pieces, each with the seconds since the first piece."""
    decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
    began: float | None = None
    while True:
        select.select([terminal], [], [])
        began = began or time.monotonic()
        at = time.monotonic() - began
        time.sleep(GATHER_SECONDS)
        try:
            data = os.read(terminal, 1 << 20)
        except OSError:  # Linux raises this when the other end is closed
            return
        if not data:
            return
        if text := decoder.decode(data):
            yield at, text
