"""The addresses of a node: their order, and that they are current."""

import errno
import json
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import ExitStack
from pathlib import Path

import pytest
import trio
import trio.testing
from libp2p.crypto.ed25519 import create_new_key_pair

from flux_tui.core.api import inputs as inp
from flux_tui.core.content.ticket import parse_ticket
from flux_tui.core.series import events as ev
from flux_tui.core.series.fold import derive
from flux_tui.net.addresses import interfaces, listening, own_addrs
from flux_tui.net.addresses.interfaces import Address, own_ips
from flux_tui.net.addresses.listening import listen_error
from flux_tui.net.addresses.own_addrs import concrete, dialable
from flux_tui.net.flux import libp2p_network
from flux_tui.net.port import OpenNetwork
from tests.bench.nodes import flux, state, wait_for
from tests.support.machines import NETWORK, Machine, ip
from tests.support.networks import Node, Seen, connect
from tests.support.script import Script

PEER = "12D3KooWLy3kGyk3jJnoKXUhcf8DTeGMdYDmNzDwCbivH3pxkWAS"
HEAD = "Iface Destination Gateway Flags RefCnt Use Metric Mask MTU Window IRTT\n"


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., None]:
    """Give this machine some interfaces."""

    def build(
        addresses: dict[str, str],
        routes: str = "",
        unlinked: tuple[str, ...] = (),
        inner: tuple[str, ...] = (),
    ) -> None:
        found = [Address(one, name) for one, name in addresses.items()]
        monkeypatch.setattr(
            interfaces, "_addresses", lambda family: [a for a in found if (":" in a.ip) == (family == "ip6")]
        )
        monkeypatch.setattr(
            interfaces, "inner_bridges", lambda: dict.fromkeys(inner, True) | dict.fromkeys(unlinked, False)
        )
        (tmp_path / "route").write_text(HEAD + routes)
        (tmp_path / "ipv6_route").write_text(
            f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} 00000400 1 0 00000003     wifi\n"
            f"{'0' * 32} 00 {'0' * 32} 00 {'0' * 32} ffffffff 1 0 00200200       lo\n"
        )
        monkeypatch.setattr(interfaces, "PROC", tmp_path)
        monkeypatch.setattr("sys.platform", "linux")

    return build


def test_the_default_route_is_first_and_bridges_without_a_port_are_late(machine: Callable[..., None]) -> None:
    machine(
        {
            "127.0.0.1": "lo", "169.254.3.3": "usb", "172.17.0.1": "docker0", "10.8.0.2": "vpn", "192.168.5.5": "eth",
            "192.168.1.7": "wifi", "fe80::1": "wifi", "2001:db8::7": "wifi", "fd00::9": "eth", "::1": "lo",
        },
        "wifi 00000000 0101A8C0 0003 0 0 600 00000000 0 0 0\n"
        "eth 00000000 0105A8C0 0003 0 0 100 00000000 0 0 0\n"
        "vpn 00000000 00000000 0200 0 0 0 00000000 0 0 0\n"  # an interface that gives an error
        "vpn 0000080A 00000000 0001 0 0 0 00FFFFFF 0 0 0\n",
        unlinked=("docker0",),
    )  # fmt: skip
    assert own_ips("ip4") == [
        "192.168.5.5",
        "192.168.1.7",
        "10.8.0.2",
        "172.17.0.1",
        "169.254.3.3",
        "127.0.0.1",
    ]
    assert own_ips("ip6") == ["2001:db8::7", "fd00::9", "fe80::1", "::1"]


def test_on_other_systems_the_route_to_a_far_address_is_used(
    machine: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    machine({"127.0.0.1": "lo0", "10.0.0.2": "bridge100", "192.168.1.7": "en0"})
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr(interfaces, "_source_address", lambda family: "192.168.1.7")
    assert own_ips("ip4") == ["192.168.1.7", "10.0.0.2", "127.0.0.1"]
    monkeypatch.setattr(interfaces, "_source_address", lambda family: None)
    assert own_ips("ip4")[-1] == "127.0.0.1"


def test_unreadable_routes_do_not_leave_a_node_without_addresses(
    machine: Callable[..., None], tmp_path: Path
) -> None:
    machine({"127.0.0.1": "lo", "192.168.1.7": "wifi"}, "garbage\n")
    assert own_ips("ip4") == ["192.168.1.7", "127.0.0.1"]
    (tmp_path / "route").unlink()
    assert own_ips("ip4") == ["192.168.1.7", "127.0.0.1"]


def test_a_wildcard_is_all_current_addresses_and_no_lost_one(machine: Callable[..., None]) -> None:
    machine({"127.0.0.1": "lo", "192.168.1.7": "wifi", "2001:db8::7": "wifi"})
    assert concrete(["/ip4/0.0.0.0/tcp/1"]) == ["/ip4/192.168.1.7/tcp/1", "/ip4/127.0.0.1/tcp/1"]
    assert concrete(["/ip6/::/tcp/1"]) == ["/ip6/2001:db8::7/tcp/1"]
    assert concrete(["/ip4/127.0.0.3/tcp/1"]) == ["/ip4/127.0.0.3/tcp/1"]
    assert concrete(["/ip4/192.168.9.9/tcp/1"]) == []
    listen = ["/ip4/192.168.1.7/tcp/1", "/ip4/0.0.0.0/tcp/1"]
    found = dialable(listen, PEER)  # type: ignore[arg-type]
    assert found == (f"/ip4/192.168.1.7/tcp/1/p2p/{PEER}", f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}")


def test_both_families_of_one_route_come_before_inner_bridges_and_link_local_ones_are_left_out(
    machine: Callable[..., None], tmp_path: Path
) -> None:
    """What a laptop with Docker, a VPN and temporary IPv6 addresses tells."""
    machine(
        {
            "172.18.0.1": "br-1", "172.17.0.1": "docker0", "169.254.3.3": "wifi", "10.8.0.2": "vpn",
            "2001:db8::dead": "wifi", "2001:db8::9": "wifi", "2001:db8::7": "wifi", "fe80::1": "wifi",
            "192.168.1.7": "wifi", "127.0.0.1": "lo", "::1": "lo",
        },
        "wifi 00000000 0101A8C0 0003 0 0 600 00000000 0 0 0\n",
        unlinked=("docker0",), inner=("br-1",),
    )  # fmt: skip
    (tmp_path / "if_inet6").write_text(
        "20010db800000000000000000000dead 02 40 00 20     wifi\n"
        "20010db8000000000000000000000009 02 40 00 01     wifi\n"
        "20010db8000000000000000000000007 02 40 00 00     wifi\n"
    )
    ips = [addr.split("/")[2] for addr in concrete(["/ip6/::/tcp/1", "/ip4/0.0.0.0/tcp/1"])]
    assert ips[:3] == ["192.168.1.7", "2001:db8::7", "2001:db8::9"]
    assert ips[4:] == ["10.8.0.2", "172.18.0.1", "172.17.0.1", "127.0.0.1", "::1"]


def test_a_machine_with_nothing_but_link_local_addresses_tells_them(machine: Callable[..., None]) -> None:
    machine({"127.0.0.1": "lo", "169.254.3.3": "usb"})
    assert concrete(["/ip4/0.0.0.0/tcp/1"]) == ["/ip4/169.254.3.3/tcp/1", "/ip4/127.0.0.1/tcp/1"]


class World:
    """Networks that come and go, for one node in this process."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.ips = ["127.0.0.1"]
        self.lacks: set[str] = set()
        self._send, self._news = trio.open_memory_channel[None](10)
        monkeypatch.setattr(
            own_addrs, "best_first", lambda families: [("ip4", ip) for ip in self.ips if "ip4" in families]
        )
        lacking = OSError(errno.EADDRNOTAVAIL, "this machine has no such address")
        monkeypatch.setattr(own_addrs, "changes", self._changes)
        monkeypatch.setattr(
            listening, "listen_error", lambda addr: lacking if addr in self.lacks else listen_error(addr)
        )

    async def _changes(self) -> AsyncIterator[None]:
        async for _ in self._news:
            yield

    def change(self, *ips: str) -> None:
        self.ips = list(ips)
        self._send.send_nowait(None)


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    return World(monkeypatch)


def opening(number: int, *listen: str) -> OpenNetwork:
    return libp2p_network.open_network(create_new_key_pair(bytes([number]) * 32), listen, use_mdns=False)


async def test_a_node_reports_its_current_addresses(world: World) -> None:
    seen = Seen()
    async with opening(1, "/ip4/0.0.0.0/tcp/0")(seen) as network:
        assert [addr.split("/")[2] for addr in network.addrs] == ["127.0.0.1"]
        world.change("192.168.5.5", "127.0.0.1")
        await seen.until(lambda: seen.moves)
        assert [addr.split("/")[2] for addr in network.addrs] == ["192.168.5.5", "127.0.0.1"]
        assert seen.moves == [network.addrs]
        world.change("192.168.5.5", "127.0.0.1")
        world.change("127.0.0.1")
        await seen.until(lambda: len(seen.moves) == 2)
        assert [addr.split("/")[2] for addr in seen.moves[-1]] == ["127.0.0.1"]


async def test_a_machine_that_moved_pings_its_connections(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """This holds for a node that listens on loopback only, too: it may have dialled its peers."""
    asked: list[object] = []

    async def probe(connection: object) -> bool:
        await trio.lowlevel.checkpoint()
        asked.append(connection)
        return True

    seen, other = Seen(), Seen()
    listen = "/ip4/127.0.0.1/tcp/0"
    async with opening(1, listen)(seen) as network, opening(2, listen)(other) as another:
        await connect(Node(another, other), Node(network, seen))
        monkeypatch.setattr(libp2p_network, "probe", probe)
        world.change("192.168.5.5", "127.0.0.1")
        await trio.testing.wait_all_tasks_blocked(0.05)
        assert asked
        assert not seen.moves, "it is dialled where it was"


async def test_an_address_that_comes_later_is_listened_on_then(world: World) -> None:
    wanted = "/ip4/127.0.0.1/tcp/0"
    world.lacks = {wanted}
    seen, other = Seen(), Seen()
    async with opening(1, wanted)(seen) as network, opening(2, "/ip4/127.0.0.1/tcp/0")(other) as another:
        assert not network.addrs
        (told,) = seen.failures
        assert told.startswith(
            f"cannot listen on {wanted}: the address is not this machine's; the node listens there"
        )
        world.change("127.0.0.1")
        world.lacks.clear()
        world.change("127.0.0.1")
        await seen.until(lambda: seen.moves)
        await other.until(lambda: another.addrs)
        assert seen.moves[-1] == network.addrs
        await connect(Node(another, other), Node(network, seen))


def test_changed_addresses_are_an_entry_and_are_in_new_tickets() -> None:
    script = Script()
    addrs = ("/ip4/192.168.5.5/tcp/1",)
    assert script.give(inp.AddrsChanged(addrs)) == ([ev.AddrsChanged(addrs=addrs)], [])
    assert script.give(inp.AddrsChanged(addrs)) == ([], [])
    assert derive(script.series).addrs == addrs


# ── machines whose networks come and go ─────────────────────────────────────────────────────────


@pytest.mark.netns
def test_nodes_started_before_the_network_was_up(rooms: tuple[str, str], tmp_path: Path) -> None:
    """Their tickets name the current addresses, and they find each other by mDNS."""
    (tmp_path / "film.mkv").write_bytes(b"a film" * 1000)
    for room in rooms:
        ip("-n", room, "addr", "flush", "scope", "global")
    with ExitStack() as stack:
        a, b = (Machine(room, tmp_path / room[-1]) for room in rooms)
        for machine in (a, b):
            stack.callback(machine.stop)
            assert not [
                addr for addr in machine.told["addrs"] if "/127.0.0.1/" not in addr and "/::1/" not in addr
            ]
        for number, room in enumerate(rooms, 1):
            device = _cable(room)
            ip("-n", room, "addr", "add", f"{NETWORK}.{number}/24", "dev", device)
            ip("-n", room, "route", "replace", "224.0.0.0/4", "dev", device)
        wait_for(lambda: f"/{NETWORK}.1/" in (state(a.home)["addrs"] or [""])[0])
        ticket = json.loads(flux("add", "--json", str(tmp_path / "film.mkv"), home=a.home).stdout)["ticket"]
        assert parse_ticket(ticket).addrs[0].startswith(f"/ip4/{NETWORK}.1/")
        wait_for(lambda: any(peer["connected"] for peer in state(b.home)["peers"]))


def _cable(room: str) -> str:
    """Return the only interface of a namespace besides loopback."""
    shown = subprocess.run(["ip", "-n", room, "-j", "link"], capture_output=True, text=True, check=True)
    return next(str(link["ifname"]) for link in json.loads(shown.stdout) if link["ifname"] != "lo")
