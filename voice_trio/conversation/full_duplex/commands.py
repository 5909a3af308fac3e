"""What only a full-duplex upstream is sent."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class AppendThinking:
    """Tell the upstream something that it does not say; `delegation_id` names the question of its own that it answers.

    At most 500 tokens.
    """

    event_id: str
    content: str = field(repr=False)
    delegation_id: str | None = None
