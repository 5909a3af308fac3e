"""A model that needs no telling: it hears by loudness, understands what it was given, and answers from the context.

For trying out a gateway with real sound in real time, where no test stands by to call verbs. Its answer is a tone; its
words quote the first passage it was shown, so they prove whether the context came in time.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import trio

from voice_trio.protocols.audio import audio_ms, decode_audio
from voice_trio.protocols.realtime import sessions
from voice_trio.testing import script, user_speech
from voice_trio.testing.model import ScriptedModel
from voice_trio.testing.script import Answer
from voice_trio.testing.sounds import loudness

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.net.link import Link
    from voice_trio.protocols.realtime.items import ItemList
    from voice_trio.testing.model_session import ModelSession

LOUD = 300.0  # root mean square of 16-bit samples; speech is above 1000, a quiet room below 100
LOUD_MS_MIN = 60  # shorter noises are clicks
SILENCE_MS = 500
KEPT_EVENTS = 1000
UNKNOWING = "I was given no document that says so."

_PASSAGE = re.compile(r'<passage title="(?P<title>[^"]*)"[^>]*>(?P<text>.*?)</passage>', re.DOTALL)


@dataclass(slots=True)
class LoudnessState:
    """What a session's ears have noticed, in ms of sound; `understood` counts words."""

    loud_ms: float = 0.0
    quiet_ms: float = 0.0
    spoken_ms: float = 0.0
    item_id: str | None = None
    understood: int = 0


class RuleBasedModel(ScriptedModel):
    """`questions` are what users are taken to say, in turn and again from the start."""

    def __init__(self, questions: Sequence[str], *, answer_ms: int = 3000, nursery: trio.Nursery | None = None) -> None:
        super().__init__(nursery, kept=KEPT_EVENTS)
        self._questions = questions
        self._answer_ms = answer_ms
        self._asked = 0
        self._hearing: dict[ModelSession, LoudnessState] = {}

    def next_answer(self, items: ItemList | None = None) -> Answer | None:
        usual = super().next_answer(items)
        if usual is None or items is None or usual != Answer():
            return usual
        return replace(usual, text=answer_from(items), audio_ms=self._answer_ms, tone=True)

    def heard_audio(self, session: ModelSession, audio: str) -> None:
        hearing = self._hearing.setdefault(session, LoudnessState())
        duration_ms = audio_ms(audio)
        if loudness(decode_audio(audio)) >= LOUD:
            hearing.loud_ms, hearing.quiet_ms = hearing.loud_ms + duration_ms, 0.0
        else:
            hearing.loud_ms, hearing.quiet_ms = 0.0, hearing.quiet_ms + duration_ms
        detection = sessions.turn_detection_of(session.state)
        if detection is None:
            return
        if hearing.item_id is None and hearing.loud_ms >= LOUD_MS_MIN:
            self._begin(session, hearing)
        elif hearing.item_id is not None:
            hearing.spoken_ms += duration_ms
            self._understand(session, hearing, hearing.item_id)
            if hearing.quiet_ms >= (detection.silence_duration_ms or SILENCE_MS):
                self._end(session, hearing, hearing.item_id)

    async def serve(self, link: Link) -> None:
        try:
            await super().serve(link)
        finally:
            self._hearing = {session: heard for session, heard in self._hearing.items() if not session.over.is_set()}

    def _begin(self, session: ModelSession, hearing: LoudnessState) -> None:
        hearing.spoken_ms, hearing.understood = 0.0, 0
        hearing.item_id = user_speech.start_speech(session)

    def _understand(self, session: ModelSession, hearing: LoudnessState, item_id: str) -> None:
        """The words that are due by now, as far behind their sound as the real service's."""
        pieces = self._pieces()
        due = (hearing.spoken_ms / 1000 - script.FIRST_WORD_AFTER) / script.WORD_EVERY + 1
        while hearing.understood < min(len(pieces), int(max(0.0, due))) and self._streams(session):
            user_speech.hear_piece(session, item_id, pieces[hearing.understood])
            hearing.understood += 1

    def _end(self, session: ModelSession, hearing: LoudnessState, item_id: str) -> None:
        question = self._question()
        rest = self._pieces()[hearing.understood :] if self._streams(session) else []
        self._asked += 1
        hearing.item_id = None
        user_speech.stop_speech(session, item_id)
        if sessions.transcription_model_of(session.state) is not None:
            session.nursery.start_soon(self._finish, session, item_id, rest, question)

    async def _finish(self, session: ModelSession, item_id: str, rest: list[str], question: str) -> None:
        await trio.sleep(script.LAST_WORDS_WITHIN / 2)
        for piece in rest:
            user_speech.hear_piece(session, item_id, piece)
        await trio.sleep(script.COMPLETED_AFTER - script.LAST_WORDS_WITHIN / 2)
        user_speech.complete(session, item_id, question)

    def _question(self) -> str:
        return self._questions[self._asked % len(self._questions)]

    def _pieces(self) -> list[str]:
        return [f" {word}" for word in self._question().split()]

    def _streams(self, session: ModelSession) -> bool:
        return sessions.transcription_model_of(session.state) in script.STREAMING_TRANSCRIPTION


def answer_from(items: ItemList) -> str:
    """The first passage of the context after the newest thing the user said; an older one proves nothing."""
    for item in reversed(items.order):
        if item.role == "user":
            break
        if item.role == "system" and (passage := _PASSAGE.search(item.text)):
            title, text = html.unescape(passage["title"]), html.unescape(passage["text"])
            return f"{title} says: {' '.join(text.split())}"
    return UNKNOWING
