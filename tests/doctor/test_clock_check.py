"""A clock that is off by an hour: beside a time server, the clocks of peers, and the series."""

import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from flux_tui.cli import run
from flux_tui.config import Settings
from flux_tui.core.ids import PeerId
from flux_tui.core.series.state import PeerState, State
from flux_tui.doctor.checkup import Patient
from flux_tui.doctor.clock_check import check_clock
from flux_tui.doctor.sntp import TO_1970, clock_offset
from flux_tui.home import Home

HOUR = 3600.0
NOW = 1_800_000_000.0


@contextmanager
def time_server(ahead: float, change: Callable[[bytearray], None] = lambda answer: None) -> Iterator[str]:
    """A time server on loopback whose clock is ahead of this machine's."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind(("127.0.0.1", 0))

        def answer() -> None:
            while True:
                asked, sender = sock.recvfrom(512)
                if not asked:
                    return
                at = time.time() + ahead + TO_1970
                stamp = struct.pack("!II", int(at) % (1 << 32), int(at % 1 * (1 << 32)))
                told = bytearray(bytes([0x24, 2]) + bytes(22) + asked[40:48] + stamp + stamp)
                change(told)
                sock.sendto(told, sender)

        thread = threading.Thread(target=answer)
        thread.start()
        try:
            yield f"127.0.0.1:{sock.getsockname()[1]}"
        finally:
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"", sock.getsockname())
            thread.join(30)


@pytest.mark.parametrize(
    ("ahead", "words"), [(HOUR, "1:00:00 behind what"), (-HOUR, "1:00:00 ahead of what")]
)
def test_off_by_an_hour(ahead: float, words: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with time_server(ahead) as server:
        assert run(["doctor", "--only", "clock", "--ntp", server, "--home", str(tmp_path)]) == 1
    assert f"WRONG  clock      the clock is {words} {server} says: set it" in capsys.readouterr().out


def test_a_right_clock(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with time_server(0.0) as server:
        assert run(["doctor", "--only", "clock", "--ntp", server, "--home", str(tmp_path)]) == 0
    assert "the clock is right" in capsys.readouterr().out


def test_a_server_that_does_not_know_the_time_is_not_believed() -> None:
    def unset(answer: bytearray) -> None:
        answer[0] |= 0xC0

    def kiss(answer: bytearray) -> None:
        answer[1] = 0

    for change in (unset, kiss):
        with time_server(HOUR, change) as server:
            assert clock_offset(server, time.time) is None
    assert clock_offset("no.such.host.invalid", time.time) is None


def test_after_2036() -> None:
    later = 2_200_000_000.0 - time.time()
    with time_server(later) as server:
        offset = clock_offset(server, time.time)
    assert offset is not None
    assert abs(offset - later) < 30


def patient(home: Path, *ahead: float, seen_at: float = NOW, at: float = NOW, now: float = NOW) -> Patient:
    peers = {
        PeerId(f"p{number}"): PeerState(peer=PeerId(f"p{number}"), clock_ahead=one, clock_seen_at=seen_at)
        for number, one in enumerate(ahead)
    }
    return Patient(Home(home), Settings(), state=State(at=at, peers=peers), now=lambda: now)


def test_peers_with_another_time(tmp_path: Path) -> None:
    verdict, text = check_clock(patient(tmp_path, HOUR, HOUR, HOUR, -9.0e5))
    assert (verdict, text.startswith("the clock is 1:00:00 behind those of 3 peers: set it")) == (
        "wrong",
        True,
    )
    verdict, text = check_clock(patient(tmp_path, -HOUR))
    assert (verdict, text) == (
        "wrong", "the clock is 1:00:00 ahead of that of a peer: check both, and set the wrong one"
    )  # fmt: skip
    assert check_clock(patient(tmp_path))[0] == "unknown", "nobody to compare with"
    assert check_clock(patient(tmp_path, HOUR, seen_at=NOW - 2 * 86_400))[0] == "unknown", "long ago"


def test_a_series_from_the_future(tmp_path: Path) -> None:
    verdict, text = check_clock(patient(tmp_path, now=NOW - HOUR))
    assert (verdict, text.startswith("the clock is 1:00:00 behind the newest entry of the series")) == (
        "wrong",
        True,
    )
