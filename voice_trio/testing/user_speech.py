"""How the scripted model hears: speech begins, words follow, silence ends it, the whole text comes last."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from voice_trio.protocols.realtime import input_events
from voice_trio.testing import script

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.testing.model_session import ModelSession


@dataclass(frozen=True, slots=True, kw_only=True)
class SpokenUtterance:
    """An utterance and when it is transcribed, in seconds from its first audio.

    `lasts` is how long it is, `silence` what follows until the commit; `word_times` say when each of `pieces` becomes
    known.
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
    """An utterance with its times: words that are unknown at the commit come soon after it."""
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
    """The user's first audio, noticed `ago_ms` late; a running answer is interrupted if the session says so.

    Returns the id of the item to come.
    """
    item_id = session.new_id("item")
    session.start_speech(item_id, ago_ms)
    return item_id


def hear_piece(session: ModelSession, item_id: str, piece: str) -> None:
    """A piece of what is being said."""
    session.server.transcript_delta(item_id, piece)


def stop_speech(session: ModelSession, item_id: str) -> None:
    """Enough silence: the user's audio becomes an item."""
    session.stop_speech(item_id)


def complete(session: ModelSession, item_id: str, text: str) -> None:
    """The whole transcript, or the failure of `fail_next_transcription`."""
    failure, session.model.behaviour.transcription_failure = session.model.behaviour.transcription_failure, None
    if failure:
        message = "The audio could not be transcribed."
        trouble = input_events.ErrorDetails(type="transcription_error", code=failure, message=message)
        session.server.transcript_failed(item_id, trouble)
    else:
        session.server.transcript_completed(item_id, text)


async def hear(session: ModelSession, said: SpokenUtterance) -> str:
    """Send the events of an utterance up to its commit; tasks of the session send what comes later.

    A session that is over in the meantime hears no more.
    """
    began = trio.current_time()
    item_id = start_speech(session)
    model = session.config.transcription_model
    timed = list(zip(said.pieces, said.word_times, strict=True)) if model in script.STREAMING_TRANSCRIPTION else []
    early = [(piece, at) for piece, at in timed if at < said.committed_at]
    for piece, at in early:
        await trio.sleep_until(began + at)
        hear_piece(session, item_id, piece)
    await trio.sleep_until(began + said.committed_at)
    if session.over.is_set():
        return item_id
    stop_speech(session, item_id)
    if model is not None:
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
    if session.config.transcription_model not in script.STREAMING_TRANSCRIPTION:
        # Models that begin at the commit say everything in a burst.
        for piece in said.pieces:
            hear_piece(session, item_id, piece)
    complete(session, item_id, said.text)
