"""How the scripted model hears: speech begins, words come in behind it, silence ends it, the full text comes last."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from voice_trio.protocols.realtime import input_events, sessions
from voice_trio.testing import script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.testing.model_session import ModelSession


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenUtterance:
    """What is said and when it is understood, in seconds from its first sound.

    `lasts` is how long there is sound, `silence` what follows until the turn counts as over; `word_times` say when
    each of `pieces` becomes known.
    """

    text: str
    pieces: Sequence[str]
    word_times: Sequence[float]
    lasts: float
    silence: float
    completed_after: float

    @property
    def committed_at(self) -> float:
        return self.lasts + self.silence


def utterance(
    text: str,
    *,
    words_at: Sequence[float] | None,
    first_word_after: float,
    word_every: float,
    lasts: float | None,
    silence: float,
    completed_after: float,
) -> SpokenUtterance:
    """An utterance with its times worked out: words still unknown at the commit come soon after it."""
    pieces = [f" {word}" for word in re.findall(r"\S+", text)]
    sound = max(word_every, len(pieces) * script.WORD_EVERY) if lasts is None else lasts
    latest = sound + silence + script.LAST_WORDS_WITHIN
    reckoned = [min(first_word_after + index * word_every, latest) for index in range(len(pieces))]
    return SpokenUtterance(
        text=text,
        pieces=pieces,
        word_times=reckoned if words_at is None else words_at,
        lasts=sound,
        silence=silence,
        completed_after=completed_after,
    )


def start_speech(session: ModelSession, ago_ms: float = 0.0) -> str:
    """The user's first sound, noticed so late; a running answer is interrupted if the session wants that.

    Returns the item to come.
    """
    item_id = session.new_id("item")
    session.speech_began_at = trio.current_time()
    session.emit(input_events.SpeechStarted(item_id=item_id, audio_start_ms=int(max(0.0, session.heard_ms - ago_ms))))
    detection = sessions.turn_detection_of(session.state)
    if detection is not None and detection.interrupt_response:
        session.interrupt("turn_detected")
    return item_id


def hear_piece(session: ModelSession, item_id: str, piece: str) -> None:
    """A piece of what is being said."""
    session.emit(input_events.TranscriptionDelta(item_id=item_id, content_index=0, delta=piece))


def stop_speech(session: ModelSession, item_id: str) -> None:
    """Enough silence: the user's sound becomes an item."""
    session.emit(input_events.SpeechStopped(item_id=item_id, audio_end_ms=int(session.heard_ms)))
    session.commit(item_id, (trio.current_time() - session.speech_began_at) * 1000)


def complete(session: ModelSession, item_id: str, text: str) -> None:
    """The full text of what was said, or the failure that was asked for."""
    failure, session.model.behaviour.transcription_failure = session.model.behaviour.transcription_failure, None
    if failure:
        trouble = input_events.ErrorDetails(
            type="transcription_error", code=failure, message="The audio could not be transcribed."
        )
        session.emit(input_events.TranscriptionFailed(item_id=item_id, content_index=0, error=trouble))
        return
    for part in next((item.content or () for item in session.items.order if item.id == item_id), ()):
        part.transcript = text
    seconds = math.ceil(session.items.audio_ms.get(item_id, 0.0) / 1000)
    usage = {"type": "duration", "seconds": seconds}
    session.emit(input_events.TranscriptionCompleted(item_id=item_id, content_index=0, transcript=text, usage=usage))


async def hear(session: ModelSession, said: SpokenUtterance) -> str:
    """Live through an utterance up to its commit; what is understood later is said by the session's own tasks."""
    began = trio.current_time()
    item_id = start_speech(session)
    model = sessions.transcription_model_of(session.state)
    timed = list(zip(said.pieces, said.word_times, strict=True)) if model in script.STREAMING_TRANSCRIPTION else []
    early = [(piece, at) for piece, at in timed if at < said.committed_at]
    for piece, at in early:
        await trio.sleep_until(began + at)
        hear_piece(session, item_id, piece)
    await trio.sleep_until(began + said.committed_at)
    stop_speech(session, item_id)
    if model is not None and not session.over.is_set():
        late = timed[len(early) :]
        session.nursery.start_soon(_understand_the_rest, session, item_id, said, late, began)
    return item_id


async def _understand_the_rest(
    session: ModelSession, item_id: str, said: SpokenUtterance, late: list[tuple[str, float]], began: float
) -> None:
    for piece, at in late:
        await trio.sleep_until(began + at)
        hear_piece(session, item_id, piece)
    await trio.sleep_until(began + said.committed_at + said.completed_after)
    if sessions.transcription_model_of(session.state) not in script.STREAMING_TRANSCRIPTION:
        # Models that begin at the commit say everything in a burst.
        for piece in said.pieces:
            hear_piece(session, item_id, piece)
    complete(session, item_id, said.text)
