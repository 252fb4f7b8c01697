"""Run `flux-tui` in its own pseudo-terminal, for a page of Textual's web server (`flux-tui demo --web`).

    python -m flux_tui.cli.web_terminal ARGUMENTS

The server and this process exchange packets: one byte for the kind (`D`: data, `M`: JSON), four bytes for the
length, then the content. This process copies data between the page and the terminal unchanged. So a page can
show one app after another. Textual's own driver for pages cannot do that.
"""

import contextlib
import fcntl
import json
import os
import pty
import select
import signal
import struct
import sys
import termios
from collections.abc import Iterator

from flux_tui.child_command import child_command

PRELUDE = b"__GANGLION__\n"
"""What the server waits for before the first packet."""
HEAD = struct.Struct("!cI")
READ_BYTES = 1 << 16
SIZE = (80, 24)
"""Columns and rows before the page has said how large it is."""


def main(arguments: list[str]) -> int:
    """Run `flux-tui ARGUMENTS` until it ends or the page is closed.

    Returns the exit status of the program; 128 + N if signal N ended it.
    """
    columns, rows = (
        int(os.environ.get(name) or size) for name, size in zip(("COLUMNS", "ROWS"), SIZE, strict=True)
    )
    pid, terminal = pty.fork()
    if pid == 0:
        environment = dict(os.environ, TERM="xterm-256color", COLORTERM="truecolor")
        for name in ("TEXTUAL_DRIVER", "COLUMNS", "ROWS", "LINES", "NO_COLOR"):
            environment.pop(name, None)
        os.execve(sys.executable, child_command("flux_tui", *arguments), environment)  # noqa: S606
    set_size(terminal, columns, rows)
    os.write(1, PRELUDE)
    try:
        carry(terminal)
    finally:
        os.close(terminal)  # a program that still runs gets SIGHUP
    _, status = os.waitpid(pid, 0)
    with contextlib.suppress(OSError):  # the page is gone
        write_packet(b"M", b'{"type": "exit"}')
    code = os.waitstatus_to_exitcode(status)
    return code if code >= 0 else 128 - code


def carry(terminal: int) -> None:
    """Copy bytes between the page (standard streams) and a terminal (file descriptor), until one of them ends."""
    pending = bytearray()
    while True:
        ready, _, _ = select.select([0, terminal], [], [])
        if terminal in ready:
            try:
                data = os.read(terminal, READ_BYTES)
            except OSError:  # Linux raises this when the program has ended
                return
            if not data:
                return
            write_packet(b"D", data)
        if 0 in ready:
            data = os.read(0, READ_BYTES)
            if not data:
                return
            pending += data
            for kind, content in packets(pending):
                if kind == b"D":
                    os.write(terminal, content)
                elif not handle_message(terminal, json.loads(content)):
                    return


def packets(pending: bytearray) -> Iterator[tuple[bytes, bytes]]:
    """Yield the complete packets (kind, content) at the start of `pending`, and remove them from it."""
    while len(pending) >= HEAD.size:
        kind, length = HEAD.unpack_from(pending)
        end = HEAD.size + length
        if len(pending) < end:
            return
        content = bytes(pending[HEAD.size : end])
        del pending[:end]
        yield kind, content


def handle_message(terminal: int, told: dict[str, object]) -> bool:
    """Handle a JSON message of the page (`told`): a new size of the terminal, or the end. Others are ignored.

    Returns False if the page says that it ends.
    """
    match told:
        case {"type": "resize", "width": int(columns), "height": int(rows)}:
            set_size(terminal, columns, rows)
        case {"type": "quit" | "exit"}:
            return False
        case _:
            pass
    return True


def set_size(terminal: int, columns: int, rows: int) -> None:
    """Set the size of the terminal. The kernel signals the program in the terminal (SIGWINCH)."""
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))


def write_packet(kind: bytes, content: bytes) -> None:
    """Send a packet of this kind (`D`: data, `M`: JSON) to the page."""
    packet = memoryview(HEAD.pack(kind, len(content)) + content)
    while packet:
        packet = packet[os.write(1, packet) :]


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # ctrl+c is for the server, which then closes the page
    sys.exit(main(sys.argv[1:]))
