"""A scripted model that needs no script: it detects speech by loudness and answers from the context.

For trying out a gateway with real audio in real time, where no test calls verbs. Its answer is a tone; its words quote
the first passage of the context, so they prove whether the context came in time.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import trio

from voice_trio.protocols.audio import audio_ms, decode_audio
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
    """What was detected in a session's audio, in ms of it; `understood` counts words."""

    loud_ms: float = 0.0
    quiet_ms: float = 0.0
    spoken_ms: float = 0.0
    item_id: str | None = None
    understood: int = 0


class RuleBasedModel(ScriptedModel):
    """A model that hears and answers by rules.

    `questions` are the transcripts of what users say, in turn and again from the start. An answer takes `answer_ms`
    when played. `nursery` is needed only for `connect`.
    """

    def __init__(self, questions: Sequence[str], *, answer_ms: int = 3000, nursery: trio.Nursery | None = None) -> None:
        super().__init__(nursery, kept=KEPT_EVENTS)
        self._questions = questions
        self._answer_ms = answer_ms
        self._asked = 0
        self._detected: dict[ModelSession, LoudnessState] = {}

    def next_answer(self, items: ItemList | None = None) -> Answer | None:
        usual = super().next_answer(items)
        if usual is None or items is None or usual != Answer():
            return usual
        return replace(usual, text=answer_from(items), audio_ms=self._answer_ms, tone=True)

    def heard_audio(self, session: ModelSession, audio: str) -> None:
        detected = self._detected.setdefault(session, LoudnessState())
        duration_ms = audio_ms(audio)
        if loudness(decode_audio(audio)) >= LOUD:
            detected.loud_ms, detected.quiet_ms = detected.loud_ms + duration_ms, 0.0
        else:
            detected.loud_ms, detected.quiet_ms = 0.0, detected.quiet_ms + duration_ms
        detection = session.config.detection
        if detection is None:
            return
        if detected.item_id is None and detected.loud_ms >= LOUD_MS_MIN:
            self._begin(session, detected)
        elif detected.item_id is not None:
            detected.spoken_ms += duration_ms
            self._understand(session, detected, detected.item_id)
            if detected.quiet_ms >= (detection.silence_duration_ms or SILENCE_MS):
                self._end(session, detected, detected.item_id)

    async def serve(self, link: Link) -> None:
        try:
            await super().serve(link)
        finally:
            self._detected = {session: heard for session, heard in self._detected.items() if not session.over.is_set()}

    def _begin(self, session: ModelSession, detected: LoudnessState) -> None:
        detected.spoken_ms, detected.understood = 0.0, 0
        detected.item_id = user_speech.start_speech(session)

    def _understand(self, session: ModelSession, detected: LoudnessState, item_id: str) -> None:
        """Send the words that are due by now, as late after their audio as the real service."""
        pieces = self._pieces()
        due = (detected.spoken_ms / 1000 - script.FIRST_WORD_AFTER) / script.WORD_EVERY + 1
        while detected.understood < min(len(pieces), int(max(0.0, due))) and self._streams(session):
            user_speech.hear_piece(session, item_id, pieces[detected.understood])
            detected.understood += 1

    def _end(self, session: ModelSession, detected: LoudnessState, item_id: str) -> None:
        question = self._question()
        rest = self._pieces()[detected.understood :] if self._streams(session) else []
        self._asked += 1
        detected.item_id = None
        user_speech.stop_speech(session, item_id)
        if session.config.transcription_model is not None:
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
        return session.config.transcription_model in script.STREAMING_TRANSCRIPTION


def answer_from(items: ItemList) -> str:
    """The first passage of the context after the newest thing the user said; an older one proves nothing."""
    for item in reversed(items.order):
        if item.role == "user":
            break
        if item.role == "system" and (passage := _PASSAGE.search(item.text)):
            title, text = html.unescape(passage["title"]), html.unescape(passage["text"])
            return f"{title} says: {' '.join(text.split())}"
    return UNKNOWING
