"""Percentiles over the last 5 minutes, hour and day, in constant memory.

Each window is a ring of slices, and each slice is a DDSketch (Masson, Rim and Lee 2019): it counts values in bins
between powers of a base, so every percentile is within `RELATIVE_ERROR` of a measured value. A window evicts whole
slices, so it covers its time and at most one slice more.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ddsketch import LogCollapsingLowestDenseDDSketch as Sketch

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

RELATIVE_ERROR = 0.01
BINS_MAX = 512
"""Bins of a sketch: if values differ by more than a factor of 28,000, the lowest share a bin."""
ZEROS = -(2**31)
"""The key for values of 0, which a sketch counts separately; no real bin has such a low key."""
SHARES = {"p50": 0.50, "p95": 0.95, "p99": 0.99}
WINDOWS: Mapping[str, tuple[float, int]] = {"5m": (30.0, 10), "1h": (300.0, 12), "24h": (3600.0, 24)}
"""By name: the seconds of a slice, and the number of slices in the window."""


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
    """Percentiles of several durations by name. `clock` gives seconds and is monotonic."""

    def __init__(self, names: Iterable[str], clock: Callable[[], float]) -> None:
        self._clock = clock
        self._windows = {name: {window: _Window(*shape) for window, shape in WINDOWS.items()} for name in names}

    def add(self, name: str, seconds: float) -> None:
        """Add a duration; values below 0 or of a day and more are ignored."""
        if 0 <= seconds < 86_400:
            now = self._clock()
            for window in self._windows[name].values():
                window.add(seconds, now)

    def merged(self, window: str) -> dict[str, Sketch]:
        """The sketch of the window by name."""
        now = self._clock()
        return {name: windows[window].merged(now) for name, windows in self._windows.items()}

    def in_ms(self, window: str) -> dict[str, dict[str, float | int]]:
        """The count and the percentiles in milliseconds of the window, by name."""
        return {name: summary_of(sketch) for name, sketch in self.merged(window).items()}


def summary_of(sketch: Sketch) -> dict[str, float | int]:
    """The count and the percentiles in milliseconds of a sketch."""
    if not sketch.count:
        return {"count": 0}
    summary: dict[str, float | int] = {"count": round(sketch.count)}
    for name, share in SHARES.items():
        summary[name] = round((sketch.get_quantile_value(share) or 0.0) * 1000, 1)
    return summary


def bins_of(sketch: Sketch) -> dict[int, float]:
    """The count of each bin, so that another process can rebuild the sketch; values of 0 under `ZEROS`."""
    store = sketch._store
    bins = {store.offset + index: count for index, count in enumerate(store.bins) if count}
    if sketch._zero_count:
        bins[ZEROS] = sketch._zero_count
    return bins


def sketch_of(bins: Mapping[int, float]) -> Sketch:
    """The sketch of `bins_of`, with the same percentiles."""
    sketch = Sketch(RELATIVE_ERROR, BINS_MAX)
    for key, count in bins.items():
        sketch.add(0.0 if key == ZEROS else sketch._mapping.value(key), count)
    return sketch


def merged_sketch(sketches: Iterable[Sketch]) -> Sketch:
    """One sketch of all the values of `sketches`."""
    whole = Sketch(RELATIVE_ERROR, BINS_MAX)
    for sketch in sketches:
        whole.merge(sketch)
    return whole
