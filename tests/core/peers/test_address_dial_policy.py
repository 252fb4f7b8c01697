"""Which addresses a node dials on the word of which peer, and how often."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.peers import address_dial_policy
from flux_tui.core.peers.address_dial_policy import (
    DialBudget,
    NamedAddrs,
    Reach,
    has_public_ip4,
    is_public,
    may_name,
    reach_of,
    reach_of_ip,
)

PEER = "12D3KooWJWoaqZhDaoEFshF7Rh1bpY9ohihFhzcW6d69Lr2NASuq"

ADDRESSES: list[tuple[str, Reach | None]] = [
    ("127.0.0.1", Reach.LOOPBACK),
    ("127.255.0.9", Reach.LOOPBACK),
    ("::1", Reach.LOOPBACK),
    ("::ffff:127.0.0.1", Reach.LOOPBACK),
    ("::ffff:7f00:1", Reach.LOOPBACK),
    ("64:ff9b::7f00:1", Reach.LOOPBACK),
    ("2002:7f00:1::", Reach.LOOPBACK),
    ("10.1.2.3", Reach.NEAR),
    ("172.16.0.1", Reach.NEAR),
    ("172.31.255.255", Reach.NEAR),
    ("192.168.1.1", Reach.NEAR),
    ("169.254.169.254", Reach.NEAR),
    ("100.64.0.1", Reach.NEAR),
    ("fe80::1", Reach.NEAR),
    ("fe80::1%eth0", Reach.NEAR),
    ("fd00::1", Reach.NEAR),
    ("fc00::1", Reach.NEAR),
    ("::ffff:10.0.0.1", Reach.NEAR),
    ("172.32.0.1", Reach.PUBLIC),
    ("8.8.8.8", Reach.PUBLIC),
    ("192.0.2.7", Reach.PUBLIC),
    ("2001:db8::1", Reach.PUBLIC),
    ("2606:4700:4700::1111", Reach.PUBLIC),
    ("0.0.0.0", None),
    ("0.0.0.1", None),
    ("224.0.0.251", None),
    ("239.1.2.3", None),
    ("255.255.255.255", None),
    ("240.0.0.1", None),
    ("::", None),
    ("ff02::fb", None),
    ("::ffff:224.0.0.1", None),
    ("localhost", None),
    ("1.2.3", None),
    ("1.2.3.4.5", None),
    ("300.1.1.1", None),
    ("0x7f.0.0.1", None),
    ("1::2::3", None),
    ("1:2:3", None),
    ("", None),
]


@pytest.mark.parametrize(("ip", "reach"), ADDRESSES)
def test_the_scope_of_an_address(ip: str, reach: Reach | None) -> None:
    assert reach_of_ip(ip) == reach


@given(st.ip_addresses())
def test_a_global_address_is_never_called_local_or_invalid_nor_the_reverse(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    reach = reach_of_ip(str(ip))
    if ip.is_loopback:
        assert reach == Reach.LOOPBACK
    elif ip.is_multicast or ip.is_unspecified:
        assert reach is None
    elif ip.is_private and reach == Reach.PUBLIC:
        # Documentation networks belong to nobody. Tests and examples dial them, and nothing answers.
        assert str(ip).startswith(("192.0.2.", "198.51.100.", "203.0.113.", "2001:", "3fff:"))


@given(st.ip_addresses(v=6))
def test_each_way_to_write_an_address_is_the_same(ip: ipaddress.IPv6Address) -> None:
    assert reach_of_ip(ip.compressed) == reach_of_ip(ip.exploded)


def test_the_scope_of_a_multiaddr() -> None:
    assert reach_of(f"/ip4/8.8.8.8/tcp/1/p2p/{PEER}") == Reach.PUBLIC
    assert reach_of(f"/ip4/127.0.0.1/tcp/1/p2p/{PEER}/p2p-circuit/p2p/{PEER}") == Reach.LOOPBACK
    for odd in (
        "", "/", "8.8.8.8", f"/p2p/{PEER}", "/dns4/localhost/tcp/1", "/dnsaddr/example.org", "/ip4/8.8.8.8",
        "/ip4/8.8.8.8/udp/1", "/unix/tmp/x/tcp/1", f"/p2p/{PEER}/p2p-circuit/p2p/{PEER}",
    ):  # fmt: skip
        assert reach_of(odd) is None, odd


def test_which_addresses_a_peer_may_name() -> None:
    def named(teller: Reach) -> list[str]:
        every = ("127.0.0.1", "192.168.1.1", "169.254.1.1", "192.0.2.7", "224.0.0.1", "0.0.0.0")
        return [ip for ip in every if may_name(teller, f"/ip4/{ip}/tcp/4001/p2p/{PEER}")]

    assert named(Reach.PUBLIC) == ["192.0.2.7"]
    assert named(Reach.NEAR) == ["192.168.1.1", "169.254.1.1", "192.0.2.7"]
    assert named(Reach.LOOPBACK) == ["127.0.0.1", "192.168.1.1", "169.254.1.1", "192.0.2.7"]


def test_the_nearest_of_many_sources_of_an_address_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_dial_policy, "MAX_HEARD", 3)
    from_peers = NamedAddrs()
    assert from_peers.teller("/a") == (Reach.PUBLIC, "")
    from_peers.heard("friend", Reach.NEAR, ["/a"])
    from_peers.heard("stranger", Reach.PUBLIC, ["/a", "/b"])
    assert from_peers.teller("/a") == (Reach.NEAR, "friend")
    assert from_peers.teller(f"/b/p2p/{PEER}") == (Reach.PUBLIC, "stranger")
    from_peers.heard("stranger", Reach.PUBLIC, [f"/{number}" for number in range(100)])
    assert len(from_peers) == 3
    assert from_peers.teller("/a") == (Reach.PUBLIC, ""), "forgotten: as from afar"


def dialled(budget: DialBudget, tries: list[tuple[str, str]], now: float = 0.0) -> int:
    return sum(budget.spend(teller, addr, now) is None for teller, addr in tries)


def at(number: int, port: int = 4001) -> str:
    return f"/ip4/192.0.{number // 250}.{number % 250}/tcp/{port}/p2p/{PEER}"


def test_dials_on_the_word_of_one_peer_have_a_budget() -> None:
    budget = DialBudget(0.0)
    tries = [("p", at(number)) for number in range(1200)]
    assert dialled(budget, tries) == 32
    assert dialled(budget, tries, 10.0) == 5
    assert dialled(budget, [("q", at(1300))]) == 1, "another's is its own"


def test_dials_on_the_word_of_all_peers_have_a_budget() -> None:
    tries = [(f"peer {number}", at(number)) for number in range(1200)]
    assert dialled(DialBudget(0.0), tries) == 256


def test_an_endpoint_is_dialled_a_few_times_whoever_names_it() -> None:
    assert dialled(DialBudget(0.0), [(f"peer {number}", at(1)) for number in range(100)]) == 4
    ports = [(f"peer {number}", at(1, 1000 + number)) for number in range(100)]
    assert dialled(DialBudget(0.0), ports) == 16, "a host's ports are not scanned"
    here = [(f"peer {number}", f"/ip4/127.0.0.1/tcp/{1000 + number}") for number in range(100)]
    assert dialled(DialBudget(0.0), here) == 100, "many nodes of one machine"


def test_a_refused_dial_is_reported_at_intervals_with_its_reason() -> None:
    budget = DialBudget(0.0)
    refusals = [budget.spend("p", at(number), 0.0) for number in range(100)]
    told = [one for one in refusals if one is not None and one.news]
    assert len(told) == 1
    assert told[0].text == f"{at(32)} is not dialled: p named more addresses than are dialled for one peer"
    later = [budget.spend("p", at(number), 61.0) for number in range(100)]
    assert sum(one is not None and one.news for one in later) == 1


def test_tables_of_the_dial_permission_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(address_dial_policy, "MAX_BUCKETS", 10)
    budget = DialBudget(0.0)
    for number in range(500):
        budget.spend(f"peer {number}", at(number), float(number))
        budget.is_news(f"reason {number}", 0.0)
    assert max(len(budget._tellers), len(budget._doors), len(budget._told)) <= 10


@pytest.mark.parametrize(
    ("addr", "public", "ip4"),
    [
        ("/ip4/9.9.9.9/tcp/4001/p2p/Q", True, True),
        ("/ip4/9.9.9.9/tcp/4001", True, True),
        ("/ip6/2a01:db9::1/tcp/4001", True, False),
        ("/ip4/192.168.1.2/tcp/4001", False, False),
        ("/ip4/127.0.0.1/tcp/4001", False, False),
        ("/ip4/9.9.9.9/tcp/4001/p2p/Q/p2p-circuit/p2p/R", False, False),
        ("/dns4/x.example/tcp/1", False, False),
        ("", False, False),
    ],
)
def test_an_address_is_public_on_the_internet_and_without_a_relay(addr: str, public: bool, ip4: bool) -> None:
    assert is_public(addr) is public
    assert has_public_ip4(["", addr]) is ip4
