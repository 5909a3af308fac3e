"""Drop-in clients under schedules that Hypothesis explores: in whatever order tasks run, the invariants hold.

As `test_schedules`, for clients that lead their own conversation; three kinds of them, since the gate does something
else for each: who is answered by itself, who asks for each answer, and who commits by hand.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import msgspec
import pytest
import trio
import trio.testing
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.realtime_session_fixture import RealtimeSessionFixture
from tests.support.response_ends import check_I14_every_response_ends
from tests.support.session_stories import (
    Deed,
    answers,
    check_I1_one_answer_at_a_time,
    check_I6_truncations,
    pauses,
    searches,
)
from voice_trio.testing.script import Answer

SECONDS = 60.0
WORDS = ["brooder", "winter", "ducks", "light", "layers", "water", "feed", "chicks"]

DEEDS = [
    "speak",
    "speak",
    "write",
    "ask",
    "cancel",
    "cut",
    "aside",
    "slow",
    "stall",
    "function",
    "clear",
    "commit",
    "drop",
]

deeds = st.lists(
    st.builds(
        Deed,
        after=pauses,
        what=st.sampled_from(DEEDS),
        size=st.integers(min_value=0, max_value=8),
    ),
    min_size=1,
    max_size=10,
)


@dataclass(frozen=True)
class Story:
    deeds: list[Deed]
    answers: list[Answer]
    search_seconds: float
    cut_after: float
    manner: str
    interrupts: bool
    truncates: bool
    """Whether the client tells by itself what was heard, whenever speech begins."""


slow_to_begin = st.lists(st.builds(Answer, created_after=st.sampled_from([0.0, 1.0, 4.0])), max_size=4)

stories = st.builds(
    Story,
    deeds=deeds,
    answers=st.one_of(answers, slow_to_begin),
    search_seconds=searches,
    cut_after=st.sampled_from([0.0, 0.1, 1.0]),
    manner=st.sampled_from(["automatic", "asked", "by hand"]),
    interrupts=st.sampled_from([True, True, False]),
    truncates=st.booleans(),
)


@given(schedule=st.random_module(), story=stories)
@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_invariants_hold_for_drop_in_clients_under_any_schedule(schedule: object, story: Story) -> None:
    trio.run(play, story, clock=trio.testing.MockClock(autojump_threshold=0))


@pytest.mark.slow
@pytest.mark.timeout(1800)
@given(schedule=st.random_module(), story=stories)
@settings(max_examples=3000, deadline=None, suppress_health_check=list(HealthCheck))
def test_the_invariants_hold_for_drop_in_clients_under_very_many_schedules(schedule: object, story: Story) -> None:
    trio.run(play, story, clock=trio.testing.MockClock(autojump_threshold=0))


async def play(story: Story) -> None:
    async with trio.open_nursery() as nursery:
        session = RealtimeSessionFixture(nursery, duration_seconds=SECONDS, idle_seconds=1000.0)
        client = Client(session, story)
        session.model.answers_next(*story.answers)
        session.model.interrupt_after(story.cut_after)
        session.knowledge.answer_after(story.search_seconds)
        await session.ready()
        await client.begin()
        for deed in story.deeds:
            await trio.sleep(deed.after)
            if not session.over.is_set():
                await client.do(deed)
        session.client.read_again()
        await trio.sleep(20.0)
        await client.check_never_silent()
        await session.over.wait()
        await session.client.is_closed()  # it has read what was written last
        check(session, story)
        nursery.cancel_scope.cancel()


class Client:
    """What it asked for, so that it can say whether it was answered."""

    def __init__(self, session: RealtimeSessionFixture, story: Story) -> None:
        self._session = session
        self._story = story
        self._asked: list[str] = []
        self._awaits_answer = False

    async def begin(self) -> None:
        detection: dict[str, Any] | None = None
        if self._story.manner != "by hand":
            create = self._story.manner == "automatic"
            detection = {"type": "server_vad", "create_response": create, "interrupt_response": self._story.interrupts}
        await self._session.update(audio={"input": {"turn_detection": detection}})
        if self._story.truncates:
            self._session.soon(self._truncate_at_speech)

    async def _truncate_at_speech(self) -> None:
        while True:
            await self._session.client.hears("input_audio_buffer.speech_started")
            await self._cut(1)

    async def do(self, deed: Deed) -> None:
        session, words = self._session, " ".join(WORDS[: deed.size])
        by_itself = self._story.manner == "automatic"
        self._awaits_answer = deed.what == "speak" and by_itself
        match deed.what:
            case "speak" if self._story.manner == "by hand":
                await session.append(0.5)
                await session.send("input_audio_buffer.commit")
            case "speak":
                how = {"words_at": [0.1 * place for place in range(deed.size)], "lasts": 0.4, "silence": 0.2}
                await session.asks(words, **how)
            case "write":
                await session.write(words or "hello")
                await self._ask()
            case "ask":
                await self._ask()
            case "function":
                session.model.call_function("weather", "{}")
                await self._ask()
                await trio.sleep(1.0)
                for entry in session.client.heard_of("response.function_call_arguments.done")[-1:]:
                    output = {"type": "function_call_output", "call_id": entry.event["call_id"], "output": "sun"}
                    await session.send("conversation.item.create", item=output)
                await self._ask()
            case "slow":
                session.client.stop_reading()
                await trio.sleep(min(deed.size, 4))
                session.client.read_again()
                await trio.sleep(0.1)  # who takes nothing for five seconds is let go
            case "stall" if self._story.manner != "by hand":
                item_id = session.model.start_speech()
                await trio.sleep(0.1)
                session.model.stop_speech(item_id)
            case _:
                await self._say(deed)

    async def _say(self, deed: Deed) -> None:
        session = self._session
        match deed.what:
            case "aside":
                await self._ask(conversation="none")
            case "cancel":
                await session.send("response.cancel")
            case "clear":
                await session.send("input_audio_buffer.clear")
            case "commit":
                await session.append(0.2)
                await session.send("input_audio_buffer.commit")
            case "cut":
                await self._cut(deed.size)
            case "drop" if deed.size < 3:  # the session ends with it: now and then is enough
                await session.model.drop()
                await session.over.wait()

    async def _ask(self, **response: Any) -> None:
        name = f"ask_{len(self._asked)}"
        self._asked.append(name)
        await self._session.ask(name, metadata={"name": name}, **response)

    async def _cut(self, size: int) -> None:
        """What is heard last is cut; what runs aside is nobody's answer."""
        asides = {entry.event["response"]["id"] for entry in self._session.model.said if is_aside(entry.event)}
        sounds = self._session.client.heard_of("response.output_audio.delta")
        heard = [entry.event["item_id"] for entry in sounds if entry.event["response_id"] not in asides]
        for item_id in heard[-1:]:
            await self._session.cut(item_id, size * 300)

    async def check_never_silent(self) -> None:
        """Whatever was asked for has its response by now, or an error that names it; or the session is over."""
        session = self._session
        if session.over.is_set():
            return
        answered = {
            (entry.event["response"]["metadata"] or {}).get("name")
            for entry in session.client.heard_of("response.done")
        }
        refused = {error["event_id"] for error in session.errors()}
        missing = set(self._asked) - answered - refused
        assert missing == set(), f"never silent: {missing}"
        if self._awaits_answer and session.model.session is not None:
            committed = session.client.heard_of("input_audio_buffer.committed")[-1].at
            assert any(entry.at >= committed for entry in session.client.heard_of("response.done")), "never silent"


def check(session: RealtimeSessionFixture, story: Story) -> None:
    conversation = [entry for entry in session.model.said if not is_aside(entry.event)]
    check_I1_one_answer_at_a_time(replace_said(session, conversation))
    check_I2_context_first(session, story)
    check_I5_silence(session, story)
    check_I6(session)
    assert session.ended_at <= SECONDS + 2.0 + 0.001, "I7"
    check_I14_every_response_ends(session)
    for entry in session.client.heard:
        assert '"vt' not in msgspec.json.encode(entry.event).decode(), "nothing of ours is seen"
    refused = [entry.event["error"] for entry in session.model.said if entry.type == "error"]
    harmless = {"response_cancel_not_active", "input_audio_buffer_commit_empty"}
    assert [error for error in refused if error["code"] not in harmless] == []


@dataclass(frozen=True)
class _Said:
    said: list[Any]


@dataclass(frozen=True)
class _ModelOnly:
    model: _Said


def replace_said(session: RealtimeSessionFixture, said: list[Any]) -> Any:
    """As much of a session as `check_I1_one_answer_at_a_time` looks at."""
    return _ModelOnly(_Said(said))


def is_aside(event: dict[str, Any]) -> bool:
    response = event.get("response")
    return isinstance(response, dict) and response.get("conversation_id") is None


def check_I2_context_first(session: RealtimeSessionFixture, story: Story) -> None:
    """No context without a question before it; answered by itself, it leaves right before its `response.create`."""
    sent = [
        entry for entry in session.model.received if entry.type not in ("input_audio_buffer.append", "session.update")
    ]
    contexts = [
        (place, entry)
        for place, entry in enumerate(sent)
        if entry.type == "conversation.item.create" and entry.event["item"].get("role") == "system"
    ]
    questions = [entry for entry in session.model.said if entry.type == "input_audio_buffer.committed"]
    questions += [
        entry
        for entry in session.model.received
        if entry.type == "conversation.item.create" and entry.event["item"].get("role") == "user"
    ]
    for count, (place, entry) in enumerate(contexts, 1):
        assert sum(question.at <= entry.at + 1e-9 for question in questions) >= count, "I2, I4: one a question"
        if story.manner == "automatic" and not any(deed.what == "commit" for deed in story.deeds):
            following = sent[place + 1 : place + 2]
            assert not following or following[0].type == "response.create", "I2"


def check_I5_silence(session: RealtimeSessionFixture, story: Story) -> None:
    """After speech has begun, no sound of an answer that was begun before it."""
    if not story.interrupts or story.manner == "by hand":
        return
    asides = {entry.event["response"]["id"] for entry in session.model.said if is_aside(entry.event)}
    begun: set[str] = set()
    silent: set[str] = set()
    for entry in session.client.heard:
        if entry.type == "response.created":
            begun.add(entry.event["response"]["id"])
        elif entry.type == "input_audio_buffer.speech_started":
            silent |= begun - asides
        elif entry.type == "response.output_audio.delta":
            assert entry.event["response_id"] not in silent, "I5"


def check_I6(session: RealtimeSessionFixture) -> None:
    for entry in session.model.heard("conversation.item.truncate"):
        if entry.event["audio_end_ms"] == 0:  # a client's own word, which the model takes
            entry.event["audio_end_ms"] = 1
    check_I6_truncations(session)
    deleted = [entry.event["item_id"] for entry in session.model.heard("conversation.item.delete")]
    truncated = {entry.event["item_id"] for entry in session.model.heard("conversation.item.truncate")}
    assert len(deleted) == len(set(deleted)), "I6"
    assert not truncated & set(deleted), "I6: one word an item"
