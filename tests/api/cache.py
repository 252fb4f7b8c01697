"""A cache of build artifacts: a folder is put in, fetched by its CID within a deadline, and evicted.

cache.py serve HOME FOLDER | get HOME CID ADDR OUT SECONDS | evict HOME CID
"""

import sys
from pathlib import Path

import trio

from flux_tui import Add, FluxError, FluxNode, Get, Join, Remove, Settings, parse_cid


async def main(argv: list[str]) -> int:
    async with FluxNode.open(argv[1], Settings.local()) as node:
        match argv:
            case ["serve", _, folder]:
                added = await node.outcome(Add(Path(folder)))
                print(added.root, node.addrs[0], flush=True)
                await trio.sleep_forever()
            case ["get", _, cid, addr, out, seconds]:
                node.push_intent(Join(addr))
                try:
                    with trio.fail_after(float(seconds)):  # after that, nothing is wanted any more
                        await node.outcome(Get(parse_cid(cid), Path(out)))
                except trio.TooSlowError:
                    print("MISS", node.why(parse_cid(cid)))
                    return 1
                except FluxError as error:
                    print("MISS", error)
                    return 1
            case ["evict", _, cid]:
                gone = await node.outcome(Remove((parse_cid(cid),)))
                print("freed", gone.size)
    return 0


if __name__ == "__main__":
    raise SystemExit(trio.run(main, sys.argv[1:]))
