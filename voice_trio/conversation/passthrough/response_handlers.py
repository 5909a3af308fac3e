"""What the upstream says of its responses, under the passthrough policy: all of it passes, but interrupted sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from voice_trio.conversation import commands, events
from voice_trio.conversation.policy import FATAL_CODES
from voice_trio.conversation.response import UPSTREAM_LOST

if TYPE_CHECKING:
    from voice_trio.conversation.passthrough.turn_flow import PassthroughTurnFlow


class PassthroughResponseHandlers:
    """What the upstream says of its responses: all of it passes, but for sound that was interrupted (I5)."""

    def __init__(self, flow: PassthroughTurnFlow) -> None:
        self._flow = flow
        self._out, self._responses, self._truncation = flow.out, flow.responses, flow.truncation
        self._announced = flow.responses.announced

    def forward_audio(self, event: events.ResponseAudioDelta, now: float) -> bool:
        """A piece of sound; True if it was passed to the client, which makes nothing else possible."""
        response = self._responses.find(event.response_id)
        if response is None:
            if self._responses.is_known(event.response_id):  # out of band: no sound of the conversation's
                self._responses.note_out_of_band(event.response_id, now)
                kind = "response.output_audio.delta"
                self._out.to_client(events.OtherUpstreamEvent(kind, event.response_id, wire=event.wire))
            return False
        self._truncation.receive(event.item_id, event.duration_ms, is_heard=not response.interrupted)
        if response.interrupted:
            return False
        response.active_at = now
        self._responses.playback.forward(event.item_id, event.duration_ms)
        turn = response.turn
        turn.response_forwarded = True
        if turn.stages.first_audio_in is None:
            turn.stages.first_audio_in = now
        self._out.issued.append(commands.SendToClient(event))
        return True

    def on_event(self, event: events.ResponseEvent, now: float) -> None:
        if self._announced.is_over(event.response_id) and not isinstance(event, events.ResponseDone):
            return  # it was given up, and the client has its end
        response = self._responses.find(event.response_id)
        if response is not None:
            response.active_at = now
        else:
            self._responses.note_out_of_band(event.response_id, now)
        match event:
            case events.ResponseCreated():
                self._on_created(event, now)
            case events.OutputItemAdded() | events.ResponseAudioDone() | events.ResponseTranscriptDone():
                self._out.to_client(event)
            case events.ResponseTranscriptDelta():
                if response is not None and not response.interrupted:
                    texts = response.turn.response_texts
                    texts[event.item_id] = texts.get(event.item_id, "") + event.delta
                self._out.to_client(event)
            case events.FunctionCalled():
                if response is not None:
                    response.has_calls = True
                self._out.to_client(event)
            case events.ResponseDone():
                self._on_done(event, now)
            case _:
                assert_never(event)

    def on_other(self, event: events.OtherUpstreamEvent, now: float) -> None:
        """Other events of a response pass until it is over for the client."""
        if self._announced.is_over(event.response_id):
            return
        self._responses.note_life(event, now)
        self._out.to_client(event)

    def _on_created(self, event: events.ResponseCreated, now: float) -> None:
        response = self._responses.begin(event, now)
        if response is not None:
            response.turn.stages.response_created = now
        self._announced.begin(event)

    def _on_done(self, event: events.ResponseDone, now: float) -> None:
        event = self._responses.identified(event)
        self._out.issued.append(commands.CountUsage("response", event.response_id, event.usage))
        response = self._responses.done(event.response_id)
        if event.error_code in FATAL_CODES:
            self._announced.give_up(event.response_id, "failed", UPSTREAM_LOST)
            self._out.issued.append(commands.EndSession(event.error_code))
            return
        self._announced.end(event)
        if response is None:
            return
        self._flow.active_at = now
        turn = response.turn
        turn.stages.response_done, turn.status = now, event.status
        turn.response_forwarded = turn.response_forwarded or bool(turn.response_texts)
        if not response.interrupted and not response.has_calls:
            self._flow.check_playback(turn)
