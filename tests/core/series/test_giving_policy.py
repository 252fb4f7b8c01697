"""The policy: its rate limits, its changes, and the table of its fields."""

from typing import Annotated, Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from flux_tui.core.api import commands as cmd
from flux_tui.core.ids import PeerId, raw_cid
from flux_tui.core.series import events as ev
from flux_tui.core.series.giving_policy import (
    BURST_SECONDS,
    POLICY,
    ObjectRule,
    Policy,
    PolicyChange,
    rate_limit,
)
from flux_tui.core.series.settings_table import Kind, Spec, table
from flux_tui.core.text.phrases import policy_words
from tests.support.script import ME, OTHER, Script

MIB = 1 << 20
CHUNKS = [raw_cid(b"chunk %d" % number) for number in range(64)]
HELD = dict.fromkeys(CHUNKS, MIB)
PEERS = [PeerId(f"12D3KooW{name * 44}") for name in "ABC"]

# ── the bucket ──────────────────────────────────────────────────────────────────────────────────


@given(
    st.integers(1, 10**9),
    st.lists(st.tuples(st.integers(1, 4 * MIB), st.floats(0, 0.01)), min_size=1, max_size=50),
)
def test_uploads_stay_within_the_rate_and_one_burst(rate: int, spent: list[tuple[int, float]]) -> None:
    bucket, now, total = rate_limit(rate, 0.0), 0.0, 0
    for amount, late in spent:
        now += bucket.wait(now) + late
        assert total <= rate * (now + BURST_SECONDS) + 1e-3 * rate, "what left before"
        bucket.take(amount, now)
        total += amount


def test_a_rate_of_0_does_not_limit() -> None:
    bucket = rate_limit(0, 5.0)
    bucket.take(1e9, 6.0)
    assert (bucket.wait(7.0), bucket.wait(7.0, 1e12)) == (0.0, 0.0)


def test_a_changed_policy_is_written_to_the_series() -> None:
    script = Script(HELD, upload_limit=5)
    assert script.machine.state.policy == Policy(upload_limit=5)
    assert script.machine.ledger.me == ME
    assert not any(isinstance(e.event, ev.PolicyChanged) for e in Script(HELD).series)


# ── the table of limits ─────────────────────────────────────────────────────────────────────────


def other_value(name: str) -> Any:
    value = getattr(Policy(), name)
    if name in ("allow_object", "deny_object"):
        return (ObjectRule(CHUNKS[0], OTHER), ObjectRule(CHUNKS[0]))
    return (OTHER,) if isinstance(value, tuple) else value + 3


@pytest.mark.parametrize("name", POLICY)
def test_every_limit_can_change(name: str) -> None:
    value = other_value(name)
    change = PolicyChange(**{name: value})
    assert change.given() == {name: value}
    assert change.applied(Policy()) == Policy(**{name: value})
    plain = (
        [[CHUNKS[0], OTHER], [CHUNKS[0], None]]
        if name in ("allow_object", "deny_object")
        else [OTHER]
        if value == (OTHER,)
        else value
    )
    assert msgspec.json.decode(msgspec.json.encode(change)) == {name: plain}
    encoded = cmd.encode_command(cmd.Configure(change))
    assert cmd.decode_command(encoded) == cmd.Configure(change)


@pytest.mark.parametrize("name", POLICY)
def test_every_limit_is_said(name: str) -> None:
    said = policy_words(Policy(**{name: other_value(name)}))
    assert said != policy_words(Policy())
    assert "{" not in said


def test_a_limit_below_its_least_is_refused() -> None:
    for name, setting in POLICY.items():
        if not setting.kind.is_list:
            too_small: dict[str, Any] = {name: setting.kind.least - 1}
            with pytest.raises(cmd.BadCommandError, match=f"^{name} cannot be"):
                cmd.check_command(cmd.Configure(PolicyChange(**too_small)))
            least: dict[str, Any] = {name: setting.kind.least}
            cmd.check_command(cmd.Configure(PolicyChange(**least)))


def test_a_field_without_a_spec_is_named() -> None:
    class Wrong(msgspec.Struct):
        number: int = 0

    with pytest.raises(TypeError, match=r"^Wrong\.number has no Spec in its annotation$"):
        table(Wrong)


def test_a_setting_that_is_on_has_an_option_that_turns_it_off() -> None:
    class Some(msgspec.Struct):
        lights: Annotated[bool, Spec(Kind.SWITCH, "Light.")] = True
        dim_them: Annotated[bool, Spec(Kind.SWITCH, "Dim.")] = False
        names: Annotated[tuple[str, ...], Spec(Kind.ADDRS, "Name.", option=None)] = ()

    found = table(Some)
    assert [setting.option for setting in found.values()] == ["--no-lights", "--dim-them", None]
    assert [setting.option_help for setting in found.values()] == ["Light.", "Dim.", "Name. Repeatable."]
    assert found["dim_them"].words == "dim them {}"
