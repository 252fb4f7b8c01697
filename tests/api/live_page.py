"""A web page that shows a node's series as it grows: what was appended first, then each entry when it comes.

    live_page.py HOME [PORT]        then open the address that it prints

The page gets the entries as server-sent events. After a pause, the browser names the last
one that it got, and nothing is lost.
"""

import asyncio
import json
import sys
from functools import partial

from flux_tui import Entry, entry_report
from flux_tui.aio import FluxNode

PAGE = b"""<!doctype html><title>series</title><pre id=out></pre><script>
new EventSource("/events").onmessage = event => out.append(event.data + "\\n")</script>"""


def line(entry: Entry) -> bytes:
    """Return an entry as one server-sent event. Its text is JSON: the page shows it as text, whoever wrote it."""
    return f"id: {entry.seq}\ndata: {json.dumps(entry_report(entry))}\n\n".encode()


async def serve(node: FluxNode, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        if not head.startswith("GET /events "):
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nConnection: close\r\n\r\n" + PAGE)
            return
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-store\r\n\r\n")
        last = head.lower().partition("last-event-id: ")[2].split("\r\n")[0]
        async for entry in node.follow(after=int(last) if last.isdecimal() else 0):
            writer.write(line(entry))
            await writer.drain()  # a slow browser reads later: the series waits for it
    except (ConnectionError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        pass
    finally:
        writer.close()


async def main(home: str, port: str = "0") -> None:
    async with FluxNode.open(home, commands=True) as node:
        server = await asyncio.start_server(partial(serve, node), "127.0.0.1", int(port))
        print(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", flush=True)
        async with server:
            await node.stopping()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
