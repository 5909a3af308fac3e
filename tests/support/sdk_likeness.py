"""Two conversations made comparable: ids become numbers in their order, and what may differ goes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.support.sdk_gateway import Seen

OURS = ("step_", "long_")
"""How the ids begin that the client chose itself; they must come back as they were."""
THEIRS = ("item_", "resp_", "call_", "sess_", "conv_", "event_")
_VARYING = ("expires_at", "usage", "message")
_SERVERS = ("noise_reduction", "reasoning", "voice")
"""What the gateway's operator has set of the session, and any client sees."""


CUT_OFF = "stopped midway"
"""The step in which it depends on the clock how much came before the end."""
_IN_STEP_WITH_A_CLOCK = ("response.output_audio.delta", "response.output_audio_transcript.delta", "rate_limits.updated")


def comparable(seen: Seen) -> list[str]:
    """A line for each event, under the name of the step that it came of; a run of pieces is one line."""
    steps = {at: name for name, at in seen.more["marks"]}
    names: dict[str, str] = {}
    lines: list[str] = []
    step = ""
    for number, event in enumerate(seen.events):
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
