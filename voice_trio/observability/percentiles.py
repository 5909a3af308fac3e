"""Percentiles over the last 5 minutes, hour and day, in memory that does not grow with what is measured.

Each window is a ring of slices, each slice a DDSketch: it keeps no values, only how many fell between two powers of a
base, so that every percentile it tells is within `RELATIVE_ERROR` of a value that was measured. A window forgets slice
by slice: it always covers its time and at most one slice more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ddsketch import LogCollapsingLowestDenseDDSketch as Sketch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

RELATIVE_ERROR = 0.01
BINS_MAX = 512
"""Of a sketch: values that differ by more than a factor of 28,000 share their lowest bins."""
ZEROS = -(2**31)
"""Stands for the bin of what took no time at all: a sketch counts it apart, and no real bin lies so low."""
SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
WINDOWS: Mapping[str, tuple[float, int]] = {"5m": (30.0, 10), "1h": (300.0, 12), "24h": (3600.0, 24)}
"""By name: the seconds of a slice, and how many slices make the window."""


@dataclass(slots=True)
class _Window:
    slice_seconds: float
    slices: int
    ring: dict[int, Sketch] = field(default_factory=dict)

    def add(self, value: float, now: float) -> None:
        number = int(now // self.slice_seconds)
        sketch = self.ring.get(number)
        if sketch is None:
            self._forget(number)
            sketch = self.ring[number] = Sketch(RELATIVE_ERROR, BINS_MAX)
        sketch.add(value)

    def merged(self, now: float) -> Sketch:
        self._forget(int(now // self.slice_seconds))
        return merged_sketch(self.ring.values())

    def _forget(self, number: int) -> None:
        for old in [each for each in self.ring if not number - self.slices <= each <= number]:
            del self.ring[old]


class Percentiles:
    """Of several things by name. `clock` tells seconds and never goes back."""

    def __init__(self, names: Iterable[str], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows = {name: {window: _Window(*shape) for window, shape in WINDOWS.items()} for name in names}

    def add(self, name: str, seconds: float) -> None:
        """Note that something took so long; what is no length of time is left out."""
        if 0 <= seconds < 86_400:
            now = self._clock()
            for window in self._windows[name].values():
                window.add(seconds, now)

    def merged(self, window: str) -> dict[str, Sketch]:
        """By name: what fell into the window."""
        now = self._clock()
        return {name: windows[window].merged(now) for name, windows in self._windows.items()}

    def in_ms(self, window: str) -> dict[str, dict[str, float | int]]:
        """By name: how many within the window, and their percentiles in milliseconds."""
        return {name: described(sketch) for name, sketch in self.merged(window).items()}


def described(sketch: Sketch) -> dict[str, float | int]:
    """How many there are, and their percentiles in milliseconds."""
    if not sketch.count:
        return {"count": 0}
    told: dict[str, float | int] = {"count": round(sketch.count)}
    for name, share in SHARES.items():
        told[name] = round((sketch.get_quantile_value(share) or 0.0) * 1000, 1)
    return told


def bins_of(sketch: Sketch) -> dict[int, float]:
    """How many fell into each bin, for another process to make the sketch anew; zeros under `ZEROS`."""
    store = sketch._store
    bins = {store.offset + index: count for index, count in enumerate(store.bins) if count}
    if sketch._zero_count:
        bins[ZEROS] = sketch._zero_count
    return bins


def sketch_of(bins: Mapping[int, float]) -> Sketch:
    """The sketch of such bins: it tells the same percentiles."""
    sketch = Sketch(RELATIVE_ERROR, BINS_MAX)
    for key, count in bins.items():
        sketch.add(0.0 if key == ZEROS else sketch._mapping.value(key), count)
    return sketch


def merged_sketch(sketches: Iterable[Sketch]) -> Sketch:
    """Of all that was measured, wherever."""
    whole = Sketch(RELATIVE_ERROR, BINS_MAX)
    for sketch in sketches:
        whole.merge(sketch)
    return whole
