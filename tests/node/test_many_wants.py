"""Thousands of wants that nobody can answer, pushed at once: their costs are in proportion, and the node goes on."""

import os
import time
from pathlib import Path

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import Cid, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.node.node import FluxNode
from tests.support.nodes_here import LOOPBACK, series_of, share, until

FEW, MANY = 2_000, 8_000


def dead(count: int) -> list[Cid]:
    return [raw_cid(os.urandom(16)) for _ in range(count)]


async def cost_of(home: Path, count: int) -> tuple[float, int, int]:
    """Return seconds of processor, entries, and bytes of the database, of `count` wants."""
    async with FluxNode.open(home, LOOPBACK) as node:
        begin, entries = time.thread_time(), node.derive_state().seq
        for part in cmd.in_parts(dead(count)):
            node.push_intent(cmd.WantMany(part))
        await until(lambda: node.count_pending() == count)
        await until(lambda: len(series_of(node)) == node.derive_state().seq)
        spent = time.thread_time() - begin
        entries = node.derive_state().seq - entries
    return spent, entries, sum(path.stat().st_size for path in home.rglob("*") if path.is_file())


async def test_dead_wants_cost_in_proportion_to_their_number(tmp_path: Path) -> None:
    few_seconds, few_entries, few_bytes = await cost_of(tmp_path / "few", FEW)
    many_seconds, many_entries, many_bytes = await cost_of(tmp_path / "many", MANY)
    assert many_entries <= 1.2 * MANY / FEW * few_entries
    assert many_bytes <= 1.2 * MANY / FEW * few_bytes
    assert many_bytes < 400 * MANY
    # In proportion it is four times as much, by the square 16 times. Other work on the machine may double it.
    assert many_seconds < 10 * few_seconds + 1.0


async def test_a_node_with_thousands_of_dead_wants_fetches_what_can_be_had(tmp_path: Path) -> None:
    (tmp_path / "film.mkv").write_bytes(os.urandom(100_000))
    async with FluxNode.open(tmp_path / "a", LOOPBACK) as a, FluxNode.open(tmp_path / "b", LOOPBACK) as b:
        root = await share(a, tmp_path / "film.mkv")
        b.push_intent(cmd.Join(a.addrs[0]))
        await until(lambda: b.derive_state().connected == 1)
        for part in cmd.in_parts(dead(MANY)):
            b.push_intent(cmd.WantMany(part))
        b.push_intent(cmd.Want(root))
        assert b.count_pending() == MANY + 1
        await until(lambda: b.count_pending() == MANY)
        assert b.check_if_arrived(root) is not None
        assert b.derive_state().connected == 1
        for node in (a, b):
            assert not [entry for entry in series_of(node) if isinstance(entry.event, ev.PeerFaulted)]
