"""The model behind the gateway for SDKs: it responds by rules, calls tools on request, and records what it receives."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from voice_trio.testing import RuleBasedModel
from voice_trio.testing.script import Answer, Call

if TYPE_CHECKING:
    from voice_trio.protocols.realtime.items import ItemList

QUESTION = "How warm must the brooder be in the first week?"
TOOL_WORD = "count"
"""A typed question with this word in it makes the model call the client's function."""
LENGTH_WORD = "length"
"""A typed question with this word gets a response that is long enough to be interrupted."""
ANSWER_MS, LONG_ANSWER_MS = 3000, 8000
PACE = 8.0
"""A response is complete long before it has been played."""


class AgreeableModel(RuleBasedModel):
    """Decides by the conversation alone, so that any number of clients can use it."""

    def __init__(self) -> None:
        super().__init__([QUESTION], answer_ms=ANSWER_MS)

    def next_answer(self, items: ItemList | None = None) -> Answer | None:
        if items is None and self.session is not None:
            items = self.session.items  # without a gateway it responds by itself
        asked = [item for item in items.order if item.role != "system"] if items else []
        if asked and asked[-1].type == "function_call_output":
            return Answer(text=f"The tool says: {asked[-1].output}", audio_ms=ANSWER_MS, tone=True, pace=PACE)
        question = asked[-1].text if asked else ""
        if TOOL_WORD in question:
            return Answer(text="", audio_ms=0, calls=(Call("count_birds", '{"shed": "3"}'),))
        if LENGTH_WORD in question:
            return Answer(text="Well, " * 40, audio_ms=LONG_ANSWER_MS, tone=True, pace=2.0)
        usual = super().next_answer(items)
        return usual and replace(usual, pace=PACE)

    def heard_frame(self, frame: str | bytes, session: int) -> None:
        """Record a frame unless it is audio, which would push everything else out of the bounded log."""
        if '"input_audio_buffer.append"' not in str(frame):
            super().heard_frame(frame, session)
