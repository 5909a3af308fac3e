"""The scripted model in other dialects than OpenAI's: frames differ, verbs and logs do not."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from openai.types.beta.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from tests.support.recorded import recorded_frames
from voice_trio.errors import InvalidEvent, LinkClosed
from voice_trio.protocols.realtime import RealtimeConfig
from voice_trio.testing.dialects import DIALECTS, DialectSession
from voice_trio.testing.model import ScriptedModel
from voice_trio.testing.script import Answer, Call
from voice_trio.upstreams.choose import PROFILES
from voice_trio.upstreams.flat_wire import FlatTranslator
from voice_trio.upstreams.profile import RealtimeTranslator

if TYPE_CHECKING:
    from collections.abc import Iterable

    import trio
    from trio.testing import MockClock

    from voice_trio.net.link import Link


BETA_EVENT: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


class WhisperedSession(DialectSession):
    """A made-up wire: response.done is never sent, everything else is sent twice, and `ask` creates a response."""

    def to_wire(self, event: dict[str, Any]) -> Iterable[dict[str, Any]]:
        return [] if event["type"] == "response.done" else [event, {"type": "echo"}]

    def from_wire(self, event: dict[str, Any]) -> Iterable[dict[str, Any]]:
        if event["type"] == "shout":
            raise InvalidEvent("Too loud.", code="loud")
        return [{"type": "response.create"}] if event["type"] == "ask" else [event]


@pytest.fixture
def whispered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DIALECTS, "whispered", WhisperedSession)


async def sends(link: Link, event: dict[str, Any] | str) -> None:
    await link.send(event if isinstance(event, str) else msgspec.json.encode(event).decode())


async def hears(link: Link, kind: str) -> dict[str, Any]:
    while True:
        event: dict[str, Any] = msgspec.json.decode(await link.receive())
        if event["type"] == kind:
            return event


async def test_frames_are_translated_and_both_logs_stay_in_openais_terms(
    autojump_clock: MockClock, nursery: trio.Nursery, whispered: None
) -> None:
    model = ScriptedModel(nursery, dialect="whispered")
    link = model.connect()
    assert (await hears(link, "echo"))["event_id"]
    await sends(link, {"type": "ask", "event_id": "e1"})
    await hears(link, "rate_limits.updated")
    assert [entry.type for entry in model.received] == ["response.create"]
    assert [entry.type for entry in model.wire_received] == ["ask"]
    said, on_wire = [[entry.type for entry in log] for log in (model.said, model.wire_said)]
    assert said[:2] == ["session.created", "response.created"]
    assert on_wire[:2] == ["session.created", "echo"]
    assert "response.done" not in (*said, *on_wire)
    await link.aclose()


async def test_an_event_that_the_wire_refuses_is_answered_with_an_error(
    autojump_clock: MockClock, nursery: trio.Nursery, whispered: None
) -> None:
    model = ScriptedModel(nursery, dialect="whispered")
    link = model.connect()
    await sends(link, {"type": "shout", "event_id": "e1"})
    refused = (await hears(link, "error"))["error"]
    assert (refused["code"], refused["message"], refused["event_id"]) == ("loud", "Too loud.", "e1")
    await sends(link, "[]")
    assert (await hears(link, "error"))["error"]["code"] == "invalid_json"
    await link.aclose()


async def test_a_model_of_openais_wire_has_one_log_of_each_side(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    model = ScriptedModel(nursery)
    link = model.connect()
    await sends(link, {"type": "response.create"})
    await hears(link, "response.done")
    assert model.wire_said is model.said
    assert model.wire_received is model.received
    await link.aclose()
    with pytest.raises(LinkClosed):
        await link.receive()


# The dialects against recorded traffic: the same events in the same order, with the same fields.


def outline(events: Iterable[dict[str, Any]]) -> list[str]:
    """The types in order, each run of deltas once, without transcripts of the user: they come at any time."""
    kinds = [
        "deltas" if event["type"].endswith("delta") else event["type"]
        for event in events
        if "input_audio_transcription" not in event["type"]
    ]
    return [kind for place, kind in enumerate(kinds) if place == 0 or kinds[place - 1] != kind]


def fields(events: Iterable[dict[str, Any]]) -> dict[str, set[str]]:
    """The fields of each type of event, inner ones with their owner."""
    found: dict[str, set[str]] = {}
    for event in events:
        names = found.setdefault(event["type"], set())
        for name, value in event.items():
            names.add(name)
            if name in ("item", "part", "error") and isinstance(value, dict):
                names |= {f"{name}.{inner}" for inner in value}
    return found


async def spoken_turn(nursery: trio.Nursery, dialect: str) -> list[dict[str, Any]]:
    """What a scripted model of that dialect sends in a spoken turn that it answers by itself."""
    model = ScriptedModel(nursery, dialect=dialect)
    link = model.connect()
    profile = PROFILES[dialect]
    translator = (profile.translator or RealtimeTranslator)()
    config = RealtimeConfig(model="m", instructions="", transcription_model="whisper-1")
    model.ignore_create_response_false()
    await link.send(translator.session_update(config, "e1"))
    await model.says("session.updated")
    nursery.start_soon(drain, link)
    await model.hear_speech("My name is Charlie.")
    await model.says("response.done")
    await model.says("conversation.item.input_audio_transcription.completed")
    await link.aclose()
    return [entry.event for entry in model.wire_said]


async def drain(link: Link) -> None:
    with suppress(LinkClosed):
        while True:
            await link.receive()


@pytest.mark.parametrize(
    ("dialect", "recording"),
    [
        ("azure", "azure/audio_in_server_vad_transcribes"),
        ("azure-voice-live", "azure-voice-live/audio_in_server_vad_turn"),
    ],
)
async def test_a_dialect_says_what_was_recorded(
    autojump_clock: MockClock, nursery: trio.Nursery, dialect: str, recording: str
) -> None:
    recorded = list(recorded_frames(recording))
    scripted = await spoken_turn(nursery, dialect)
    assert outline(scripted) == outline(recorded)
    theirs, ours = fields(recorded), fields(scripted)
    differences = {kind: theirs[kind] ^ ours[kind] for kind in ours.keys() & theirs.keys()}
    # What no reader needs: padding of deltas, an item's kind in words, an empty transcript of audio to come.
    ignored = {"obfuscation", "item.object", "part.transcript"}
    assert {kind: names - ignored for kind, names in differences.items() if names - ignored} == {}


async def test_openais_own_types_of_that_time_read_the_flat_dialect(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    model = ScriptedModel(nursery, dialect="flat")
    link = model.connect()
    nursery.start_soon(drain, link)
    config = RealtimeConfig(model="m", instructions="", voice="")
    await link.send(FlatTranslator().session_update(config, "e1"))
    await model.says("session.updated")
    model.answers_next(Answer(calls=(Call("weather", "{}"),)), Answer(audio_ms=9000, pace=1.0))
    item_id = await model.hear_speech("how warm")
    for _ in range(2):
        await sends(link, {"type": "response.create"})
        await model.says("response.output_audio.delta")
        await model.says("response.output_item.done")
    await sends(link, {"type": "response.cancel"})
    await sends(link, {"type": "conversation.item.delete", "item_id": item_id})
    await sends(link, {"type": "conversation.item.delete", "item_id": item_id})
    await model.says("error")
    await link.aclose()
    for entry in model.wire_said:
        if "session" in entry.event:
            entry.event["session"]["model"] = "gpt-realtime"  # the types know models by name
    kinds = {type(BETA_EVENT.validate_python(entry.event)).__name__ for entry in model.wire_said}
    assert {"ResponseAudioDeltaEvent", "ConversationItemCreatedEvent", "ConversationItemDeletedEvent"} < kinds
    assert len({entry.type for entry in model.wire_said}) == len(kinds) > 20
