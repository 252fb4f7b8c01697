"""`flux-tui web`: the dashboard in a browser, on this machine only.

A person who can open the page can push into the node and share any file of this user. So the page is guarded
like a shell. The server listens on loopback alone. The printed address carries a secret, which the first visit
turns into a cookie. The server checks the Origin and the Host of each request: a request from the page of
another site is refused. The page loads nothing from elsewhere.
"""

import asyncio
import secrets
import shlex
import signal
import socket
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from flux_tui.child_command import child_command
from flux_tui.cli.arguments.flags_for_node import node_flags
from flux_tui.cli.arguments.options import home_option, json_option, node_options
from flux_tui.cli.arguments.path_and_stdin_types import PathType
from flux_tui.cli.commands.dashboard import Starter
from flux_tui.cli.home_and_series import the_home
from flux_tui.cli.output import Failure, print_json, say, tell
from flux_tui.core.text.plain import plain
from flux_tui.path_arguments import literal_path

if TYPE_CHECKING:
    from aiohttp.web import Application, Request, StreamResponse

HOST = "127.0.0.1"
SECRET_BYTES = 24
COOKIE = "flux_tui"
PAGE = Path(__file__).with_name("page")
"""Our page around Textual's terminal. It has a title, fits a phone, and takes keys without a click."""
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline';"
    " img-src 'self' data:; connect-src 'self' ws://{host}; frame-ancestors 'none'"
)
"""The page loads only from this server, and no other site may put it into a frame."""

Handler = Callable[["Request"], Awaitable["StreamResponse"]]


@click.command()
@click.argument("file", type=PathType(), metavar="[FILE]", required=False, default=None)
@click.option("--port", type=click.IntRange(0, 65535), default=8017, show_default=True, metavar="N",
              help="The port on 127.0.0.1; 0: any free port.")  # fmt: skip
@click.option("--mask", is_flag=True, help="Hide ids and addresses, for an audience.")
@home_option
@node_options
@json_option
def web(file: Path | None, port: int, mask: bool, home: Path | None, as_json: bool, **flags: Any) -> None:
    """Show the dashboard in a browser on this machine: of the home's node, or of a recorded series (FILE).

    The first line on stdout is the address to open. Ctrl+C ends it.
    """
    listener = _listen(port)
    place = the_home(home)
    if file is not None:
        if dropped := node_flags(flags):
            raise click.UsageError(f"a recording has no node, so it takes no {dropped[0]}")
        path = literal_path(file)
        if not path.is_file():
            raise Failure(f"there is no series at {path}")
        arguments, starter = ["replay", str(path)], None
    else:
        place.prepare()
        arguments, starter = [*node_flags(flags)], Starter(place, flags)
    command = child_command("flux_tui", *arguments, *(["--mask"] if mask else []))
    command += ["--home", str(place.path)]
    try:
        if starter is not None:
            # The node runs before the first page, and stays as long as a page may be opened.
            starter.start()
            starter.wait()
            if starter.trouble:
                raise Failure(starter.trouble)
        title = "flux-tui" if file is None else f"{file.name} · flux-tui"
        asyncio.run(_serve(shlex.join(command), listener, title, as_json=as_json))
    finally:
        if starter is not None:
            starter.stop()


def serve_in_browser(command: Sequence[str], port: int, title: str, *, as_json: bool = False) -> None:
    """Serve a program in the browser until ctrl+c. Each page that is opened runs `command` in its own process.

    The server listens at `port` of 127.0.0.1 (0: any free port), and prints the address to open. `title`: of the
    page. The program must speak the packets of Textual's web server (cli/web_terminal.py). Raises Failure if the
    port cannot be used.
    """
    asyncio.run(_serve(shlex.join(command), _listen(port), title, as_json=as_json))


def _listen(port: int) -> socket.socket:
    try:
        import textual_serve  # noqa: F401 - checks that it is installed
    except ImportError:
        raise Failure("the web dashboard is an extra: pip install 'flux-tui[web]'") from None
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((HOST, port))
    except OSError as error:
        listener.close()
        words = (error.strerror or str(error)).lower()
        raise Failure(f"port {port} of {HOST} cannot be used: {words}; choose another with --port") from None
    return listener


async def _serve(command: str, listener: socket.socket, title: str, *, as_json: bool) -> None:
    from aiohttp import web as http
    from textual_serve.server import Server

    class Quiet(Server):
        """Textual's web server without the messages that it prints at its start."""

        async def on_startup(self, app: "Application") -> None:
            pass

    port = listener.getsockname()[1]
    secret = secrets.token_urlsafe(SECRET_BYTES)
    server = Quiet(command, HOST, port, plain(title), public_url=f"http://{HOST}:{port}", templates_path=PAGE)
    app = await server._make_app()
    app.middlewares.append(guard(f"{HOST}:{port}", secret))
    runner = http.AppRunner(app, handle_signals=False, shutdown_timeout=1.0)
    await runner.setup()
    await http.SockSite(runner, listener).start()
    address = f"http://{HOST}:{port}/?secret={secret}"
    if as_json:
        print_json({"event": "listening", "urls": [address]})
    else:
        tell(address)
    sys.stdout.flush()
    say("open this address in a browser on this machine; ctrl+c ends it")
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(name, ended.set)
    await ended.wait()
    await runner.cleanup()


def guard(host: str, secret: str) -> Any:
    """Make an aiohttp middleware that refuses requests without the secret, from another site, or for another host.

    `host`: this server's address and port; `localhost` with this port is accepted too. The secret of the printed
    address is moved into a cookie.
    """
    from aiohttp import web as http

    port = host.rpartition(":")[2]
    hosts = {host, f"localhost:{port}"}
    origins = {f"http://{name}" for name in hosts}

    @http.middleware
    async def check(request: "Request", handler: Handler) -> "StreamResponse":
        if request.headers.get("Host") not in hosts:
            raise http.HTTPForbidden(text="not by this name")
        origin = request.headers.get("Origin")
        if origin is not None and origin not in origins:
            raise http.HTTPForbidden(text="not from this page")
        given = request.query.get("secret")
        if (
            given is not None
            and request.path == "/"
            and secrets.compare_digest(given.encode(), secret.encode())
        ):
            # Move the secret into a cookie: addresses end up in histories and on projectors.
            answer = http.HTTPSeeOther("/")
            answer.set_cookie(f"{COOKIE}_{port}", secret, httponly=True, samesite="Strict")
            raise answer
        cookie = request.cookies.get(f"{COOKIE}_{port}", "")
        if not secrets.compare_digest(cookie.encode(), secret.encode()):
            raise http.HTTPForbidden(text="open the whole address that `flux-tui web` printed")
        response = await handler(request)
        if not response.prepared:
            response.headers["Content-Security-Policy"] = POLICY.format(host=request.headers["Host"])
            response.headers["Referrer-Policy"] = "no-referrer"
        return response

    return check
