"""Percentiles in bounded memory: near the true ones, and only of what is recent."""

from __future__ import annotations

import random
import sys

import pytest

from voice_trio.observability.percentiles import RELATIVE_ERROR, WINDOWS, Percentiles, bins_of, sketch_of, summary_of


class Clock:
    now = 1_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def test_percentiles_are_within_a_hundredth_of_the_true_ones(clock: Clock) -> None:
    chance = random.Random(1)
    values = [chance.lognormvariate(-0.5, 0.6) for _ in range(20_000)]
    percentiles = Percentiles(["answer"], clock)
    for value in values:
        percentiles.add("answer", value)
    result = percentiles.in_ms("24h")["answer"]
    values.sort()
    assert result["count"] == 20_000
    for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99)):
        true_ms = values[int(share * (len(values) - 1))] * 1000
        assert result[name] == pytest.approx(true_ms, rel=RELATIVE_ERROR + 0.001)


@pytest.mark.parametrize("window", WINDOWS)
def test_a_window_covers_its_time_and_at_most_one_slice_more(clock: Clock, window: str) -> None:
    slice_seconds, slices = WINDOWS[window]
    percentiles = Percentiles(["answer"], clock)
    percentiles.add("answer", 0.1)
    clock.now += slice_seconds * slices
    assert percentiles.in_ms(window)["answer"]["count"] == 1
    clock.now += slice_seconds
    assert percentiles.in_ms(window)["answer"] == {"count": 0}


def test_each_name_has_its_own_and_nonsense_is_left_out(clock: Clock) -> None:
    percentiles = Percentiles(["one", "other"], clock)
    for value in (0.25, -1.0, float("nan"), float("inf"), 1e9):
        percentiles.add("one", value)
    assert percentiles.in_ms("5m") == {
        "one": {"count": 1, "p50": pytest.approx(250, rel=0.01), "p95": pytest.approx(250, rel=0.01)}
        | {"p99": pytest.approx(250, rel=0.01)},
        "other": {"count": 0},
    }


def test_nothing_is_measured_as_nothing(clock: Clock) -> None:
    percentiles = Percentiles(["one"], clock)
    percentiles.add("one", 0.0)
    assert percentiles.in_ms("5m")["one"] == {"count": 1, "p50": 0.0, "p95": 0.0, "p99": 0.0}


@pytest.mark.parametrize("tenths", [0, 1, 6, 10])
def test_what_took_no_time_travels_too(clock: Clock, tenths: int) -> None:
    percentiles = Percentiles(["one"], clock)
    for number in range(100):
        percentiles.add("one", 0.0 if number < tenths * 10 else 0.2)
    sketch = percentiles.merged("5m")["one"]
    assert summary_of(sketch_of(bins_of(sketch))) == summary_of(sketch)
    assert summary_of(sketch)["count"] == 100


def _size(thing: object, seen: set[int]) -> int:
    if id(thing) in seen:
        return 0
    seen.add(id(thing))
    inner = list(thing.values()) if isinstance(thing, dict) else list(thing) if isinstance(thing, list | tuple) else []
    for name in (*getattr(type(thing), "__slots__", ()), "__dict__"):
        if hasattr(thing, name) and not isinstance(thing, type):
            inner.append(getattr(thing, name))
    return sys.getsizeof(thing) + sum(_size(each, seen) for each in inner)


def test_a_hundred_thousand_turns_over_two_days_take_less_than_a_megabyte(clock: Clock) -> None:
    chance = random.Random(2)
    percentiles = Percentiles(["answer"], clock)
    for _ in range(100_000):
        clock.now += 2 * 86_400 / 100_000
        percentiles.add("answer", chance.lognormvariate(-0.5, 1.0))
    size = _size(percentiles, set())
    assert 10_000 < size < 1_000_000
