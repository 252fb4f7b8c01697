"""Addresses that a person names for this node."""

import pytest

from flux_tui.net.addresses.listening import announced_addr
from flux_tui.net.port import NetworkError

ME = "12D3KooWLy3kGyk3jJnoKXUhcf8DTeGMdYDmNzDwCbivH3pxkWAS"


@pytest.mark.parametrize("addr", ["/ip4/203.0.113.5/tcp/4001", "/ip6/2001:db8::1/tcp/4001"])
def test_an_announced_address_may_have_this_nodes_id_at_its_end(addr: str) -> None:
    assert announced_addr(addr, ME) == announced_addr(f"{addr}/p2p/{ME}", ME) == addr


@pytest.mark.parametrize(
    "addr",
    [
        "nonsense", "203.0.113.5:4001", "/ip4/203.0.113.5/tcp/0", "/ip4/203.0.113.5/tcp/99999", "/ip4/x/tcp/1",
        "/dns4/home.example/tcp/4001", "/ip4/203.0.113.5/udp/4001", f"/ip4/203.0.113.5/tcp/1/p2p/{ME[:-1]}x",
    ],
)  # fmt: skip
def test_other_addresses_cannot_be_announced(addr: str) -> None:
    with pytest.raises(NetworkError, match="cannot announce"):
        announced_addr(addr, ME)
