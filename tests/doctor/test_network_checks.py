"""Faults of the network, each set up on purpose: routes, ports, mDNS, swarm keys, peers."""

import json
import os
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import trio

from flux_tui.config import Settings
from flux_tui.core.series.events import Entry, ErrorOccurred, TriedAddr
from flux_tui.core.series.fold import apply
from flux_tui.core.series.state import State
from flux_tui.core.text.names import short_addr
from flux_tui.doctor import network_checks
from flux_tui.doctor.checkup import Patient
from flux_tui.doctor.swarm_probe import ask_for_key
from flux_tui.home import Home
from flux_tui.net.flux.peer_links import SMALL_ONLY
from flux_tui.node.node import FluxNode
from tests.support.nodes_here import LOOPBACK

NETWORK = """
    ip link set lo up && ip link add one type veth peer name two && ip link set two up && ip link set one up
    ip addr add 10.9.8.7/24 dev one && sysctl -qw net.ipv6.conf.all.disable_ipv6=1 || exit 99
"""
"""A machine with one local network."""
BLOCK = (
    "nft add table ip t && nft add chain ip t c '{ type filter hook %s priority 0; }' && "
    "nft add rule ip t c udp dport 5353 drop"
)
KEY = "/key/swarm/psk/1.0.0/\n/base16/\n" + "%s" * 64 + "\n"


def doctor_in_a_network(home: Path, script: str, *arguments: str) -> dict[str, list[str]]:
    """Run the doctor in a network namespace of its own. Return what it found, by check."""
    if os.geteuid() != 0 or sys.platform != "linux":
        pytest.skip("a network of its own needs root and Linux")
    if missing := [name for name in ("unshare", "ip", "nft") if shutil.which(name) is None]:
        pytest.skip(f"these programs are not installed: {', '.join(missing)}")
    words = " ".join([sys.executable, "-m", "flux_tui", "doctor", "--json", "--home", str(home), *arguments])
    done = subprocess.run(
        ["unshare", "-n", "sh", "-c", f"{NETWORK}\n{script} || exit 99\nexec {words}"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    if done.returncode == 99:
        pytest.skip(f"this machine cannot make such a network: {done.stderr.strip()}")
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert done.returncode == any(one["verdict"] == "wrong" for one in found), done.stderr
    return {one["check"]: [one["verdict"], one["text"]] for one in found}


def test_no_default_route_and_mdns_that_is_blocked(tmp_path: Path) -> None:
    checks = ("--only", "route", "--only", "mdns")
    found = doctor_in_a_network(tmp_path, BLOCK % "input", *checks)
    assert found["route"][0] == "wrong"
    assert found["route"][1].startswith(
        "this machine has no default route, so it reaches its local network only"
    )
    assert found["mdns"][0] == "wrong"
    assert found["mdns"][1].startswith(
        "mDNS is blocked: queries to UDP port 5353 do not come back on 10.9.8.7"
    )
    found = doctor_in_a_network(tmp_path, BLOCK % "output", *checks)
    assert found["mdns"][0] == "wrong"
    found = doctor_in_a_network(tmp_path, "ip route add default via 10.9.8.1", *checks)
    assert found["route"] == ["ok", "there is a default route, by one"]
    assert found["mdns"] == ["ok", "mDNS works on 10.9.8.7"]


def test_a_node_for_this_machine_alone_needs_no_network(tmp_path: Path) -> None:
    patient = Patient(Home(tmp_path), LOOPBACK)
    assert network_checks.check_route(patient)[0] == "unknown"
    assert network_checks.check_mdns(patient) == ("unknown", "mDNS is off by the settings (mdns, --no-mdns)")


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    home = Home(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        named = Settings(listen=(f"/ip4/127.0.0.1/tcp/{port}",))
        verdict, text = network_checks.check_port(Patient(home, named))
        assert verdict == "wrong"
        assert text.startswith(f"another program has the port of /ip4/127.0.0.1/tcp/{port}: end it")
        home.remember_port(port)
        verdict, text = network_checks.check_port(Patient(home, Settings()))
        assert verdict == "wrong"
        assert text.startswith(f"another program has the port {port} that this home used last")
        verdict, text = network_checks.check_port(Patient(home, Settings(metrics=f"127.0.0.1:{port}")))
        assert verdict == "wrong"
        assert text.startswith(f"the port for metrics, 127.0.0.1:{port}, is in use by another program")
    assert network_checks.check_port(Patient(home, named))[0] == "ok"
    for listen, words in (
        ("/ip4/192.0.2.7/tcp/1", "the node cannot listen at"),
        ("nonsense", "expected a multiaddr"),
    ):
        verdict, text = network_checks.check_port(Patient(home, Settings(listen=(listen,))))
        assert (verdict, words in text) == ("wrong", True)


async def test_a_wrong_swarm_key(tmp_path: Path) -> None:
    """Nodes with a key, with another one and without one, each seen from each."""
    for name, digit in (("a", "1"), ("b", "2")):
        (tmp_path / f"{name}.key").write_text(KEY % tuple(digit * 64))
    keys = {name: str(tmp_path / f"{name}.key") for name in "ab"} | {"": ""}
    private = Settings(listen=LOOPBACK.listen, mdns=False, swarm_key=keys["a"])
    async with (
        FluxNode.open(tmp_path / "one", private) as one, FluxNode.open(tmp_path / "two", LOOPBACK) as two
    ):  # fmt: skip
        for addr, name, verdict, words in (
            (one.addrs[0], "a", "ok", "has the same swarm key"),
            (
                one.addrs[0],
                "b",
                "wrong",
                f"the swarm key {keys['b']} is a wrong one for {one.addrs[0]}: copy the file",
            ),
            (
                one.addrs[0],
                "",
                "wrong",
                "is in a private swarm, and this node has no key: give it with --swarm-key",
            ),
            (two.addrs[0], "b", "wrong", "has no swarm key, and this node has"),
            (two.addrs[0], "", "ok", "has no swarm key either"),
        ):
            settings = Settings(join=(addr,), swarm_key=keys[name])
            with trio.fail_after(60):
                found = await trio.to_thread.run_sync(
                    network_checks.check_swarm_key, Patient(Home(tmp_path), settings)
                )
            assert found[0] == verdict, found
            assert words in found[1]


def test_a_swarm_key_that_is_none(tmp_path: Path) -> None:
    (tmp_path / "bad.key").write_text("hello")
    for name, words in (("bad.key", "is not a swarm key"), ("none.key", "cannot be read")):
        verdict, text = network_checks.check_swarm_key(Patient(Home(tmp_path), Settings(swarm_key=name)))
        assert (verdict, words in text, "copy the file from another node" in text) == ("wrong", True, True)


def test_an_address_where_no_node_is(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    for addr in (
        f"/ip4/127.0.0.1/tcp/{port}",
        "",
        "/ip4/x/tcp/y",
        "/ip4/127.0.0.1/udp/1",
        "/dns4/a/tcp/99999999",
    ):
        assert ask_for_key(addr, None) == "silent"


async def test_no_peers(tmp_path: Path) -> None:
    home = Home(tmp_path / "home")
    async with FluxNode.open(home, LOOPBACK) as node:
        state = node.derive_state()

        async def found(state: State, after: float) -> tuple[str, str]:
            patient = Patient(home, LOOPBACK, state=state, now=lambda: time.time() + after)
            return await trio.to_thread.run_sync(network_checks.check_peers, patient)

        assert (await found(state, 0.0))[0] == "unknown", "it has just started"
        verdict, text = await found(state, 90.0)
        assert verdict == "wrong"
        assert text.startswith("no peer is connected, ")
        assert text.endswith("and this node knows none to dial: name one with --join or a ticket")
        tried = State(tried=(TriedAddr("/ip4/1", "nobody listens there"),), started_at=1.0, running=True)
        verdict, text = await found(tried, 0.0)
        assert (await found(State(started_at=1.0), 0.0))[0] == "unknown", "it has not said that it started"
        assert text.startswith(
            "no peer is connected, and /ip4/1 does not answer (nobody listens there): start"
        )
        async with FluxNode.open(tmp_path / "other", Settings(
            listen=LOOPBACK.listen, mdns=False, join=node.addrs[:1]
        )):  # fmt: skip
            with trio.fail_after(60):
                while not node.derive_state().connected:  # noqa: ASYNC110
                    await trio.sleep(0.05)
            connected = node.derive_state()
            assert await found(connected, 90.0) == ("ok", "1 peer is connected")
            (peer,) = connected.peers.values()
            lost = ErrorOccurred(text=f"{peer.addr} {SMALL_ONLY}", addr=peer.addr, code="small_packets")
            apply(connected, Entry(connected.seq + 1, time.time(), lost))
            verdict, text = await found(connected, 90.0)
            assert verdict == "wrong"
            assert text == f"{short_addr(peer.addr)} {SMALL_ONLY}"
    verdict, text = network_checks.check_peers(Patient(home, LOOPBACK, state=state))
    assert (verdict, "no node of this home runs" in text) == ("unknown", True)
