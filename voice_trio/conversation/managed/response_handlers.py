"""What the upstream says of its responses, under the managed policy: what the client is sent, and what follows."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_never

from voice_trio.conversation import commands, events
from voice_trio.conversation.policy import FATAL_CODES
from voice_trio.conversation.response import TAG

if TYPE_CHECKING:
    from voice_trio.conversation.managed.failures import ManagedFailures
    from voice_trio.conversation.managed.turn_flow import ManagedTurnFlow


class ManagedResponseHandlers:
    """What the upstream says of its responses: what the client is sent of it, and what follows for the turn."""

    def __init__(self, flow: ManagedTurnFlow, failures: ManagedFailures) -> None:
        self._flow = flow
        self._failures = failures
        self._out, self._responses = flow.out, flow.responses
        self._playback, self._truncation = flow.responses.playback, flow.truncation

    def on_event(self, event: events.ResponseEvent, now: float) -> None:
        known = self._responses.find(event.response_id)
        if known is not None:
            known.active_at = now
        match event:
            case events.ResponseCreated():
                self._on_created(event, now)
            case events.OutputItemAdded():
                self._on_item_added(event)
            case events.ResponseAudioDone() | events.ResponseTranscriptDone():
                if self._responses.find_heard(event.response_id) is not None:
                    self._out.to_client(event)
            case events.ResponseTranscriptDelta():
                self._on_text(event)
            case events.FunctionCalled():
                self._on_function_called(event)
            case events.ResponseDone():
                self._on_done(event, now)
            case _:
                assert_never(event)

    def _on_created(self, event: events.ResponseCreated, now: float) -> None:
        response = self._responses.created(event.response_id, event.metadata.get(TAG), now)
        if response is not None and not response.interrupted:
            if not response.turn.continuations:  # else it goes on with a response that began long ago
                response.turn.stages.response_created = now
            self._responses.announced.begin(event)

    def _on_item_added(self, event: events.OutputItemAdded) -> None:
        response = self._responses.find(event.response_id)
        if response is None or event.kind != "message":
            return
        if response.interrupted:
            self._truncation.receive(event.item_id)
        else:
            self._playback.open(event.item_id)

    def _on_text(self, event: events.ResponseTranscriptDelta) -> None:
        response = self._responses.find_heard(event.response_id)
        if response is not None:
            self._out.to_client(event)
            texts = response.turn.response_texts
            texts[event.item_id] = texts.get(event.item_id, "") + event.delta

    def _on_function_called(self, event: events.FunctionCalled) -> None:
        response = self._responses.find_heard(event.response_id)
        if response is not None:
            response.calls[event.call_id] = None
            call = commands.CallTool(response.turn.id, event.call_id, event.name, event.arguments)
            self._out.issued.append(call)

    def on_tool_finished(self, event: events.ToolFinished) -> None:
        response = self._responses.latest
        if response is not None and event.call_id in response.calls:
            response.calls[event.call_id] = event.output
            response.active_at = self._flow.now
            self._flow.follow_up(response)

    def _on_done(self, event: events.ResponseDone, now: float) -> None:
        event = self._responses.identified(event)
        self._out.issued.append(commands.CountUsage("response", event.response_id, event.usage))
        response = self._responses.done(event.response_id)
        if response is not None and event.status != "completed":
            response.calls.clear()  # a cut response asks for nothing
        self._responses.announced.end(event)
        if event.error_code in FATAL_CODES:
            self._out.issued.append(commands.EndSession(event.error_code))
        if response is None or response.interrupted:
            return
        turn = response.turn
        turn.stages.response_done = now
        turn.status = event.status
        if event.status == "completed" and response.awaits_tools:
            self._flow.follow_up(response)
        else:
            self._flow.check_playback(turn)
        if event.status != "completed":
            self._failures.on_response_cut(event)
