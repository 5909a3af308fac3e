"""The server session that the embedded server and the scripted model share: order of events, refusals, items."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from voice_trio.protocols.audio import audio_ms, silence
from voice_trio.protocols.realtime import sessions
from voice_trio.protocols.realtime.server_events import StatusDetails, write_event
from voice_trio.protocols.realtime_server.responses import OUT_OF_BAND_MAX
from voice_trio.protocols.realtime_server.session import ServerSession
from voice_trio.protocols.realtime_server.session_object import SessionObject

if TYPE_CHECKING:
    from voice_trio.protocols.realtime.input_events import ServerEvent
    from voice_trio.protocols.realtime.items import Item
    from voice_trio.protocols.realtime_server.response import ServerResponse


class FakeHost:
    """A host that begins every response and waits for the test to fill it, and counts the audio."""

    def __init__(self, session: sessions.Session | None = None) -> None:
        self.events: list[dict[str, Any]] = []
        self.responses: list[ServerResponse] = []
        self.created: list[tuple[Item, bytes]] = []
        self.uncommitted_ms = 0.0
        self._ids = 0
        shown = session or sessions.new_session("sess", "any", 0)
        self.server = ServerSession(self, self, SessionObject(shown, ("alloy", "marin")), "conv")

    def send(self, kind: str, **fields: Any) -> list[dict[str, Any]]:
        """One client event; returns the events that it led to."""
        before = len(self.events)
        self.server.receive(json.dumps({"type": kind, **fields}))
        return self.events[before:]

    def types(self) -> list[str]:
        """The types of all events since the last call."""
        kinds = [str(event["type"]) for event in self.events]
        self.events.clear()
        return kinds

    # The sink

    def emit(self, event: ServerEvent) -> None:
        self.events.append(json.loads(write_event(event, self.new_id("event"))))

    def new_id(self, kind: str) -> str:
        self._ids += 1
        return f"{kind}_{self._ids}"

    # The host

    def audio_appended(self, audio: str) -> None:
        self.uncommitted_ms += audio_ms(audio)

    def audio_committed(self) -> None:
        self.server.commit(self.new_id("item"), self.uncommitted_ms)
        self.uncommitted_ms = 0.0

    def audio_cleared(self) -> None:
        self.uncommitted_ms = 0.0

    def session_changing(self, changed: sessions.Session) -> None:
        """Every change is accepted."""

    def item_created(self, item: Item, pcm: bytes) -> None:
        self.created.append((item, pcm))

    def item_deleted(self, item_id: str) -> None:
        """Nothing is kept of items."""

    def generate(self, response: ServerResponse) -> None:
        response.begin()
        self.responses.append(response)

    def cut(self, response: ServerResponse, reason: str) -> None:
        self.server.responses.end(response, "cancelled", StatusDetails(type="cancelled", reason=reason))


ENDING = [
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
]
BEGINNING = ["response.output_item.added", "conversation.item.added", "response.content_part.added"]


def test_a_response_of_two_messages_and_a_call_keeps_the_recorded_order() -> None:
    host = FakeHost()
    host.send("response.create")
    response = host.responses[-1]
    for _ in range(2):
        response.write("Hens")
        response.add_audio(silence(100), 100)
        response.close_message(completed=True)
    response.call_function("count", '{"shed": 3}')
    host.server.responses.end(response)
    deltas = ["response.output_audio_transcript.delta", "response.output_audio.delta"]
    done = host.events[-2]["response"]
    assert host.types() == [
        "response.created",
        *(2 * [*BEGINNING, *deltas, *ENDING]),
        *BEGINNING[:2],
        *(2 * ["response.function_call_arguments.delta"]),
        "response.function_call_arguments.done",
        *ENDING[-2:],
        "response.done",
        "rate_limits.updated",
    ]
    assert [item["type"] for item in done["output"]] == ["message", "message", "function_call"]
    assert done["usage"]["output_token_details"]["audio_tokens"] == 4  # 100 ms twice, 50 ms a token


def test_a_cut_closes_what_is_open_and_marks_it_incomplete() -> None:
    host = FakeHost()
    host.send("response.create")
    host.responses[-1].write("Hens")
    host.types()
    events = host.send("response.cancel")
    assert host.types() == [*ENDING, "response.done", "rate_limits.updated"]
    assert events[-2]["response"]["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert events[-2]["response"]["output"][0]["status"] == "incomplete"
    assert host.server.responses.active is None


def test_a_response_that_was_not_announced_cannot_be_cancelled() -> None:
    host = FakeHost()
    response = host.server.responses.open()
    (error,) = host.send("response.cancel", response_id=response.id)
    assert error["error"]["code"] == "response_cancel_not_active"


def test_one_response_belongs_to_the_conversation_and_a_few_may_stand_beside_it() -> None:
    host = FakeHost()
    host.send("response.create")
    (error,) = host.send("response.create", event_id="mine")
    assert error["error"]["code"] == "conversation_already_has_active_response"
    assert error["error"]["event_id"] == "mine"
    for _ in range(OUT_OF_BAND_MAX):
        host.send("response.create", response={"conversation": "none"})
    (error,) = host.send("response.create", response={"conversation": "none"})
    assert error["error"]["code"] == "too_many_responses"


def test_a_response_beside_the_conversation_leaves_no_item_and_no_audio_behind() -> None:
    host = FakeHost()
    host.send("response.create", response={"conversation": "none"})
    response = host.responses[-1]
    response.add_audio(silence(100), 100)
    host.server.responses.end(response)
    assert host.server.items.order == []
    assert host.server.items.audio_ms == {}
    assert "conversation.item.added" not in host.types()


def test_a_commit_needs_100_ms_and_names_the_item_before_it() -> None:
    host = FakeHost()
    host.send("conversation.item.create", item={"id": "a", "type": "message", "role": "user", "content": []})
    host.send("input_audio_buffer.append", audio=silence(90))
    (error,) = host.send("input_audio_buffer.commit")
    assert error["error"]["code"] == "input_audio_buffer_commit_empty"
    host.send("input_audio_buffer.append", audio=silence(10))
    committed, added, done = host.send("input_audio_buffer.commit")
    assert committed["previous_item_id"] == added["previous_item_id"] == done["previous_item_id"] == "a"
    assert committed["item_id"] == added["item"]["id"]
    assert not host.responses  # a client's commit never asks for a response


def test_speech_interrupts_and_its_end_is_answered_as_the_session_says() -> None:
    host = FakeHost()
    host.send("response.create")
    host.server.speech_started("i1", 300)
    assert [event["response"]["status"] for event in host.events if event["type"] == "response.done"] == ["cancelled"]
    host.types()
    host.server.speech_stopped("i1", 900, 600)
    host.server.respond_to_turn()
    assert host.types() == [
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
        "response.created",
    ]
    host.server.respond_to_turn()  # another response is in progress: an error, as the API documents
    assert host.events[-1]["error"]["code"] == "conversation_already_has_active_response"


def test_the_voice_is_fixed_once_there_is_audio_of_it() -> None:
    host = FakeHost()
    change = {"type": "realtime", "audio": {"output": {"voice": "marin"}}}
    assert [event["type"] for event in host.send("session.update", session=change)] == ["session.updated"]
    host.send("response.create")
    host.responses[-1].add_audio(silence(20), 20)
    change["audio"] = {"output": {"voice": "alloy"}}
    (error,) = host.send("session.update", session=change)
    assert error["error"]["code"] == "cannot_update_voice"


@pytest.mark.parametrize("kind", ["response.create", "output_audio_buffer.clear"])
def test_a_transcription_session_creates_no_responses(kind: str) -> None:
    host = FakeHost(sessions.new_transcription_session("sess", 0))
    (error,) = host.send(kind)
    assert error["error"]["param"] == "type"
    host.server.respond_to_turn()
    assert not host.responses


def test_an_item_keeps_the_length_of_its_audio_and_not_the_audio() -> None:
    host = FakeHost()
    content = [{"type": "input_audio", "audio": silence(200)}]
    added, _ = host.send("conversation.item.create", item={"type": "message", "role": "user", "content": content})
    assert "audio" not in added["item"]["content"][0]
    ((item, pcm),) = host.created
    assert len(pcm) == 200 * 48
    assert host.server.items.audio_ms == {item.id: 200.0}


def test_a_transcript_is_shown_by_its_item_from_then_on() -> None:
    host = FakeHost()
    item = host.server.commit("i1", 1200)
    host.server.transcript_delta("i1", "how")
    host.server.transcript_completed("i1", "how warm")
    delta, completed = host.events[-2:]
    assert delta["delta"] == "how"
    assert completed["usage"] == {"type": "duration", "seconds": 2}
    assert item.text == "how warm"
