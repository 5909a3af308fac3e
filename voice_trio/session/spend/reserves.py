"""The reserves of one session: what its open responses and transcriptions are expected to cost, until they are billed.

Pure. A reserve has the tag of its request until the upstream gives the response, or the spoken item, an id.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_trio.billing.spending import ZERO

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

    from voice_trio.session.spend.input_estimator import InputTokens


@dataclass(slots=True)
class Reserve:
    """What a response or transcription is expected to cost, in US dollars. `kind` is that of `CountUsage`."""

    kind: str
    turn_id: int
    input_usd: Decimal = ZERO
    """Of a response; the whole cost of a transcription."""
    output_usd: Decimal = ZERO
    observed_usd: Decimal = ZERO
    """What its output has visibly cost so far."""
    added: InputTokens | None = None
    """What was in the conversation since the last response; None for a response outside of it."""
    is_created: bool = False
    """Whether the upstream has given it an id."""
    seconds: float = 0.0
    """Of sound: of the output of a response, of the input of a transcription."""
    characters: int = 0
    """Of the output's text."""

    @property
    def usd(self) -> Decimal:
        """What is reserved."""
        return self.input_usd + max(self.output_usd, self.observed_usd)

    @property
    def known_usd(self) -> Decimal:
        """The part of it that is known to have been used: the seconds of a transcription are."""
        return self.observed_usd if self.kind == "response" else self.usd


class Reserves:
    """The open reserves by id. `hold` gets what is reserved, and what of it is known as used, at each change.

    `is_billed` says whether an id has its bill: events of it that come later, or again, reserve nothing.
    """

    def __init__(self, hold: Callable[[Decimal, Decimal], None], is_billed: Callable[[str], bool]) -> None:
        self._hold = hold
        self._is_billed = is_billed
        self._open: dict[str, Reserve] = {}

    def __getitem__(self, key: str) -> Reserve:
        return self._open[key]

    def get(self, key: str) -> Reserve | None:
        """The open reserve of that id."""
        return self._open.get(key)

    @property
    def open(self) -> tuple[str, ...]:
        """The ids of the open reserves, oldest first."""
        return tuple(self._open)

    def put(self, key: str, reserve: Reserve) -> None:
        """Open a reserve, in place of one of that id."""
        self.release(key)
        if not self._is_billed(key):
            self._open[key] = reserve
            self._hold(reserve.usd, reserve.known_usd)

    def release(self, key: str) -> Reserve | None:
        """Close a reserve: it was billed, or nothing was used."""
        reserve = self._open.pop(key, None)
        if reserve is not None:
            self._hold(-reserve.usd, -reserve.known_usd)
        return reserve

    def observe(self, key: str, usd: Decimal) -> None:
        """What an open reserve is for has visibly cost so much."""
        reserve = self._open[key]
        reserved, known = reserve.usd, reserve.known_usd
        if reserve.kind == "response":
            reserve.observed_usd = usd
        else:
            reserve.input_usd = usd
        self._hold(reserve.usd - reserved, reserve.known_usd - known)

    def name(self, kind: str, tag: str | None, key: str) -> Reserve | None:
        """The upstream gave an id to what was asked for under `tag`, else to the oldest; None if none fits."""
        waiting = [each for each, reserve in self._open.items() if reserve.kind == kind and not reserve.is_created]
        found = tag if tag in waiting else next(iter(waiting), None) if tag is None else None
        if found is None:
            return None
        if self._is_billed(key) or key in self._open:
            return self.release(found)
        reserve = self._open[key] = self._open.pop(found)
        reserve.is_created = True
        return reserve

    def forget_uncreated(self, tag: str) -> None:
        """What was asked for under `tag` was refused, or is not coming."""
        reserve = self._open.get(tag)
        if reserve is not None and not reserve.is_created:
            self.release(tag)
