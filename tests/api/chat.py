"""A chat that shows who is there. What was said, also by this node, is in the series.

chat.py HOME NAME [ADDR]
"""

import json
import sys

import trio

from flux_tui import Custom, CustomReceived, FluxNode, Join, PeerDisconnected, Settings


async def main(home: str, name: str, addr: str | None = None) -> None:
    async with FluxNode.open(home, Settings.local()) as node:
        here: dict[str, str] = {}

        @node.on(CustomReceived, kind="chat.here")
        def _(event: CustomReceived) -> None:
            if here.setdefault(event.peer, event.payload.decode()) and event.via == "gossip":
                node.answer(event.peer, "chat.here", name.encode())

        @node.on(CustomReceived, kind="chat.say")
        def _(event: CustomReceived) -> None:
            print(f"<{here.get(event.peer, '?')}> {json.loads(event.payload)}", flush=True)

        @node.on(PeerDisconnected)
        def _(event: PeerDisconnected) -> None:
            print(f"* {here.pop(event.peer, '?')} is gone", flush=True)

        if addr:
            node.push_intent(Join(addr))
        node.push_intent(Custom("chat.here", name.encode()))
        async for line in trio.wrap_file(sys.stdin):
            node.push_intent(Custom("chat.say", json.dumps(line.rstrip()).encode()))


if __name__ == "__main__":
    trio.run(main, *sys.argv[1:])
