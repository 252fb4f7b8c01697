"""The part `throughput` of tests.bench.growth: a large file, beside a raw stream and plain TCP, in turns; and hashing.

Two processes on loopback for each side. Plain TCP: what comes is hashed in chunks of 1 MiB, and written to a file.
"""

import multiprocessing
import os
import shutil
import socket
import statistics
import tempfile
import time
from hashlib import sha256
from pathlib import Path

from flux_tui.node.disk import chunker
from tests.bench import raw_stream, transfer
from tests.bench.growth import Growth

SIZE = 256 << 20
RUNS = 3
HASHED = 512 << 20
CHUNK = 1 << 20


def _send(path: str, port: int) -> None:
    with socket.create_connection(("127.0.0.1", port)) as line, open(path, "rb") as file:
        line.sendfile(file)


def plain_tcp(size: int) -> float:
    """Return the MB/s of a file through TCP from another process, hashed and written here."""
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    try:
        transfer.make_file(folder / "in.bin", size)
        with socket.create_server(("127.0.0.1", 0)) as server:
            sender = multiprocessing.get_context("spawn").Process(
                target=_send, args=(str(folder / "in.bin"), server.getsockname()[1])
            )
            sender.start()
            line, _ = server.accept()
            start, view = time.monotonic(), memoryview(bytearray(CHUNK))
            with line, open(folder / "out.bin", "wb", buffering=0) as out:
                left = size
                while left:
                    wanted = min(CHUNK, left)
                    got = 0
                    while got < wanted:
                        got += line.recv_into(view[got:wanted])
                    sha256(view[:wanted]).digest()
                    out.write(view[:wanted])
                    left -= wanted
            seconds = time.monotonic() - start
            sender.join()
        assert os.stat(folder / "out.bin").st_size == size
        return size / seconds / 1e6
    finally:
        shutil.rmtree(folder)


def hashed(path: Path, threads: int) -> float:
    """Return the seconds in which a file is read and hashed, as an add does it, by so many threads."""
    before = chunker.HASHERS, chunker.AHEAD
    chunker.HASHERS, chunker.AHEAD = threads, 2 * threads
    try:
        start = time.monotonic()
        for _ in chunker.walk(path, lambda _: None, lambda: False):
            pass
        return time.monotonic() - start
    finally:
        chunker.HASHERS, chunker.AHEAD = before


def _hashing(growth: Growth) -> None:
    """Add the rows of hashing: one thread, and as many as an add uses."""
    folder = Path(tempfile.mkdtemp(prefix="flux-bench-"))
    try:
        transfer.make_file(folder / "big.bin", HASHED)
        one, many = [], []
        for _ in range(RUNS):
            one.append(hashed(folder / "big.bin", 1))
            many.append(hashed(folder / "big.bin", chunker.HASHERS))
    finally:
        shutil.rmtree(folder)
    growth.add("a file hashed by one thread", [HASHED / 1e6 / seconds for seconds in one], "MB/s")
    growth.add(f"by {chunker.HASHERS} threads", [HASHED / 1e6 / seconds for seconds in many], "MB/s")
    growth.add("as fast", statistics.median(one) / statistics.median(many), "x", least=1.5)


def measure(growth: Growth) -> None:
    """Add the rows of throughput."""
    _hashing(growth)
    raws, plain, files = [], [], []
    for _ in range(RUNS):  # in turns, so that drift of the machine affects all of them
        raws.append(raw_stream.measure(SIZE).rate)
        plain.append(plain_tcp(SIZE))
        files.append(transfer.measure(SIZE).rate)
    growth.add("TCP, sha256 and write", plain, "MB/s")
    growth.add("raw tuned stream", raws, "MB/s")
    growth.add("a file, verified and stored", files, "MB/s")
    middle = statistics.median(files)
    growth.add("file / raw tuned stream", middle / statistics.median(raws), "x", least=0.8)
    growth.add("file / TCP, sha256 and write", middle / statistics.median(plain), "x", least=0.62)
