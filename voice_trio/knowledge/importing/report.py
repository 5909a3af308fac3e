"""What an import did, as text: read, unchanged, left out by kind, and what could not be read, by name and reason."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from voice_trio.knowledge.importing.documents import ImportStatus

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.knowledge.importing.documents import ImportResult

NAMED_MAX = 200
"""Files named in each list; of more, the number is said."""


class ImportReport:
    """Collects the results of an import. `left_out` counts files that were not tried, by kind."""

    def __init__(self, left_out: Counter[str] | None = None) -> None:
        self._files_left_out = Counter(left_out or ())
        self._parts_left_out: Counter[str] = Counter()
        self._statuses: Counter[ImportStatus] = Counter()
        self._passages = 0
        self._unreadable: list[str] = []
        self._incomplete: list[str] = []
        self._remarks: list[str] = []

    def add(self, result: ImportResult) -> None:
        """Count the result of one file."""
        self._statuses[result.status] += 1
        self._passages += result.chunks
        path = str(result.path)
        if result.status is ImportStatus.UNREADABLE:
            self._unreadable.append(f"{path}: {result.problem}")
        self._incomplete += (f"{path}: {part}" for part in result.lost)
        self._remarks += (f"{path}: {text}" for text in result.remarks)
        self._parts_left_out.update(dict.fromkeys(result.left_out, 1))

    @property
    def is_complete(self) -> bool:
        """Whether nothing was lost: each file was read or unchanged, and each part of it."""
        return not self._unreadable and not self._incomplete

    def lines(self) -> Iterator[str]:
        """The report, line by line. Names and reasons come from files: make them printable."""
        imported, unchanged, unreadable = (self._statuses[status] for status in ImportStatus)
        yield (
            f"{imported} imported ({self._passages:,} passage{'s' * (self._passages != 1)}), "
            f"{unchanged} unchanged, {unreadable} unreadable"
        )
        yield from _named("Could not be read:", self._unreadable)
        yield from _named("Read in part; lost:", self._incomplete)
        yield from _named("Read, but note:", self._remarks)
        if self._files_left_out:
            yield "Left out, because files of these kinds are not read: " + _counted(self._files_left_out)
        if self._parts_left_out:
            kinds = (f"{kind} (in {count:,} file{'s' * (count != 1)})" for kind, count in _sorted(self._parts_left_out))
            yield "Left out inside files: " + ", ".join(kinds)


def _named(heading: str, entries: list[str]) -> Iterator[str]:
    if entries:
        yield heading
        yield from (f"  {entry}" for entry in entries[:NAMED_MAX])
        if len(entries) > NAMED_MAX:
            yield f"  and {len(entries) - NAMED_MAX:,} more"


def _counted(counts: Counter[str]) -> str:
    return ", ".join(f"{count:,} {kind}" for kind, count in _sorted(counts))


def _sorted(counts: Counter[str]) -> list[tuple[str, int]]:
    return sorted(counts.items(), key=lambda pair: (-pair[1], pair[0]))
