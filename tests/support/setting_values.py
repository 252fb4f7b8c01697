"""A value for each kind of setting that is no setting's default: as an option, in TOML, and parsed."""

from typing import Any, NamedTuple

from flux_tui.core.ids import PeerId
from flux_tui.core.series.giving_policy import ObjectRule
from flux_tui.core.series.settings_table import Kind
from tests.core.samples import CID, PEER


class Sample(NamedTuple):
    """One value."""

    typed: str
    """After an option; empty for a switch."""
    toml: str
    parsed: Any


SAMPLES: dict[Kind, Sample] = {
    Kind.RATE: Sample("2MB/s", '"2MB/s"', 2_000_000),
    Kind.SIZE: Sample("1GiB", '"1GiB"', 2**30),
    Kind.COUNT: Sample("6", "6", 6),
    Kind.NUMBER: Sample("3", "3", 3),
    Kind.PATH: Sample("/swarm.key", '"/swarm.key"', "/swarm.key"),
    Kind.NAME: Sample("ada", '"ada"', "ada"),
    Kind.THEME: Sample("nord", '"nord"', "nord"),
    Kind.NOTICE: Sample("osc9", '"osc9"', "osc9"),
    Kind.PEERS: Sample(PEER, f'["{PEER}"]', (PEER,)),
    Kind.OBJECTS: Sample(f"{CID}={PEER}", f'["{CID}={PEER}"]', (ObjectRule(CID, PeerId(PEER)),)),
    Kind.ADDRS: Sample("/a", '["/a"]', ("/a",)),
    Kind.ENDPOINT: Sample("one.example:9464", '"one.example:9464"', "one.example:9464"),
    Kind.HOSTS: Sample("one.example", '["one.example"]', ("one.example",)),
    Kind.LEVEL: Sample("debug", '"debug"', "debug"),
    Kind.KEEP: Sample("30d", '"30d"', "30d"),
    Kind.KEYS: Sample("", '{want = "f2"}', {"want": "f2"}),
}
"""All kinds but SWITCH: what is not the default of a switch depends on it."""


def other(kind: Kind, default: Any) -> Sample:
    """Return a value that is not the default."""
    if kind is Kind.SWITCH:
        return Sample("", "false" if default else "true", not default)
    return SAMPLES[kind]
