"""A build cache for one machine of a swarm: results are kept, and the oldest go when there is no room.

    build_cache.py HOME ROOM put FOLDER | get TICKET OUT SECONDS | list

`put` shares a folder and prints its ticket; `get` fetches a ticket into a folder; `list` shows what is kept.
"""

import sys
from pathlib import Path

import trio

from flux_tui import (
    Add,
    FluxError,
    FluxNode,
    Get,
    Join,
    Remove,
    Settings,
    Ticket,
    format_ticket,
    parse_ticket,
)


async def evict(node: FluxNode, room: int) -> int:
    """Stop keeping the oldest results until all fit into `room` bytes. Return the bytes that were freed."""
    kept = sorted((one for one in node.objects() if one.completed_at), key=lambda one: one.completed_at or 0)
    freed = 0
    while kept and sum(one.size or 0 for one in kept) > room:
        freed += (await node.outcome(Remove((kept.pop(0).root,)))).size
    return freed


async def put(node: FluxNode, folder: Path, room: int) -> str:
    """Share a result, make room, and return its ticket."""
    added = await node.outcome(Add(folder))
    await evict(node, room)
    return format_ticket(Ticket(added.root, added.name, added.size, node.addrs))


async def get(node: FluxNode, word: str, out: Path, seconds: float) -> bool:
    """Fetch a result. Return whether it came in time."""
    ticket = parse_ticket(word)
    try:
        with trio.fail_after(seconds):
            for addr in ticket.addrs:
                node.push_intent(Join(addr))
            await node.outcome(Get(ticket.root, out))
    except (trio.TooSlowError, FluxError) as error:
        print("MISS", str(error) or node.why(ticket.root))
        return False
    return True


async def main(home: str, room: str, verb: str, *rest: str) -> int:
    async with FluxNode.open(home, Settings.local(), commands=True) as node:
        match verb, rest:
            case "put", (folder,):
                print(await put(node, Path(folder), int(room)), flush=True)
                await node.stopping.wait()  # `flux-tui stop --home HOME`
            case "get", (word, out, seconds):
                return 0 if await get(node, word, Path(out), float(seconds)) else 1
            case "list", ():
                for one in node.objects():
                    print(one.root, one.size, one.path)
    return 0


if __name__ == "__main__":
    raise SystemExit(trio.run(main, *sys.argv[1:]))
