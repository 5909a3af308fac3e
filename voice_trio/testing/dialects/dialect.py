"""A connection of the scripted model that speaks another wire than OpenAI's: its frames are translated both ways.

The scripted model decides and remembers in OpenAI's terms. A dialect is the server's side of another wire: it says how
each event of the server looks there, and what each event of a client means. Where such a server also behaves
differently, it overrides a method of `ModelSession` (`start_speech`, `audio_committed`, `session_changing` …).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from voice_trio.errors import InvalidEvent
from voice_trio.protocols import json_text
from voice_trio.protocols.realtime import input_events, server_events
from voice_trio.testing.model_session import ModelSession

if TYPE_CHECKING:
    from collections.abc import Iterable


class DialectSession(ModelSession):
    """Base class of the dialects. It speaks OpenAI's wire until `to_wire` and `from_wire` are overridden."""

    def to_wire(self, event: dict[str, Any]) -> Iterable[dict[str, Any]]:
        """What a server event of OpenAI's is on this wire: one event, several, or none where it is not sent."""
        yield event

    def from_wire(self, event: dict[str, Any]) -> Iterable[dict[str, Any]]:
        """What a client's event of this wire means in OpenAI's terms, in order; none where it is ignored.

        Raises `InvalidEvent` for one that such a server refuses.
        """
        yield event

    def send(self, event: dict[str, Any]) -> None:
        """Send an event of this wire that OpenAI's has nothing like."""
        event = {"event_id": self.new_id("event"), **event}
        self.model.spoke_on_wire(event, self.number)
        self.send_frame(json_text.encode(event))

    def emit(self, event: input_events.ServerEvent) -> None:
        if isinstance(event, input_events.SessionUpdated) and not self.model.behaviour.acknowledges_updates:
            return
        frame = server_events.write_event(event, self.new_id("event"))
        on_wire = list(self.to_wire(msgspec.json.decode(frame)))
        if on_wire:
            self.model.spoke(frame, self.number)
        for told in on_wire:
            self.send(told)

    def receive(self, frame: str | bytes) -> None:
        try:
            event = msgspec.json.decode(frame)
        except json_text.UNREADABLE:
            event = None
        if not isinstance(event, dict):
            super().receive(frame)
            return
        self.model.heard_on_wire(event, self.number)
        try:
            meant = list(self.from_wire(event))
        except InvalidEvent as refused:
            self.model.heard_frame(frame, self.number)
            self.server.send_error(refused, event.get("event_id"))
            return
        for each in meant:
            super().receive(json_text.encode(each))
