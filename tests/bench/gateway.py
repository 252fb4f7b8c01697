"""The gateway beside plain static file servers: 1 GiB to curl, and memory.

    python -m tests.bench.gateway [--runs N] [--mib N] [--no-starlette] [--json FILE]

The servers are aiohttp, which uses sendfile, and starlette on uvicorn, which is installed into a virtual environment of
this run. If that fails, it is left out. All serve the same file to curl, in turns; the medians count. It fails
below 0.8 of the faster plain server, and above 64 MiB more memory at the end than at the start.
"""

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.bench.nodes import flux
from tests.bench.report import Table, parser

LEAST, MOST_GROWTH = 0.8, 64
PLAIN = """
import sys
from aiohttp import web
async def send(request): return web.FileResponse(sys.argv[1])
app = web.Application()
app.router.add_get("/film", send)
async def main():
    runner = web.AppRunner(app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    print("http://127.0.0.1:%d" % site._server.sockets[0].getsockname()[1], flush=True)
    import asyncio
    await asyncio.Event().wait()
import asyncio
asyncio.run(main())
"""

STARLETTE = """
import socket, sys, uvicorn
from starlette.applications import Starlette
from starlette.responses import FileResponse
from starlette.routing import Route
async def send(request): return FileResponse(sys.argv[1])
app = Starlette(routes=[Route("/film", send)])
sock = socket.socket()
sock.bind(("127.0.0.1", 0))
print("http://127.0.0.1:%d" % sock.getsockname()[1], flush=True)
uvicorn.Server(uvicorn.Config(app, log_level="error")).run(sockets=[sock])
"""


def with_starlette(folder: Path) -> str | None:
    """Return a Python that has starlette and uvicorn, in a new virtual environment; None: they cannot be installed."""
    python = str(folder / "bin" / "python")
    for command in (
        [sys.executable, "-m", "venv", str(folder)],
        [python, "-m", "pip", "install", "-q", "starlette", "uvicorn"],
    ):
        if subprocess.run(command, capture_output=True).returncode:
            return None
    return python


@contextmanager
def serving(*command: str, python: str = sys.executable) -> Iterator[tuple[str, int]]:
    """Run a server. Yield its address, and its process id."""
    with subprocess.Popen(
        [python, *command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip(), process.pid
        finally:
            process.terminate()


def rate(url: str) -> float:
    """Return MiB/s of one download by curl."""
    told = subprocess.run(
        ["curl", "-s", "-o", "/dev/null", "-w", "%{http_code} %{speed_download}", url],
        capture_output=True,
        text=True,
        check=True,
    )
    status, speed = told.stdout.split()
    assert status == "200", told.stdout
    return float(speed) / (1 << 20)


def rss(pid: int) -> int:
    """Return the resident bytes of a process."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmRSS"))


def main() -> int:
    given = parser(__doc__ or "")
    given.add_argument("--mib", type=int, default=1024, help="MiB of the file")
    given.add_argument("--no-starlette", action="store_true", help="leave starlette out")
    options = given.parse_args()
    print(f"load before: {', '.join(f'{one:.1f}' for one in os.getloadavg())}")
    with tempfile.TemporaryDirectory() as folder:
        film, home = Path(folder, "film"), Path(folder, "home")
        with film.open("wb") as file, open("/dev/urandom", "rb") as chance:
            for _ in range(options.mib):
                file.write(chance.read(1 << 20))
        root = flux("add", str(film), home=home).stdout.split()[0]
        python = None if options.no_starlette else with_starlette(Path(folder, "venv"))
        if python is None:
            print("starlette is left out")
        with ExitStack() as stack:
            gateway = serving("-m", "flux_tui", "gateway", "--port", "0", "--home", str(home))
            own, pid = stack.enter_context(gateway)
            plain, _ = stack.enter_context(serving("-c", PLAIN, str(film)))
            urls = {"gateway": f"{own}/ipfs/{root}?filename=film", "aiohttp": f"{plain}/film"}
            if python is not None:
                other, _ = stack.enter_context(serving("-c", STARLETTE, str(film), python=python))
                urls["starlette"] = f"{other}/film"
            for url in urls.values():
                rate(url)  # both begin with the file in memory
            before = rss(pid)
            found: dict[str, list[float]] = {name: [] for name in urls}
            for _ in range(options.runs):
                for name, url in urls.items():
                    found[name].append(rate(url))
            growth = rss(pid) - before
    table = Table(f"{options.mib} MiB by HTTP to curl")
    medians = {name: table.add(name, rates, "MiB/s") for name, rates in found.items()}
    fastest = max(rate for name, rate in medians.items() if name != "gateway")
    table.add(
        "the gateway against the faster of the others", medians["gateway"] / fastest, "times", least=LEAST
    )
    table.add("its memory grew by", growth / (1 << 20), "MiB", most=MOST_GROWTH)
    print(f"load after: {', '.join(f'{one:.1f}' for one in os.getloadavg())}")
    return table.show(options.json)


if __name__ == "__main__":
    raise SystemExit(main())
