"""How sessions end: by the client, the clock, the upstream, the operator or a bug; each with its code and reason."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.session_fixture import SessionFixture
from voice_trio.errors import LinkClosed, ModelUnavailable
from voice_trio.net.link import Link
from voice_trio.session.endings import Ending
from voice_trio.session.summary import Activity

if TYPE_CHECKING:
    from trio.testing import MockClock


QUESTION = "how warm must the brooder be in winter"


async def test_I7_the_session_ends_after_exactly_600_seconds_and_the_client_is_told_before(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery, idle_seconds=10_000)
    await session.ready()
    closed = await session.client.is_closed()
    notices = [(round(entry.at, 6), entry.type) for entry in session.client.heard if entry.at > 1]
    assert notices == [(540.0, "session.expiring"), (590.0, "session.expiring"), (600.0, "session.timeout")]
    assert [entry.event["seconds_left"] for entry in session.client.heard_of("session.expiring")] == [60, 10]
    assert (closed.code, closed.reason) == (1000, "Session duration limit reached")
    await session.over.wait()
    assert session.now == 600.0
    assert session.summary.ending is Ending.TIMEOUT
    assert session.summary.duration_s == 600.0


async def test_I7_a_client_that_takes_nothing_does_not_hold_the_session_beyond_the_grace(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery, idle_seconds=10_000, duration_seconds=30)
    await session.ready()
    await session.until(28.0)
    session.client.stop_reading()
    await session.over.wait()
    assert session.now == 32.0


async def test_idleness_ends_a_session_120_seconds_after_the_last_word(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("short", audio_ms=3000, first_audio_after=0.0)
    await session.ready()
    await session.asks(QUESTION)
    first = await session.client.hears("response.audio.delta")
    closed = await session.client.is_closed()
    assert (closed.code, closed.reason) == (1000, "Idle")
    assert session.last_told("error")["error"]["code"] == "idle"
    assert session.now == pytest.approx(first.at + 3.0 + 120.0, abs=0.001)


async def test_session_end_ends_it_at_once(autojump_clock: MockClock, session: SessionFixture) -> None:
    await session.ready()
    await session.until(5.0)
    await session.client.end_session()
    closed = await session.client.is_closed()
    await session.over.wait()
    assert (closed.code, closed.reason) == (1000, "Session ended")
    assert session.now == 5.0
    assert session.model.losses[-1].code == 1000


async def test_I8_a_client_that_hangs_up_takes_everything_with_it_at_once(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.knowledge.hang()
    await session.asks(QUESTION, lasts=2.0)
    await session.client.hang_up()
    await session.over.wait()
    assert session.now < 3.0
    assert session.summary.ending is Ending.CLIENT_LEFT
    assert len(session.model.losses) == 1


async def test_I8_a_client_that_is_reset_in_mid_answer_takes_everything_with_it(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("long", audio_ms=20_000)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.audio.delta")
    before = session.now
    session.client.lose_connection()
    await session.over.wait()
    assert session.now - before < 1.0
    assert session.summary.ending is Ending.CLIENT_LEFT
    assert session.records[-1].status == "ended"


async def test_I8_an_upstream_that_is_lost_ends_the_session_with_a_reason(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.upstream_is_away_for(100.0)
    await session.until(3.0)
    await session.model.drop()
    closed = await session.client.is_closed()
    assert (closed.code, closed.reason) == (1011, "OpenAI connection failed")
    assert session.last_told("error")["error"]["code"] == "upstream_unavailable"
    await session.over.wait()
    assert session.summary.ending is Ending.UPSTREAM_LOST
    assert session.now == 3.0 + 30.0  # UPSTREAM_RECOVERY_SECONDS


async def test_I9_a_client_that_takes_nothing_for_five_seconds_is_closed_with_a_reason(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("long", audio_ms=100_000, pace=1000.0)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.audio.delta")
    session.client.stop_reading()
    stalled_at = session.now
    await session.over.wait()
    assert session.summary.ending is Ending.TOO_SLOW
    assert session.now - stalled_at <= 5.0 + 2.0


async def test_I9_more_than_240_seconds_of_unsent_audio_ends_the_session(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("endless", audio_ms=300_000, pace=100_000.0, chunk_ms=1000)
    await session.ready()
    session.client.stop_reading()
    await session.asks(QUESTION)
    await session.over.wait()
    assert session.summary.ending is Ending.TOO_SLOW


async def test_draining_lets_the_answer_finish_and_closes_with_1012(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("short", audio_ms=3000, first_audio_after=0.0)
    await session.ready()
    await session.asks(QUESTION)
    first = await session.client.hears("response.audio.delta")
    await trio.sleep(1.0)
    session.under_test.drain()
    closed = await session.client.is_closed()
    assert session.last_told("session.draining") == {"type": "session.draining", "resume_token": "resume-me"}
    assert (closed.code, closed.reason) == (1012, "Server restarting, resume")
    assert session.client.now == pytest.approx(first.at + 3.0, abs=0.11)


async def test_draining_waits_eight_seconds_at_most(autojump_clock: MockClock, session: SessionFixture) -> None:
    session.model.answers_with("long", audio_ms=30_000, first_audio_after=0.0)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.audio.delta")
    started = session.now
    session.under_test.drain()
    await session.over.wait()
    assert session.now - started == pytest.approx(8.0)


async def test_draining_ends_a_silent_session_at_once(autojump_clock: MockClock, session: SessionFixture) -> None:
    await session.ready()
    await session.until(2.0)
    session.under_test.drain()
    closed = await session.client.is_closed()
    assert session.now == 2.0
    assert closed.code == 1012
    assert session.told()[-1] == "session.draining"


async def test_cancelled_from_outside_it_still_says_goodbye(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    async with trio.open_nursery() as outside:
        session = SessionFixture(outside)
        await session.ready()
        nursery.start_soon(session.client.run)  # one that outlives the cancellation
        outside.cancel_scope.cancel()
    closed = await session.client.is_closed()
    assert closed.code == 1012
    assert session.summary.ending is Ending.DRAINING


async def test_a_bug_ends_the_session_with_1011_and_no_traceback_for_the_client(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.expects_crash = True
    await session.ready()
    session.knowledge.fail(RuntimeError("bug with sk-secret"))
    await session.asks(QUESTION, lasts=2.6)
    closed = await session.client.is_closed()
    assert closed.code == 1011
    assert closed.reason == "Internal error"
    assert "secret" not in str([entry.event for entry in session.client.heard])
    await session.over.wait()
    assert session.summary.ending is Ending.CRASHED


async def test_an_operator_ends_a_session_in_mid_answer_and_the_client_hears_why_F18(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("a long answer", audio_ms=20_000, first_audio_after=0.0)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.audio.delta")
    assert session.under_test.describe().activity is Activity.ANSWERING
    session.under_test.end(Ending.ENDED_BY_OPERATOR)
    closed = await session.client.is_closed()
    assert (closed.code, closed.reason) == (1008, "Session ended by an operator")
    assert session.last_told("session.ending")["reason"] == "ended_by_operator"
    assert session.last_told("error")["error"]["code"] == "ended_by_operator"
    assert session.client.heard_of("playback.flush")
    await session.over.wait()
    assert session.summary.ending is Ending.ENDED_BY_OPERATOR


async def test_what_a_session_does_is_known_at_any_moment_F18(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    assert session.under_test.describe().activity is Activity.CONNECTING
    await session.ready()
    await trio.sleep(2.0)
    now = session.under_test.describe()
    assert now.activity is Activity.LISTENING
    assert now.ready_seconds == pytest.approx(2.0, abs=0.01)
    session.model.refuse_next_connection(ModelUnavailable("away"))
    await session.model.drop()
    await trio.sleep(0.1)
    assert session.under_test.describe().activity is Activity.RECOVERING
    session.under_test.end(Ending.IDLE)
    assert session.under_test.describe().activity is Activity.ENDING


async def test_draining_a_session_that_is_saying_goodbye_changes_nothing(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.client.stop_reading()
    session.under_test.end(Ending.IDLE)
    await trio.sleep(0.5)
    session.under_test.drain()
    await session.over.wait()
    assert session.summary.ending is Ending.IDLE


async def test_I8_a_client_that_hangs_up_after_a_burst_of_sound_is_noticed_within_a_second(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    for _ in range(7):
        await session.client.send(bytes(48 * 2000))
    await trio.sleep(3.5)  # all of it is read by now, but for what is still being paid for
    at = session.now
    await session.client.hang_up()
    await session.over.wait()
    assert session.ended_at - at <= 1.0


class ShieldedLink(Link):
    """A server whose sends cannot be cancelled: they end when the kernel gives the client up."""

    def __init__(self, link: Link, kernel_seconds: float) -> None:
        self._link = link
        self._kernel_seconds = kernel_seconds

    async def send(self, message: str | bytes) -> None:
        with trio.move_on_after(self._kernel_seconds, shield=True) as kernel:
            await self._link.send(message)
        if kernel.cancelled_caught:
            raise LinkClosed

    async def receive(self) -> str | bytes:
        return await self._link.receive()

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        await self._link.aclose(code, reason)


async def test_I7_a_server_that_shields_its_sends_does_not_hold_the_upstream_beyond_the_grace(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery, wrap=lambda link: ShieldedLink(link, 60.0), duration_seconds=10)
    session.model.answers_with("long", audio_ms=100_000, pace=1000.0)
    await session.ready()
    session.soon(session.asks, QUESTION)
    await session.until(9.0)
    session.client.stop_reading()
    session.model.start_speech()
    await session.until(12.5)
    assert session.under_test.is_over
    assert session.summary.duration_s <= 12.0
    assert len(session.model.losses) == 1
