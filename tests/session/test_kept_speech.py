"""F68: the upstream is lost while the user speaks; the next one hears the sentence whole."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from voice_trio import limits
from voice_trio.net.byte_budget import ByteAccount, ByteBudget, Place
from voice_trio.protocols.audio import decode_audio
from voice_trio.session.upstream.kept_speech import KeptSpeech

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.support.session_fixture import SessionFixture

FRAME_SECONDS = 0.04


async def speak(session: SessionFixture, seconds: float) -> None:
    """Send frames in real time, each of which has its number in all samples; the first one is 1."""
    start = trio.current_time()
    for number in range(round(seconds / FRAME_SECONDS)):
        await trio.sleep_until(start + number * FRAME_SECONDS)
        await session.client.send((number + 1).to_bytes(2, "little") * 960)


def heard_by(session: SessionFixture, connection: int) -> list[int]:
    """The numbers of the frames that a connection of the model was sent."""
    frames = [entry for entry in session.model.heard("input_audio_buffer.append") if entry.session == connection]
    return [int.from_bytes(decode_audio(entry.event["audio"])[:2], "little") for entry in frames]


def frame_at(seconds: float) -> int:
    return round(seconds / FRAME_SECONDS)


async def test_F68_the_next_upstream_hears_the_sentence_from_before_its_beginning_and_without_a_gap(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.soon(speak, session, 12.0)
    await trio.sleep(4.0)
    session.model.start_speech()
    await trio.sleep(3.0)
    session.upstream_is_away_for(2.0)
    await session.model.drop()
    await session.client.hears("session.recovered")
    await trio.sleep(6.0)
    heard = heard_by(session, 1)
    assert heard[0] == pytest.approx(frame_at(4.0 - limits.SPEECH_PREROLL_SECONDS), abs=3)
    assert heard == list(range(heard[0], frame_at(12.0) + 1))


async def test_F68_what_was_committed_is_not_heard_again(autojump_clock: MockClock, session: SessionFixture) -> None:
    await session.ready()
    session.soon(speak, session, 12.0)
    await session.asks("how warm must the brooder be", lasts=3.0)
    committed_at = session.now
    await session.client.hears("response.done")
    await session.model.drop()
    await session.client.hears("session.recovered")
    await trio.sleep(0.1)
    assert min(heard_by(session, 1)) > frame_at(committed_at)


async def test_F68_of_a_long_sentence_the_newest_fifteen_seconds_are_heard(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.soon(speak, session, 40.0)
    await trio.sleep(1.0)
    session.model.start_speech()
    await trio.sleep(14.0)
    session.upstream_is_away_for(10.0)
    await session.model.drop()
    await session.client.hears("session.recovered")
    recovered_at = session.now
    await trio.sleep(0.1)
    heard = heard_by(session, 1)
    assert len(heard) * FRAME_SECONDS == pytest.approx(limits.SPEECH_KEPT_SECONDS_MAX, abs=0.3)
    assert heard[-1] == pytest.approx(frame_at(recovered_at), abs=4)
    await trio.sleep(2.0)
    assert session.model.connections == 2


async def test_F68_an_upstream_that_is_lost_before_it_announces_the_sentence_gives_it_on(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.soon(speak, session, 8.0)
    await trio.sleep(2.0)
    session.model.start_speech()
    await trio.sleep(2.0)
    for _ in range(2):
        await session.model.drop()
        await session.client.hears("session.recovered")
        await trio.sleep(0.5)
    assert heard_by(session, 2)[0] == heard_by(session, 1)[0] == pytest.approx(frame_at(1.0), abs=3)


async def test_F68_a_sentence_that_the_next_upstream_does_not_announce_is_not_heard_for_ever(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.soon(speak, session, 30.0)
    await trio.sleep(2.0)
    session.model.start_speech()
    await trio.sleep(2.0)
    await session.model.drop()
    await session.client.hears("session.recovered")
    await trio.sleep(10.0)
    lost_at = session.now
    await session.model.drop()
    await trio.sleep(0.5)
    assert heard_by(session, 2)[0] >= frame_at(lost_at - limits.SPEECH_PREROLL_SECONDS) - 1


async def test_F68_the_words_are_asked_once_whichever_way_they_come(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.soon(speak, session, 5.0)
    item_id = session.model.start_speech()
    session.model.hear_piece(item_id, "how warm must the brooder be")
    await trio.sleep(3.0)
    await session.model.drop()
    await session.client.hears("session.recovered")
    await session.asks("how warm must the brooder be in winter", lasts=0.5)  # the kept sound, and what followed
    await session.client.hears("response.done")
    await trio.sleep(3.0)
    assert len(session.model.heard("response.create")) == 1
    assert session.told().count("error") == 0


def test_F68_while_memory_is_tight_the_oldest_sound_is_dropped_first() -> None:
    budget = ByteBudget()
    account, other = ByteAccount(budget, "ada"), ByteAccount(budget, "ben")
    kept = KeptSpeech()
    kept.account = account
    account.hold(Place.RECEIVED, limits.CLIENT_BASE_BYTES - 10_000)
    for number in range(20):
        kept.add(f"{number:1000}", 40.0, now=1.0)
    other.hold(Place.UPSTREAM, limits.CLIENTS_BYTES_MAX)
    for number in range(20, 25):
        kept.add(f"{number:1000}", 40.0, now=1.0)
    assert [int(frame) for frame, _ in kept.take()] == list(range(15, 25))
