"""What the status of a gateway means."""

import pytest

from flux_tui.net.gateways.gateway_answers import refusal
from flux_tui.net.gateways.with_gateways import BadGatewayError, gateway_base, gateway_peer_id

NOW = 1_800_000_000.0


@pytest.mark.parametrize(
    ("status", "retry", "reason", "seconds"),
    [
        (404, None, "not_held", None),
        (410, None, "not_held", None),
        (429, "7", "rate_limited", 7.0),
        (429, None, "rate_limited", 10.0),
        (429, "Fri, 15 Jan 2027 08:00:30 GMT", "rate_limited", 30.0),
        (429, "Fri, 15 Jan 1999 08:00:30 GMT", "rate_limited", 0.0),
        (429, "soon", "rate_limited", 10.0),
        (429, "99999999999999999999", "rate_limited", 600.0),
        (429, "Fri, 15 Jan 99999999999 08:00:30 GMT", "rate_limited", 10.0),
        (429, "Fri, 15 Jan 2027 08:00:99999999999999999999 GMT", "rate_limited", 10.0),
        (503, "120", "busy", 120.0),
        (504, None, "busy", 30.0),
        (403, None, "denied", None),
        (451, None, "denied", None),
        (418, None, "not_held", None),
        (302, None, "not_held", None),
    ],
)
def test_a_status_is_a_no_with_a_reason(
    status: int, retry: str | None, reason: str, seconds: float | None
) -> None:
    no = refusal(status, {} if retry is None else {"retry-after": retry}, NOW)
    assert no is not None
    assert (no.reason, no.retry_after) == (reason, seconds)
    assert refusal(200, {}, NOW) is None


def test_an_address_is_that_of_a_gateway_or_is_refused() -> None:
    assert gateway_base("HTTPS://Gateway.example:8443/ipfs/x?y") == "https://gateway.example:8443"
    assert gateway_base("http://[::1]:80") == "http://[::1]:80"
    assert gateway_peer_id("https://a").startswith("Qm")
    for bad in ("ftp://x", "https://", "https://user:secret@x", "http://[::1", "https://x:99999", "x"):
        with pytest.raises(BadGatewayError):
            gateway_base(bad)
