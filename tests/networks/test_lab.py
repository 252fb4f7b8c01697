"""The laboratory itself: what the tests of this folder rely on."""

from pathlib import Path

import pytest

from tests.support.network_lab import Lab, Shape, until

pytestmark = pytest.mark.netns


def test_a_host_behind_a_router_reaches_out_and_nobody_reaches_in(lab: Lab) -> None:
    home, internet = lab.lan("192.168.7.0/24"), lab.lan("45.9.0.0/16", gateway=False)
    router, inside, outside = lab.router(internet, home), lab.host("inside"), lab.host("outside")
    inside.plug(home)
    outside.plug(internet)
    assert inside.ping("45.9.0.3") is not None
    assert outside.ping("192.168.7.2") is None
    assert router.ping("192.168.7.2") is not None


def test_a_shaped_cable_delays_loses_and_drops_large_packets(lab: Lab) -> None:
    lan = lab.lan("10.1.0.0/24", "fd00:1::/64")
    near, far = lab.host("near"), lab.host("far")
    cable = near.plug(lan, shape=Shape(delay=0.1))
    far.plug(lan)
    for addr in ("10.1.0.3", "fd00:1::3"):
        seconds = near.ping(addr)
        assert seconds is not None
        assert seconds >= 0.2
    cable.shape(Shape(biggest=1000))
    assert near.ping("10.1.0.3", 900) is not None
    assert near.ping("10.1.0.3", 1200) is None
    cable.shape(Shape(loss=1.0))
    assert near.ping("10.1.0.3") is None


def test_nodes_of_two_hosts_exchange_a_file_and_a_cut_cable_stops_them(lab: Lab, tmp_path: Path) -> None:
    lan = lab.lan("10.1.0.0/24")
    hosts = [lab.host("holder"), lab.host("getter")]
    cables = [host.plug(lan) for host in hosts]
    holder, getter = (host.node("--no-mdns") for host in hosts)
    (tmp_path / "film").write_bytes(bytes(200_000))
    getter.flux("get", holder.add(tmp_path / "film"), "-o", str(tmp_path / "copy"))
    assert (tmp_path / "copy").read_bytes() == bytes(200_000)
    assert getter.connected() == [holder.peer_id]
    cables[0].unplug()
    assert hosts[1].ping("10.1.0.2") is None
    cables[0].mend()
    until(lambda: hosts[1].ping("10.1.0.2"), 5)
    cables[0].cut()
    assert hosts[1].ping("10.1.0.2") is None
