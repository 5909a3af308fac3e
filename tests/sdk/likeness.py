"""Two conversations made comparable: ids become numbers in their order, and what may differ goes."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.sdk.gateway import Seen

OURS = ("step_", "long_")
"""How the ids begin that the client chose itself; they must come back as they were."""
THEIRS = ("item_", "resp_", "call_", "sess_", "conv_", "event_")
_VARYING = ("expires_at", "usage", "message")
_SERVERS = ("noise_reduction", "reasoning", "voice")
"""What the gateway's operator has set of the session, and any client sees."""


def comparable(seen: Seen) -> list[str]:
    """A line for each event, under the name of the step that it came of; a run of deltas is one line."""
    steps = {at: name for name, at in seen.more["marks"]}
    names: dict[str, str] = {}
    lines: list[str] = []
    for number, event in enumerate(seen.events):
        if number in steps:
            lines.append(f"== {steps[number]}")
        # Sound and its words come in step with a clock, each in pieces of its own length.
        is_piece = event["type"].endswith(".delta")
        line = event["type"] if is_piece else json.dumps(_plain(event, names), sort_keys=True)
        if event["type"] != "rate_limits.updated" and not (is_piece and line in lines[-2:]):
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
