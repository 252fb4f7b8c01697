"""Checks this machine's clock beside a time server, the clocks of peers, and the series of the home."""

from statistics import median

from flux_tui.core.text.quantities import human_duration
from flux_tui.doctor.checkup import Found, Patient, ok, unknown, wrong
from flux_tui.doctor.sntp import clock_offset

TOLERATED = 60.0
"""Seconds by which a clock may be off. Intents that others pass on are refused from 300 s on."""
FRESH = 24 * 3600.0
"""Seconds for which it counts how far the clock of a peer was off."""
ADVICE = (
    "set it (timedatectl set-ntp true), because peers refuse intents with a wrong time that others pass on"
)


def check_clock(patient: Patient) -> Found:
    """Whether this machine's clock is right."""
    now, state = patient.now(), patient.state
    offset = None if patient.time_server is None else clock_offset(patient.time_server, patient.now)
    if offset is not None and abs(offset) > TOLERATED:
        return wrong(f"the clock is {_off(offset)} what {patient.time_server} says: {ADVICE}")
    if state is not None and offset is None and state.at - now > TOLERATED:
        return wrong(
            f"the clock is {_off(state.at - now)} the newest entry of the series, so it was set back: {ADVICE}"
        )
    if offset is None and (found := _by_peers(patient)) is not None:
        return found
    if offset is not None:
        return ok(f"the clock is right: it differs from {patient.time_server} by {abs(offset):.1f} s")
    if patient.time_server is None:
        return unknown("no time server was asked (--ntp), and no peer has another time")
    return unknown(f"the time server {patient.time_server} does not answer, and no peer has another time")


def _by_peers(patient: Patient) -> Found | None:
    """Return what is wrong by the clocks of peers; None: nothing, as far as they show."""
    if patient.state is None:
        return None
    now = patient.now()
    ahead = [
        peer.clock_ahead for peer in patient.state.peers.values()
        if peer.clock_ahead is not None and peer.clock_seen_at is not None and now - peer.clock_seen_at < FRESH
    ]  # fmt: skip
    if not ahead:
        return None
    middle = median(ahead)
    alike = [one for one in ahead if abs(one - middle) < TOLERATED]
    if len(alike) < 2:
        return wrong(f"the clock is {_off(ahead[-1])} that of a peer: check both, and set the wrong one")
    return wrong(f"the clock is {_off(middle)} those of {len(alike)} peers: {ADVICE}")


def _off(ahead: float) -> str:
    """Return how far this clock is from one that is so many seconds ahead of it."""
    return f"{human_duration(abs(ahead))} {'behind' if ahead > 0 else 'ahead of'}"
