"""The scripted GPT-Live server keeps the API's rules, its types, and the order and times that were recorded."""

from __future__ import annotations

from itertools import groupby
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio
import trio.testing
from openai.types.live.server_event import ServerEvent
from pydantic import TypeAdapter

from tests.support.recorded import recorded_frames
from voice_trio.errors import LinkClosed
from voice_trio.protocols.audio import silence
from voice_trio.testing import live_session
from voice_trio.testing.live_model import ScriptedLiveModel
from voice_trio.testing.live_rules import CONTENT_TOKENS_MAX, count_tokens
from voice_trio.testing.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock

    from voice_trio.testing.links import MemoryLink

OPENAI: TypeAdapter[Any] = TypeAdapter(ServerEvent)
SESSION: dict[str, Any] = {"model": "gpt-live-1", "audio": {"format": {"type": "audio/pcm", "rate": 24000}}}
QUESTION = "What is my favorite color"
SOUND = "session.output_audio.delta"


class LiveCaller:
    """One connection. Every event it hears must be one of the API's own types."""

    def __init__(self, link: MemoryLink, nursery: trio.Nursery) -> None:
        self.link = link
        self.recorder = Recorder()
        self.hears = self.recorder.hears
        self.over = trio.Event()
        self._nursery = nursery
        nursery.start_soon(self._run)

    async def _run(self) -> None:
        try:
            while True:
                event = msgspec.json.decode(await self.link.receive())
                OPENAI.validate_python(event)
                self.recorder.record(event)
        except LinkClosed:
            self.over.set()

    async def sends(self, kind: str, **fields: Any) -> None:
        await self.link.send(msgspec.json.encode({"type": kind, **fields}).decode())

    async def starts(self, **session: Any) -> None:
        await self.sends("session.start", session=SESSION | session)
        await self.hears("session.started")

    def keeps_its_microphone_open(self) -> None:
        """Silence in real time, until the connection is over."""

        async def send_sound() -> None:
            while not self.over.is_set():
                try:
                    await self.sends("session.input_audio.append", audio=silence(100))
                except LinkClosed:
                    return
                await trio.sleep(0.1)

        self._nursery.start_soon(send_sound)

    async def is_refused(self, code: str) -> str:
        error = (await self.hears("error")).event["error"]
        assert error["code"] == code
        return str(error["message"])

    def folded(self) -> list[str]:
        """The types of what was heard; runs count as one."""
        return [kind for kind, _ in groupby(self.recorder.types())]

    def at(self, kind: str) -> list[float]:
        return [round(entry.at, 3) for entry in self.recorder.heard(kind)]


@pytest.fixture
async def model(nursery: trio.Nursery) -> ScriptedLiveModel:
    assert isinstance(trio.lowlevel.current_clock(), trio.testing.MockClock)
    return ScriptedLiveModel(nursery)


@pytest.fixture
def connect(model: ScriptedLiveModel, nursery: trio.Nursery) -> Callable[[], LiveCaller]:
    return lambda: LiveCaller(model.connect(), nursery)


@pytest.fixture
async def caller(connect: Callable[[], LiveCaller]) -> LiveCaller:
    """A client whose session has started, and whose microphone is open since."""
    caller = connect()
    await caller.starts()
    caller.keeps_its_microphone_open()
    return caller


def is_silent(frame: dict[str, Any]) -> bool:
    """As the recordings, which keep the first 44 characters of a piece of sound, tell silence from speech."""
    return set(frame["delta"][:44]) == {"A"}


def what_is_said(frames: list[dict[str, Any]]) -> list[str]:
    """The types of frames up to the first loud piece after the first word of an answer; the rest of them is pauses."""
    kinds: list[str] = []
    for frame in frames:
        kind = frame["type"]
        is_answered = "session.output_transcript.delta" in kinds
        if kind == SOUND and is_silent(frame):
            kinds.append("silence")
        elif kind == SOUND and is_answered:
            return [kind for kind, _ in groupby([*kinds, "sound"])]
        elif kind != SOUND and kind != "session.usage.updated":
            kinds.append(kind)
    raise AssertionError("nothing was said")


async def test_a_turn_has_the_recorded_order(autojump_clock: MockClock, caller: LiveCaller, model: Any) -> None:
    recorded = list(recorded_frames("openai-live/a_stored_session_reconnects_by_forking"))
    fork = [place for place, frame in enumerate(recorded) if frame["type"] == "session.started"][1]
    # A single digit of dither comes with the first output; words come between pieces of silence.
    await model.hear_speech(QUESTION, answer="Turquoise .", answer_after=0.2)
    await trio.sleep(2)
    mine = [entry.event for entry in caller.recorder.entries]
    assert without_pauses(what_is_said(mine)) == without_pauses(what_is_said(recorded[fork:]))


def without_pauses(kinds: list[str]) -> list[str]:
    return [kind for kind, _ in groupby(kind for kind in kinds if kind != "silence")]


async def test_words_and_the_answer_come_when_recorded_ones_do(
    autojump_clock: MockClock, caller: LiveCaller, model: ScriptedLiveModel
) -> None:
    began = caller.recorder.now
    ends = (1.0, 1.2, 1.4, 1.8, 2.0)
    await model.hear_speech(QUESTION, ends_at=ends, lags=(0.4, 0.4, 0.4, 0.4, 0.5), answer="Blue.", answer_after=0.2)
    (answer,) = [await caller.hears("session.output_transcript.delta")]
    heard = [
        (entry.event["delta"], round(entry.at - began, 3))
        for entry in caller.recorder.heard("session.input_transcript.delta")
    ]
    assert heard == [(" What", 1.4), (" is", 1.6), (" my", 1.8), (" favorite", 2.2), (" color", 2.5)]
    assert round(answer.at - began, 3) == 2.7
    last = caller.recorder.heard("session.input_transcript.delta")[-1].event
    assert last["start_ms"] < last["end_ms"] <= answer.event["start_ms"]
    assert all(event[field] % 200 == 0 for event in (last, answer.event) for field in ("start_ms", "end_ms"))


async def test_output_never_pauses_and_is_dithered_now_and_then(
    autojump_clock: MockClock, caller: LiveCaller, model: ScriptedLiveModel
) -> None:
    await caller.hears(SOUND)
    await trio.sleep(9.95)
    pieces = caller.recorder.heard(SOUND)
    assert len(pieces) == 100
    assert {is_silent(entry.event) for entry in pieces} == {True, False}
    assert not model.session.speech.is_loud


async def test_a_stored_session_is_forked_and_keeps_its_settings(
    autojump_clock: MockClock, model: ScriptedLiveModel, nursery: trio.Nursery
) -> None:
    first = LiveCaller(model.connect(), nursery)
    await first.starts(store=True, instructions="Be kind.")
    model.drop()
    second = LiveCaller(model.connect(model.sessions[0].id), nursery)
    await second.sends("session.start", session={})
    session = (await second.hears("session.started")).event["session"]
    assert (session["id"], session["instructions"], session["store"]) == ("live_1", "Be kind.", True)


async def test_only_what_was_stored_can_be_forked(
    autojump_clock: MockClock, model: ScriptedLiveModel, nursery: trio.Nursery
) -> None:
    await LiveCaller(model.connect(), nursery).starts()
    fork = LiveCaller(model.connect("live_0"), nursery)
    await fork.sends("session.start", session={})
    await fork.is_refused("session_not_found")


async def test_nothing_comes_before_the_start(autojump_clock: MockClock, connect: Callable[[], LiveCaller]) -> None:
    caller = connect()
    await caller.sends("session.input_audio.append", audio=silence(100))
    await caller.is_refused("session_not_started")


@pytest.mark.parametrize(
    ("session", "code"),
    [
        ({"voice": "marin"}, "unknown_parameter"),
        ({"audio": {"input": {}}}, "unknown_parameter"),
        ({"audio": {"output": {"speed": 1.1}}}, "unknown_parameter"),
        ({"delegation": {"type": "client", "model": "x"}}, "unknown_parameter"),
        ({"delegation": {"type": "none"}}, "invalid_value"),
        ({"audio": {"output": {"voice": "fable"}}}, "invalid_value"),
        ({"audio": {"format": {"type": "audio/opus"}}}, "invalid_value"),
        ({"model": "gpt-realtime-2.1"}, "invalid_model"),
        ({"instructions": "word " * 16_385}, "string_above_max_length"),
        ({"input": [{"role": "system", "content": [{"type": "input_text", "text": "x"}]}]}, "invalid_value"),
        ({"input": [{"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]}, "invalid_value"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "x"}]}] * 129},
            "array_above_max_length",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_text", "text": "word " * 8_190}]}]},
            "array_above_max_length",
        ),
    ],
)
async def test_a_session_that_the_api_does_not_know_is_refused(
    autojump_clock: MockClock, connect: Callable[[], LiveCaller], session: dict[str, Any], code: str
) -> None:
    caller = connect()
    await caller.sends("session.start", session=SESSION | session)
    await caller.is_refused(code)
    await caller.starts()


@pytest.mark.parametrize("voice", [*("marin", "cedar", "willow"), {"id": "voice_1"}])
async def test_a_voice_of_the_api_is_taken(
    autojump_clock: MockClock, connect: Callable[[], LiveCaller], voice: object
) -> None:
    await connect().starts(audio={"output": {"voice": voice}})


async def test_an_append_is_acknowledged_after_a_while_and_then_known(
    autojump_clock: MockClock, caller: LiveCaller, model: ScriptedLiveModel
) -> None:
    sent_at = caller.recorder.now
    await caller.sends("session.thinking.append", event_id="t1", content="It is blue.", delegation_id=None)
    appended = await caller.hears("session.thinking.appended")
    assert (round(appended.at - sent_at, 3), appended.event["client_event_id"]) == (0.4, "t1")
    assert model.told == ["It is blue."]


@pytest.mark.parametrize(
    ("append", "code"),
    [
        ({"content": "Hello."}, "missing_required_parameter"),
        ({"content": "Hello.", "delegation_id": "item_9"}, "invalid_value"),
        ({"content": "", "delegation_id": None}, "invalid_type"),
        ({"content": "word " * (CONTENT_TOKENS_MAX + 1), "delegation_id": None}, "string_above_max_length"),
        ({"content": "Hello.", "delegation_id": None, "role": "system"}, "unknown_parameter"),
    ],
)
async def test_an_append_against_the_rules_is_refused(
    autojump_clock: MockClock, caller: LiveCaller, model: ScriptedLiveModel, append: dict[str, Any], code: str
) -> None:
    await caller.sends("session.thinking.append", **append)
    await caller.is_refused(code)
    assert model.told == []


async def test_500_tokens_are_taken(autojump_clock: MockClock, caller: LiveCaller, model: ScriptedLiveModel) -> None:
    await caller.sends("session.thinking.append", content="word " * CONTENT_TOKENS_MAX, delegation_id=None)
    await caller.hears("session.thinking.appended")


@pytest.mark.parametrize(("text", "tokens"), [("", 0), ("Hello, world.", 4), ("internationalization", 4), ("1234", 2)])
def test_tokens_are_counted_high(text: str, tokens: int) -> None:
    assert count_tokens(text) == tokens


async def test_an_append_without_sound_on_its_way_is_neither_acknowledged_nor_refused_nor_known(
    autojump_clock: MockClock, connect: Callable[[], LiveCaller], model: ScriptedLiveModel
) -> None:
    caller = connect()
    await caller.starts()
    await caller.sends("session.thinking.append", content="It is blue.", delegation_id=None)
    await trio.sleep(5)
    await caller.sends("session.input_audio.append", audio=silence(100))
    await trio.sleep(1)
    await caller.sends("session.thinking.append", content="It is red.", delegation_id=None)
    await trio.sleep(5)
    assert set(caller.recorder.types()) == {"session.started", SOUND}
    assert model.told == []


async def test_an_unknown_event_is_refused_with_all_that_there_are(
    autojump_clock: MockClock, caller: LiveCaller
) -> None:
    await caller.sends("input_audio_buffer.commit")
    message = await caller.is_refused("invalid_value")
    assert "'session.thinking.append'" in message


@pytest.mark.parametrize("kind", ["response.create", "response.item.create"])
async def test_a_session_that_delegates_to_its_client_has_no_responses(
    autojump_clock: MockClock, caller: LiveCaller, kind: str
) -> None:
    await caller.sends(kind)
    assert "requires Responses delegation" in await caller.is_refused("invalid_value")


async def test_a_delegation_names_no_task_and_is_answered_by_its_id(
    autojump_clock: MockClock, caller: LiveCaller, model: ScriptedLiveModel
) -> None:
    delegation_id = model.delegate()
    delegation = (await caller.hears("session.delegation.created")).event["delegation"]
    assert delegation == {"id": delegation_id, "type": "delegation", "target": "client"}
    await caller.sends("session.thinking.append", content="It is blue.", delegation_id=delegation_id)
    await caller.hears("session.thinking.appended")


async def test_seconds_are_those_of_the_sound_not_of_the_clock(
    autojump_clock: MockClock, connect: Callable[[], LiveCaller]
) -> None:
    caller = connect()
    await caller.starts()
    for _ in range(14):
        await caller.sends("session.input_audio.append", audio=silence(1000))
    await caller.sends("session.close")
    closed = (await caller.hears("session.closed")).event
    assert (closed["reason"], closed["usage"]) == ("close_requested", {"seconds": 14.0})
    await caller.over.wait()


async def test_the_model_gives_way_to_the_user_and_answers_the_new_question_only(
    autojump_clock: MockClock, caller: LiveCaller, model: ScriptedLiveModel
) -> None:
    await model.hear_speech(QUESTION, answer="one two three four five six seven eight nine ten")
    await caller.hears("session.output_transcript.delta")
    await trio.sleep(0.45)
    await model.hear_speech("and yours", answer="Red.")
    await trio.sleep(3)
    words = [entry.event["delta"] for entry in caller.recorder.heard("session.output_transcript.delta")]
    assert words == [" one", " two", " three", " four", " Red."]


async def test_a_session_ends_by_itself_at_its_longest_duration(
    autojump_clock: MockClock, connect: Callable[[], LiveCaller], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live_session, "SESSION_SECONDS", 30)
    caller = connect()
    await caller.starts()
    closed = await caller.hears("session.closed")
    assert closed.event["reason"] == "expired"
    assert len(caller.recorder.heard("session.usage.updated")) == 2
    await caller.over.wait()
