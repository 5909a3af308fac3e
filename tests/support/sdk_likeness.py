"""Makes two conversations comparable: replaces ids by numbers in order, and removes what may differ."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.sdk_gateway import ClientReport

OURS = ("step_", "long_")
"""Prefixes of ids that the client chose; they must be returned unchanged."""
THEIRS = ("item_", "resp_", "call_", "sess_", "conv_", "event_")
_VARYING = ("expires_at", "usage", "message")
_SERVERS = ("max_output_tokens", "noise_reduction", "reasoning", "voice")
"""Session settings of the gateway's operator, which every client sees."""


CUT_OFF = "stopped midway"
"""The step in which the number of events before the end depends on the clock."""
_IN_STEP_WITH_A_CLOCK = ("response.output_audio.delta", "response.output_audio_transcript.delta", "rate_limits.updated")


def comparable(report: ClientReport) -> list[str]:
    """One line for each event, below the name of its step; consecutive deltas are one line."""
    steps = {at: name for name, at in report.more["marks"]}
    names: dict[str, str] = {}
    lines: list[str] = []
    step = ""
    for number, event in enumerate(report.events):
        if number in steps:
            step = steps[number]
            lines.append(f"== {step}")
        kind = event["type"]
        is_short = kind.endswith(".delta") or step == CUT_OFF
        line = kind if is_short else json.dumps(_plain(event, names), sort_keys=True)
        if kind not in _IN_STEP_WITH_A_CLOCK and not (kind.endswith(".delta") and line == lines[-1]):
            lines.append(line)
    return lines


def _plain(value: Any, names: dict[str, str]) -> Any:
    match value:
        case dict():
            kept = {name: inner for name, inner in value.items() if name not in _VARYING + _SERVERS}
            if not str(kept.get("event_id") or "").startswith(OURS):
                kept.pop("event_id", None)
            return {name: _plain(inner, names) for name, inner in kept.items()}
        case list():
            return [_plain(inner, names) for inner in value]
        case str() if value.startswith(THEIRS):
            return names.setdefault(value, f"{value.partition('_')[0]} {len(names)}")
        case _:
            return value
