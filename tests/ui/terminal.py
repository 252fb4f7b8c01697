"""A program in a real terminal (a pty), with its output and keys pressed in it. For tests and benchmarks."""

import fcntl
import os
import pty
import re
import select
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from collections.abc import Callable
from pathlib import Path

WAIT_SECONDS = 30.0
ESCAPES = re.compile(rb"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|P.*?\x1b\\|.)", re.DOTALL)


class Terminal:
    """A program, the bytes of its screen, and its keyboard."""

    def __init__(self, arguments: list[str], size: tuple[int, int] = (120, 40), **environment: str) -> None:
        self.master, slave = pty.openpty()
        columns, rows = size
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        # as on the machine of its user, not over SSH
        apart = ("SSH_", "NO_COLOR", "TEXTUAL", "PYTHONDONTWRITEBYTECODE")
        kept = {k: v for k, v in os.environ.items() if not k.startswith(apart)}
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, *arguments],
            stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
            env={**kept, "TERM": "xterm-256color", "COLORTERM": "truecolor", "LANG": "C.UTF-8", **environment},
        )  # fmt: skip
        os.close(slave)
        self.written = bytearray()
        self.times: list[tuple[float, int]] = []
        """When bytes came, and how many there were in total."""
        self._open = True
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while self._open:
            if not select.select([self.master], [], [], 0.05)[0]:
                continue
            try:
                data = os.read(self.master, 65536)
            except OSError:
                break
            if not data:
                break
            self.written += data
            self.times.append((time.monotonic(), len(self.written)))

    def press(self, text: str) -> float:
        """Send keys as the terminal would. Return when."""
        at = time.monotonic()
        os.write(self.master, text.encode())
        return at

    def text(self, since: int = 0) -> str:
        """Return the written text, without control sequences."""
        return ESCAPES.sub(b"", bytes(self.written[since:])).decode(errors="replace")

    def wait_text(self, text: str, since: int = 0, seconds: float = WAIT_SECONDS) -> float:
        """Wait until a text was written after byte `since`. Return when."""
        deadline = time.monotonic() + seconds
        while text not in self.text(since):
            assert time.monotonic() < deadline, (
                f"{text!r} did not come; the end of what did: {self.text()[-2000:]}"
            )
            assert self.process.poll() is None, f"it ended: {self.text()[-2000:]}"
            time.sleep(0.005)
        return time.monotonic()

    def when(self, since: int, text: str) -> float:
        """Return when a text came that was written after byte `since`."""
        return next(
            at for at, count in self.times if count > since and text in self.text_between(since, count)
        )

    def text_between(self, start: int, end: int) -> str:
        """Return the text written between two bytes, without control sequences."""
        return ESCAPES.sub(b"", bytes(self.written[start:end])).decode(errors="replace")

    def wait_written(self, since: int, seconds: float = WAIT_SECONDS) -> float:
        """Wait until anything was written after byte `since`. Return when it came."""
        deadline = time.monotonic() + seconds
        while len(self.written) <= since:
            assert time.monotonic() < deadline, "nothing came"
            time.sleep(0.0005)
        return next(at for at, count in self.times if count > since)

    def wait_end(self, seconds: float = WAIT_SECONDS) -> tuple[int, float]:
        """Wait for the end. Return the exit status and the time."""
        return self.process.wait(seconds), time.monotonic()

    def cpu(self) -> float:
        """Return the seconds of processor time used."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")

    def rss(self) -> int:
        """Return the resident bytes now."""
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def resize(self, columns: int, rows: int) -> None:
        """Resize the terminal, as when a person drags the edge of the window."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.process.send_signal(signal.SIGWINCH)

    def hang_up(self) -> None:
        """Hang up, as when the window is closed or the connection is lost."""
        self._open = False
        self._reader.join()
        os.close(self.master)
        self.master = -1

    def close(self) -> None:
        """End the program in any state."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self._open = False
        self._reader.join()
        if self.master >= 0:
            os.close(self.master)


def dashboard(*arguments: str) -> list[str]:
    """Return the command for the dashboard, on loopback."""
    return ["-m", "flux_tui", *arguments, "--listen", "/ip4/127.0.0.1/tcp/0", "--no-mdns"]


def until(what: Callable[[], object], seconds: float = 60.0) -> None:
    """Wait until something is true."""
    deadline = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < deadline
        time.sleep(0.01)
