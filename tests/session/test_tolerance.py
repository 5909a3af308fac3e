"""Upstreams that speak the protocol in their own way: they are understood, or end the session with a reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.session_fixture import REALTIME_CONFIG, SessionFixture
from voice_trio.session.endings import Ending
from voice_trio.testing.links import MemoryLink

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock


QUESTION = "how warm must the brooder be in winter"


async def fails(session: SessionFixture, times: int, *, first: int = 0) -> None:
    """So many questions in a row whose transcriptions fail, each answered."""
    for number in range(first, first + times):
        item_id = session.model.start_speech()
        await trio.sleep(1.0)
        session.model.fail_next_transcription("DeploymentNotFound")
        session.model.stop_speech(item_id)
        session.model.complete_transcript(item_id, "")
        await session.client.hears("response.done")
        await trio.sleep(3.0)
        assert len(session.records) == number + 1


@pytest.fixture
def binary(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """From the call on, links in memory give what they receive as binary frames."""
    receive = MemoryLink.receive

    async def receive_bytes(self: MemoryLink) -> str | bytes:
        frame = await receive(self)
        return frame.encode() if isinstance(frame, str) and '"event_id"' in frame else frame

    return lambda: monkeypatch.setattr(MemoryLink, "receive", receive_bytes)


async def test_json_in_binary_frames_is_understood_F23(
    autojump_clock: MockClock, nursery: trio.Nursery, binary: Callable[[], None]
) -> None:
    binary()
    session = SessionFixture(nursery)
    session.model.answers_with("Thirty-four degrees.", audio_ms=400)
    await session.ready()
    await session.asks(QUESTION)
    assert (await session.client.hears("response.done")).event["status"] == "completed"


async def test_an_end_of_speech_without_a_commit_counts_as_one_F24(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery)
    session.model.answers_with("Thirty-four degrees.", audio_ms=400)
    session.model.answers_with("Thirty-four degrees.", audio_ms=400)
    session.model.never_commits()
    await session.ready()
    await session.asks(QUESTION)
    stopped = (await session.client.hears("input_audio_buffer.speech_stopped")).at
    await session.client.hears("response.done")
    assert session.times("response.create")[0] - stopped == pytest.approx(3.0, abs=0.01)

    await trio.sleep(5)
    await session.asks("and for the layers in the same winter")
    stopped = (await session.client.hears("input_audio_buffer.speech_stopped")).at
    await session.client.hears("response.done")
    assert session.times("response.create")[1] - stopped <= 0.2 + 0.01  # it never commits: that is known now


async def test_three_answers_that_were_not_asked_for_end_the_session_with_a_reason_F24(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery)
    await session.ready()
    for _ in range(3):
        await session.model.say("I answer by myself.")
        await trio.sleep(2)
    await session.over.wait()
    assert session.summary.ending is Ending.UPSTREAM_UNAVAILABLE  # health is degraded by it
    assert session.client.heard_of("error")[0].event["error"]["code"] == "model_error"


async def test_three_failed_transcriptions_change_the_model_once_F25(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery)
    await session.ready()
    await fails(session, 3)
    _, change = session.model.heard("session.update")
    assert change.event["session"] == {
        "type": "realtime",
        "audio": {"input": {"transcription": {"model": "gpt-transcribe"}}},
    }
    await fails(session, 4, first=3)
    assert len(session.model.heard("session.update")) == 2
    assert [record.transcription_fallback for record in session.records] == [False] * 2 + [True] * 5


async def test_then_the_sidecar_transcribes_alone_F25(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = SessionFixture(nursery, sidecar="auto", model=REALTIME_CONFIG)
    await session.ready()
    await fails(session, 6)
    assert session.sidecar_dials == 1
    notices = len(session.client.heard_of("error"))
    await fails(session, 1, first=6)
    assert len(session.client.heard_of("error")) == notices  # the sidecar's words count from now on


async def test_a_transcription_that_succeeds_ends_the_row_F25(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = SessionFixture(nursery)
    await session.ready()
    await fails(session, 2)
    await session.asks(QUESTION)
    await session.client.hears("response.done")
    await trio.sleep(5)
    await fails(session, 2, first=3)
    assert len(session.model.heard("session.update")) == 1
