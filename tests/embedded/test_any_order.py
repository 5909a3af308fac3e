"""Whatever clients and engines do, in any order: the promises that every client builds upon hold."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import settings
from hypothesis import strategies as some
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from tests.support.embedded_fixture import CONTEXT, SessionDriver
from tests.support.fake_engines import quiet, voice
from voice_trio.embedded.commands import (
    CancelRecognition,
    CancelSynthesis,
    FinishRecognition,
    StartRecognition,
    Synthesize,
)

IDS = some.integers(0, 5)


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.driver = SessionDriver()
        self.finished: set[int] = set()

    def events(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.driver.events if event["type"] == kind]

    def recognitions(self) -> list[int]:
        return [command.recognition_id for command in self.driver.commands if isinstance(command, StartRecognition)]

    def speeches(self) -> list[str]:
        return [command.response_id for command in self.driver.commands if isinstance(command, Synthesize)]

    def item_id(self, number: int) -> str:
        ids = [event["item"]["id"] for event in self.events("conversation.item.added")]
        return str(ids[-number % len(ids)]) if ids else "none"

    # The client

    @rule(duration_ms=some.sampled_from([40, 200, 700]), voiced=some.booleans())
    def append(self, duration_ms: int, voiced: bool) -> None:
        self.driver.append((voice if voiced else quiet)(duration_ms))

    @rule(
        detection=some.sampled_from([None, "server_vad", "semantic_vad"]),
        create=some.booleans(),
        interrupt=some.booleans(),
        transcribe=some.booleans(),
        text=some.booleans(),
    )
    def update(self, detection: str | None, create: bool, interrupt: bool, transcribe: bool, text: bool) -> None:
        turn = detection and {"type": detection, "create_response": create, "interrupt_response": interrupt}
        heard = {"turn_detection": turn, "transcription": {"model": "whisper-1"} if transcribe else None}
        session = {"type": "realtime", "output_modalities": ["text" if text else "audio"], "audio": {"input": heard}}
        assert self.driver.send("session.update", session=session)[-1]["type"] == "session.updated"

    @rule()
    def commit(self) -> None:
        self.driver.send("input_audio_buffer.commit")

    @rule()
    def clear(self) -> None:
        assert self.driver.send("input_audio_buffer.clear")[-1]["type"] == "input_audio_buffer.cleared"

    @rule(role=some.sampled_from(["user", "system"]), after=IDS | some.none())
    def create_item(self, role: str, after: int | None) -> None:
        content = [{"type": "input_text", "text": CONTEXT if role == "system" else "how warm is the brooder"}]
        place = None if after is None else self.item_id(after)
        item = {"type": "message", "role": role, "content": content}
        self.driver.send("conversation.item.create", item=item, previous_item_id=place)

    @rule(number=IDS, what=some.sampled_from(["retrieve", "delete"]))
    def touch_item(self, number: int, what: str) -> None:
        self.driver.send(f"conversation.item.{what}", item_id=self.item_id(number))

    @rule(number=IDS, end_ms=some.sampled_from([0, 50, 5000]))
    def truncate(self, number: int, end_ms: int) -> None:
        item_id = self.item_id(number)
        self.driver.send("conversation.item.truncate", item_id=item_id, content_index=0, audio_end_ms=end_ms)

    @rule(beside=some.booleans(), tokens=some.sampled_from(["inf", 1, 4]))
    def respond(self, beside: bool, tokens: int | str) -> None:
        params = {"conversation": "none" if beside else "auto", "max_output_tokens": tokens}
        self.driver.send("response.create", response=params)

    @rule(number=IDS | some.none())
    def cancel(self, number: int | None) -> None:
        ids = [event["response"]["id"] for event in self.events("response.created")]
        fields = {} if number is None or not ids else {"response_id": ids[-number % len(ids)]}
        self.driver.send("response.cancel", **fields)

    # Ears, mouth and time

    @rule(number=IDS, what=some.sampled_from(["words", "heard", "unheard"]))
    def hear(self, number: int, what: str) -> None:
        recognitions = [recognition for recognition in self.recognitions() if recognition not in self.finished]
        if not recognitions:
            return
        recognition_id = recognitions[-number % len(recognitions)]
        text = " warm" if what == "words" else "how warm"
        if what == "words":
            self.driver.words(text, recognition_id)
            return
        self.finished.add(recognition_id)
        call = self.driver.session.speech_recognized if what == "heard" else self.driver.session.recognition_failed
        self.driver.take(call(recognition_id, text))

    @rule(number=IDS, what=some.sampled_from(["said", "said", "finished", "failed"]))
    def speak(self, number: int, what: str) -> None:
        speeches = self.speeches()
        if not speeches:
            return
        response_id, session = speeches[-number % len(speeches)], self.driver.session
        match what:
            case "said":
                self.driver.take(session.chunk_synthesized(response_id, " word", bytes(4800)))
            case "finished":
                self.driver.take(session.synthesis_finished(response_id))
            case _:
                self.driver.take(session.synthesis_failed(response_id, "gone"))

    @rule(seconds=some.sampled_from([0.05, 0.3]))
    def wait(self, seconds: float) -> None:
        self.driver.wait(seconds)

    # What always holds

    @invariant()
    def every_response_is_done_at_most_once_and_only_after_it_was_created(self) -> None:
        created = [event["response"]["id"] for event in self.events("response.created")]
        done = [event["response"]["id"] for event in self.events("response.done")]
        assert len(set(done)) == len(done)
        assert set(done) <= set(created)

    @invariant()
    def one_response_at_most_is_under_way_in_the_conversation(self) -> None:
        open_ones: set[str] = set()
        for event in self.driver.events:
            response = event.get("response") or {}
            if response.get("conversation_id") is None:
                continue
            if event["type"] == "response.created":
                open_ones.add(response["id"])
            else:
                open_ones.discard(response["id"])
            assert len(open_ones) <= 1

    @invariant()
    def whatever_a_response_opens_is_closed_before_it_is_done(self) -> None:
        balance: Counter[str] = Counter()
        for event in self.driver.events:
            if event["type"] in ("response.output_item.added", "response.content_part.added"):
                balance[event["response_id"]] += 1
            elif event["type"] in ("response.output_item.done", "response.content_part.done"):
                balance[event["response_id"]] -= 1
            elif event["type"] == "response.done":
                assert balance[event["response"]["id"]] == 0

    @invariant()
    def deltas_are_the_beginning_of_the_transcript_or_disagree_with_it(self) -> None:
        told: Counter[str] = Counter()
        for event in self.driver.events:
            if event["type"].endswith("transcription.completed"):
                told[event["item_id"]] += 1
                assert told[event["item_id"]] == 1
            elif event["type"].endswith("transcription.delta"):
                assert event["delta"]
                assert not told[event["item_id"]]

    @invariant()
    def no_ear_listens_for_ever(self) -> None:
        """At most one hearing is open; the others have been told to finish or to forget."""
        ended = {
            command.recognition_id
            for command in self.driver.commands
            if isinstance(command, (FinishRecognition, CancelRecognition))
        } | self.finished
        assert len(set(self.recognitions()) - ended) <= 1

    @invariant()
    def the_mouth_is_stopped_when_a_response_was_cut_short(self) -> None:
        stopped = {command.response_id for command in self.driver.commands if isinstance(command, CancelSynthesis)}
        for event in self.events("response.done"):
            if event["response"]["status"] == "cancelled":
                assert event["response"]["id"] in stopped


AnyOrder.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestAnyOrder = AnyOrder.TestCase
