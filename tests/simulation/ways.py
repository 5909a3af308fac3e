"""The ways of bringing knowledge to an answer, each over the same questions on virtual time, and what each came to.

Three of them are the real session with another policy; the predecessor's wiring, which the session cannot be talked
into, is rebuilt in a few lines. The model answers 558 ms after it is asked.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import trio
import trio.testing

from tests.simulation.questions import COMPLETED_SECONDS, SILENCE_SECONDS, Question
from tests.simulation.stores import ImmediateNet, RemoteStore
from voice_trio.conversation.policy import Policy
from voice_trio.knowledge.shared_knowledge import SharedKnowledge
from voice_trio.protocols.realtime import RealtimeConfig
from voice_trio.session.config import SessionConfig
from voice_trio.session.observers import Observer
from voice_trio.session.session import Session
from voice_trio.testing import user_speech
from voice_trio.testing.client import FakeClient
from voice_trio.testing.links import memory_link_pair
from voice_trio.testing.model import ScriptedModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.stores import Handbook
    from voice_trio.conversation.retrieval.passage import Passage
    from voice_trio.conversation.turn.record import TurnRecord
    from voice_trio.knowledge.knowledge import Knowledge
    from voice_trio.net.link import Link

FIRST_AUDIO_SECONDS = 0.558
ANSWER_MS = 1_000
PAUSE_SECONDS = 4.0  # from a commit to the next question: longer than any answer or search
TURNS_A_SESSION = 10
SEARCH_SECONDS_MAX = 2.0
# Longer than any search after the final transcript.
PATIENT_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class Way:
    """One way of asking: the policy, the transcription, and whether passages are kept locally."""

    name: str
    policy: Policy
    hears_words: bool = True  # else only the final transcript comes
    keeps_passages: bool = False
    forgets_between_turns: bool = False


AFTER_TRANSCRIPT = Way("search after the final transcript", Policy(wait_seconds_max=PATIENT_SECONDS), hears_words=False)
ONE_PREFETCH = Way("one prefetch at five words", Policy(searches_max=1, searches_at_end_max=0))


def ours(in_flight: int | None = None, *, net: bool = True, forgets: bool = False) -> Way:
    """Our own policy; `in_flight` None is the default number of searches at a time."""
    policy = Policy(passage_cache=net)
    if in_flight is not None:
        policy = replace(policy, searches_in_flight_max=in_flight)
    suffix = "" if net and not forgets else ", kept passages of the turn itself only" if net else ", nothing kept"
    return Way(f"ours{suffix}", policy, keeps_passages=net, forgets_between_turns=forgets)


@dataclass(frozen=True, slots=True)
class Turn:
    """What a question came to; seconds count from its commit. `top` is the best passage in the model's context."""

    question: Question
    asked_after: float
    first_audio_after: float
    top: tuple[str, str] | None
    outcome: str
    stale: bool
    queries: int


def run_way(way: Way, questions: Sequence[Question], handbook: Handbook, seed: int) -> list[Turn]:
    """Every question, in sessions of ten, on virtual time."""
    clock = trio.testing.MockClock(autojump_threshold=0)
    return trio.run(_run, way, questions, handbook, seed, clock=clock)


async def _run(way: Way, questions: Sequence[Question], handbook: Handbook, seed: int) -> list[Turn]:
    turns: list[Turn] = []
    async with trio.open_nursery() as nursery:
        store, net = RemoteStore(handbook, seed), ImmediateNet()
        knowledge: Knowledge = store
        if way.keeps_passages:
            knowledge = SharedKnowledge(store, nursery, passage_cache=net)
        for start in range(0, len(questions), TURNS_A_SESSION):
            talk = _Talk(way, knowledge, store, net if way.forgets_between_turns else None)
            turns += await talk.run(questions[start : start + TURNS_A_SESSION], handbook)
        nursery.cancel_scope.cancel()
    return turns


class _Talk(Observer):
    """One session of a few questions."""

    def __init__(self, way: Way, knowledge: Knowledge, store: RemoteStore, net: ImmediateNet | None) -> None:
        self._way = way
        self._knowledge = knowledge
        self._store = store
        self._net = net
        self._records: list[TurnRecord] = []
        self._model: ScriptedModel | None = None

    async def run(self, questions: Sequence[Question], handbook: Handbook) -> list[Turn]:
        async with trio.open_nursery() as nursery:
            ours, theirs = memory_link_pair()
            self._model = ScriptedModel(nursery, kept=100)
            self._model.answers_with("Yes.", audio_ms=ANSWER_MS, first_audio_after=FIRST_AUDIO_SECONDS)
            client = FakeClient(theirs)
            session = Session(ours, self._dial, self._knowledge, _terms(self._way), observers=(self,))
            nursery.start_soon(client.run)
            nursery.start_soon(session.run)
            live = await self._model.wait_for_session()
            await client.hears("session.updated")
            for question in questions:
                self._store.turn = question.number
                if self._net is not None:
                    self._net.forget()
                await user_speech.hear(live, utterance(question, hears_words=self._way.hears_words))
                await trio.sleep(PAUSE_SECONDS)
            nursery.cancel_scope.cancel()
        assert len(self._records) == len(questions), [record.status for record in self._records]
        return [_turn(question, record) for question, record in zip(questions, self._records, strict=True)]

    async def _dial(self, nursery: trio.Nursery) -> Link:
        assert self._model is not None
        return self._model.connect()

    def on_turn(self, record: TurnRecord) -> None:
        self._records.append(record)


def utterance(question: Question, *, hears_words: bool = True) -> user_speech.SpokenUtterance:
    """The question as the scripted model hears it."""
    return user_speech.SpokenUtterance(
        text=question.text,
        pieces=question.pieces if hears_words else (),
        word_times=question.piece_times if hears_words else (),
        lasts=question.lasts,
        silence=SILENCE_SECONDS,
        completed_after=COMPLETED_SECONDS,
    )


def _terms(way: Way) -> SessionConfig:
    config = RealtimeConfig(model="simulated", instructions="")
    return SessionConfig("sess_bench", config, duration_seconds=3_400.0, policy=way.policy)


def _turn(question: Question, record: TurnRecord) -> Turn:
    stages = record.stages
    assert stages.asked is not None
    assert stages.committed is not None
    assert stages.first_audio_in is not None
    assert record.outcome is not None
    return Turn(
        question=question,
        asked_after=round(stages.asked - stages.committed, 6),
        first_audio_after=round(stages.first_audio_in - stages.committed, 6),
        top=record.passages[0] if record.passages else None,
        outcome=record.outcome.value,
        stale=record.stale,
        queries=record.queries,
    )


def title_and_source(passage: Passage) -> tuple[str, str]:
    """What a turn's record tells of a passage."""
    return passage.title, passage.source
