"""What is kept of a turn: its outcome and the times of its stages."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum


class Outcome(Enum):
    """What a turn's retrieval came to."""

    HIDDEN = "hidden"  # the result was in at commit: retrieval cost the user nothing
    WAITED = "waited"  # it came during the wait
    LOCAL = "local"  # served from passages kept locally
    LATE = "late"  # nothing injected while a search was still running
    NONE = "none"  # the rest: no words, nothing found, or the search failed


@dataclass(slots=True)
class TurnTimestamps:
    """When each stage of a turn came, in seconds on the session's clock; `None` for what never came."""

    speech_started: float | None = None
    first_word: float | None = None
    speech_stopped: float | None = None
    committed: float | None = None
    context_settled: float | None = None
    asked: float | None = None
    response_created: float | None = None
    first_audio_in: float | None = None
    first_audio_out: float | None = None
    response_done: float | None = None
    interrupted: float | None = None
    playback_started: float | None = None
    """By the client's own reports of its position."""
    flush_queued: float | None = None
    """When a flush of this turn's response was queued, and when it had been written to the client."""
    flush_sent: float | None = None


@dataclass(frozen=True, slots=True)
class SearchRecord:
    """One search, without its words: when it was asked on the session's clock and how long it took, in seconds.

    `took` is `None` for an `outcome` of unfinished: the turn was over first. The others are found, nothing and failed.
    `local`: among passages kept from searches before, not in the base.
    """

    at: float
    took: float | None
    outcome: str
    local: bool


@dataclass(frozen=True, slots=True)
class TurnRecord:
    """A finished turn.

    `status`: completed, cancelled (interrupted), failed, incomplete, unanswered, joined (merged into the next turn: the
    user went on speaking), or ended (with the session). `heard_ms` of `received_ms` of its response reached the user.
    """

    turn_id: int
    typed: bool
    said: str
    answer: str
    status: str
    outcome: Outcome | None
    stale: bool
    waited_ms: int
    queries: int
    passages: tuple[tuple[str, str], ...]
    heard_ms: int
    received_ms: int
    said_items: tuple[tuple[str, str], ...] = ()
    """What the user said, by item; with those of turns that were merged into this one."""
    heard_items: tuple[tuple[str, str], ...] = ()
    """What the assistant said as far as it was heard, by item."""
    transcription_fallback: bool = False
    """Whether the transcription model transcribes only after the commit."""
    stages: TurnTimestamps = field(default_factory=TurnTimestamps)
    searches: tuple[SearchRecord, ...] = ()
    """In the order they were asked, with those of turns that were merged into this one."""
