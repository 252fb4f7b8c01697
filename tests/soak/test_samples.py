"""The arithmetic of the soak: growth is detected, and noise is ignored."""

import random

from tests.soak.samples import Sample, growth, last_run, per_hour, share_of_peace


def series(figures: list[float]) -> list[Sample]:
    return [Sample(float(at), int(figure), 20, 4, 0) for at, figure in enumerate(figures)]


def test_steady_growth_is_detected() -> None:
    assert growth(series([1000.0 + 10 * at for at in range(100)]), lambda one: one.rss) == 350


def test_noise_and_growth_only_at_the_start_are_not_growth() -> None:
    chance = random.Random(1)
    noisy = [1000 + chance.uniform(-50, 50) for _ in range(300)]
    assert abs(growth(series(noisy), lambda one: one.rss)) < 20
    assert growth(series([min(1000.0, 50.0 * at) for at in range(100)]), lambda one: one.rss) == 0


def test_too_few_samples_are_not_growth() -> None:
    assert growth([], lambda one: one.rss) == 0
    assert growth(series([5.0]), lambda one: one.rss) == 0


def test_only_the_last_run_of_a_node_and_the_growth_of_its_disk_count() -> None:
    samples = [Sample(at * 60.0, 1000 + at, 20, 4, 500 * at, run=at // 40) for at in range(100)]
    assert [one.run for one in last_run(samples)] == [2] * 20
    assert round(per_hour(samples, lambda one: one.disk)) == 30_000
    assert per_hour(samples[:1], lambda one: one.disk) == 0


def test_a_busy_machine_is_not_a_slow_node() -> None:
    calm, busy = [(4.0, 4.0)] * 3, [(16.0, 17.0), (20.0, 20.0), (5.0, 4.0)]
    assert share_of_peace(calm) == 1
    assert share_of_peace(busy) == 1
    assert share_of_peace([(16.0, 4.0)] * 3) == 0.25
