"""Writes metrics as text that Prometheus reads: OpenMetrics, or the older text format. By prometheus-client."""

from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from flux_tui.core.errors import FluxError
from flux_tui.metrics.families import Family

if TYPE_CHECKING:
    from prometheus_client.core import Metric

LACKING = "metrics are an extra: pip install 'flux-tui[metrics]'"
MAX_LABEL = 200
"""Characters of a label's value."""


class MetricsError(FluxError):
    """Metrics cannot be written or served. The message is one sentence for a person."""


def needed() -> None:
    """Raise MetricsError if what metrics need is not installed."""
    if find_spec("h11") is None or find_spec("prometheus_client") is None:
        raise MetricsError(LACKING)


class _Families:
    """A collector of prometheus-client that has these families, and those of this process if it is a node's."""

    def __init__(self, families: Iterable[Family], *, with_process: bool) -> None:
        self._families = families
        self._with_process = with_process

    def collect(self) -> "Iterable[Metric]":
        from prometheus_client import ProcessCollector
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily

        for family in self._families:
            match family.kind:
                case "info":
                    (sample,) = family.samples
                    labels = dict(zip(family.labels, map(_label, sample.labels), strict=True))
                    yield InfoMetricFamily(family.name, family.meaning, labels)
                    continue
                case "counter":
                    made: Metric = CounterMetricFamily(family.name, family.meaning, labels=family.labels)
                case "gauge":
                    made = GaugeMetricFamily(family.name, family.meaning, labels=family.labels)
            suffix = "_total" if family.kind == "counter" else ""
            for sample in family.samples:
                labels = dict(zip(family.labels, map(_label, sample.labels), strict=True))
                made.add_sample(family.name + suffix, labels, sample.value)
            yield made
        if self._with_process:
            yield from ProcessCollector(registry=None).collect()


def _label(text: str) -> str:
    return text[:MAX_LABEL]


def openmetrics(families: Sequence[Family]) -> bytes:
    """Return metrics as OpenMetrics text. Raises MetricsError without the extra."""
    needed()
    from prometheus_client.openmetrics.exposition import generate_latest

    return bytes(generate_latest(_Families(families, with_process=False)))  # type: ignore[no-untyped-call]


def prometheus_text(families: Sequence[Family]) -> bytes:
    """Return metrics in Prometheus's older text format, as node_exporter's textfile collector reads it.

    Raises MetricsError without the extra.
    """
    needed()
    from prometheus_client import generate_latest

    return bytes(generate_latest(_Families(families, with_process=False)))


def for_scrape(families: Sequence[Family], accept: str) -> tuple[bytes, str]:
    """Return metrics, with those of this process, in the best format that an `Accept` header names, and its type."""
    from prometheus_client.exposition import choose_encoder

    encode, content_type = choose_encoder(accept)
    return bytes(encode(_Families(families, with_process=True))), content_type
