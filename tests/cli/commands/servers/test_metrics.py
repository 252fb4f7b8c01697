"""`flux-tui metrics`, and the endpoint of a node that the command line started."""

import json
import urllib.request
from pathlib import Path

from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from flux_tui.core.ids import raw_cid
from flux_tui.home import Home
from tests.bench.nodes import LISTEN, flux, wait_for

WANTED = raw_cid(b"nobody has this")


def samples(text: str) -> dict[str, float]:
    found = parse_openmetrics(text)  # type: ignore[no-untyped-call]
    return {one.name: one.value for family in found for one in family.samples if not one.labels}


def test_the_metrics_of_a_home_that_nobody_runs_and_of_one_that_runs(tmp_path: Path) -> None:
    home, film = Home(tmp_path / "home"), tmp_path / "film"
    assert "there is nothing at" in flux("metrics", home=home.path, check=False).stderr
    home.prepare()
    home.settings.write_text("low_priority = false\n")  # a busy machine would start it late
    film.write_bytes(b"film" * 1000)
    flux("add", str(film), home=home.path)
    flux("want", WANTED, "--metrics", "0", "--log-level", "info", "--log-json", *LISTEN, home=home.path)
    try:
        lines = [json.loads(line) for line in home.node_log.read_text().splitlines()]
        (told,) = [line for line in lines if line["message"].startswith("metrics are at ")]
        assert (told["level"], told["logger"]) == ("info", "flux_tui.node.serve")
        with urllib.request.urlopen(told["message"].rpartition(" ")[2], timeout=60) as answer:
            scraped = {one.name: one.value for family in parse_text(answer.read().decode())
                       for one in family.samples if not one.labels}  # fmt: skip
        assert (scraped["flux_tui_up"], scraped["flux_tui_stored_bytes"]) == (1, 4000)
        assert scraped["flux_tui_upload_queue_bytes"] == 0
        assert scraped["flux_tui_stored_chunks"] == 1
        running = samples(flux("metrics", home=home.path).stdout)
        assert (running["flux_tui_up"], running["flux_tui_stored_bytes"]) == (1, 4000)
        again = flux("want", WANTED, "--metrics", "9464", home=home.path, check=False)
        assert "runs already, and without --metrics 9464" in again.stderr
    finally:
        flux("stop", home=home.path)
    wait_for(lambda: home.running() is None, seconds=60)
    offline = samples(flux("metrics", home=home.path).stdout)
    assert (offline["flux_tui_up"], offline["flux_tui_stored_bytes"]) == (0, 4000)
    assert offline["flux_tui_disk_free_bytes"] > 0
    lines = [json.loads(line) for line in flux("metrics", "--json", home=home.path).stdout.splitlines()]
    by_name = {line["name"]: line for line in lines}
    assert by_name["flux_tui_stored_bytes"] == {
        "name": "flux_tui_stored_bytes", "kind": "gauge", "labels": {}, "value": 4000,
    }  # fmt: skip
    older = flux("metrics", "--format", "prometheus", home=home.path).stdout
    assert "flux_tui_stored_bytes 4000.0" in older
    assert "# EOF" not in older


def test_a_node_that_cannot_serve_metrics_says_so_and_does_not_start(tmp_path: Path) -> None:
    for at, words in (
        ("192.0.2.7:9464", "cannot serve metrics at 192.0.2.7:9464"),
        ("x:y", "expected a port, or"),
    ):
        failed = flux("node", "--metrics", at, "--log-json", *LISTEN, home=tmp_path / "home", check=False)
        assert failed.returncode == 1
        assert words in failed.stderr
