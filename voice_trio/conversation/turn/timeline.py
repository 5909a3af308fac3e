"""Reads a turn's timestamps, for the log, `turn.metrics`, the latency metrics and the spans of traces alike. Pure.

A turn is measured on the session's clock, in seconds. Two stages are special: `flush_queued` and `flush_sent` may
belong to the answer before this turn's, so they count neither as the turn's beginning nor as its end.
"""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING

from voice_trio.conversation.turn.record import TurnTimestamps

if TYPE_CHECKING:
    from collections.abc import Collection

_STAGES = tuple(field.name for field in fields(TurnTimestamps))
FLUSH_STAGES = frozenset({"flush_queued", "flush_sent"})

LATENCIES = {
    "speech_to_first_word": ("speech_started", "first_word"),
    "silence_to_commit": ("speech_stopped", "committed"),
    "commit_to_context": ("committed", "context_settled"),
    "commit_to_ask": ("committed", "asked"),
    "ask_to_response": ("asked", "response_created"),
    "commit_to_first_audio_in": ("committed", "first_audio_in"),
    "commit_to_first_audio_out": ("committed", "first_audio_out"),
    "commit_to_playback": ("committed", "playback_started"),
    "first_audio_in_to_out": ("first_audio_in", "first_audio_out"),
    "interruption_to_flush": ("flush_queued", "flush_sent"),
}
"""Each latency of the metrics, and the two stages between which it lies."""

SPANS = {
    "speech": ("speech_started", "speech_stopped"),
    "first word": ("speech_started", "first_word"),
    "silence": ("speech_stopped", "committed"),
    "wait for documents": ("committed", "context_settled"),
    "model thinks": ("asked", "first_audio_in"),
    "to the client": ("first_audio_in", "first_audio_out"),
    "answer": ("first_audio_in", "response_done"),
}
"""Each span of a trace, and the two stages between which it lies."""


def reached(timestamps: TurnTimestamps, *, without: Collection[str] = ()) -> dict[str, float]:
    """The stages that the turn reached, in seconds on the session's clock, by name; `without` some of them."""
    times: dict[str, float] = {}
    for name in _STAGES:
        at = getattr(timestamps, name)
        if at is not None and name not in without:
            times[name] = at
    return times


def in_ms(times: dict[str, float], since: float) -> dict[str, int]:
    """Times as whole milliseconds after `since`."""
    return {name: round((at - since) * 1000) for name, at in times.items()}


def intervals(timestamps: TurnTimestamps, stages: dict[str, tuple[str, str]]) -> dict[str, tuple[float, float]]:
    """Of `LATENCIES` or `SPANS` those of which both stages were reached: (begin, end), never ending before it began."""
    times = reached(timestamps)
    return {
        name: (times[begin], max(times[begin], times[end]))
        for name, (begin, end) in stages.items()
        if begin in times and end in times
    }


def latencies(timestamps: TurnTimestamps) -> dict[str, float]:
    """The latencies of the turn in seconds, by their names in the metrics."""
    return {name: end - begin for name, (begin, end) in intervals(timestamps, LATENCIES).items()}
