"""The upstream is lost in mid-session: the client is told, another one takes its place, the conversation goes on."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.session_fixture import SessionFixture, contexts
from voice_trio.errors import ModelRefused, ModelUnavailable
from voice_trio.net.refusals import refusal_error
from voice_trio.session.endings import Ending
from voice_trio.testing.client import FakeClient

if TYPE_CHECKING:
    from trio.testing import MockClock

QUESTION = "how warm must the brooder be in winter"


def said(session: SessionFixture) -> list[tuple[str, str]]:
    """(role, text) of what the newest model holds, context apart."""
    return [
        (item["role"], part.get("text") or part.get("transcript") or "")
        for item in session.model.items
        if item["role"] != "system"
        for part in item["content"]
    ]


async def test_a_lost_upstream_is_replaced_and_told_what_was_said(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("Thirty-four degrees.", audio_ms=1000)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.done")
    await trio.sleep(5)
    await session.model.drop()
    await session.client.hears("session.recovering")
    await session.client.hears("session.recovered")
    await trio.sleep(0.1)
    assert said(session) == [("user", QUESTION), ("assistant", "Thirty-four degrees.")]
    await session.asks("how many hours of light do layers need")
    await session.client.hears("response.done")
    assert session.under_test.summary.recoveries == 1
    assert session.told().count("error") == 0


async def test_a_turn_nobody_heard_an_answer_to_is_asked_again(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("Thirty-four degrees.", audio_ms=1000, first_audio_after=2.0)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.created")
    await trio.sleep(1.0)
    await session.model.drop()
    await session.client.hears("session.recovered")
    await trio.sleep(5.0)
    assert [entry.event["status"] for entry in session.client.heard_of("response.done")] == ["incomplete", "completed"]
    assert "34 degrees" in contexts(session.model.items)[0]
    assert session.told().count("context.injected") == 1


async def test_an_answer_that_was_half_heard_goes_on_where_its_sound_stopped_F60(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("a long answer of many words " * 10, audio_ms=20_000, pace=1.0)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.audio.delta")
    await trio.sleep(2.0)
    heard_ms = session.client.audio_received_ms(session.client.heard_of("response.audio.delta")[-1].event["item_id"])
    await session.model.drop()
    session.model.answers_with("and the rest of it.", audio_ms=1000)
    await session.client.hears("session.recovered")
    await trio.sleep(10.0)
    assert len(session.model.heard("response.create")) == 2
    assert [role for role, _ in said(session)] == ["user", "assistant", "assistant"]
    assert [entry.event["status"] for entry in session.client.heard_of("response.done")] == ["incomplete", "completed"]
    (record,) = session.records
    assert (record.status, record.heard_ms) == ("completed", heard_ms + 1000)
    assert record.answer.startswith("a long answer of many words")
    assert record.answer.endswith("and the rest of it.")
    assert session.told().count("error") == 0


async def test_no_audio_goes_to_the_next_model_before_it_has_promised_not_to_answer_by_itself(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.soon(session.client.speak, 10.0)
    await trio.sleep(2.0)
    session.model.never_ready()
    await session.model.drop()
    await trio.sleep(6.0)
    assert [entry for entry in session.model.heard("input_audio_buffer.append") if entry.session == 1] == []
    session.model.behave()
    await session.client.hears("session.recovered")
    await trio.sleep(0.5)
    kept = [entry for entry in session.model.heard("input_audio_buffer.append") if entry.session > 1]
    assert len(kept) >= 5.0 / 0.04


async def test_F59_an_upstream_that_stays_away_is_looked_for_thirty_seconds_and_the_client_is_told(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.upstream_is_away_for(100.0)
    await session.model.drop()
    closed = await session.client.is_closed()
    assert (session.now, closed.code) == (30.0, 1011)
    assert session.told()[-2:] == ["session.recovering", "error"]


async def test_F59_an_upstream_that_is_away_for_six_seconds_closes_nobody(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    sessions = [SessionFixture(nursery) for _ in range(20)]
    for session in sessions:
        await session.ready()
        session.upstream_is_away_for(6.0)
    for session in sessions:
        await session.model.drop()
    for session in sessions:
        recovered = await session.client.hears("session.recovered")
        assert 6.0 <= recovered.at <= 6.0 + 4.0
        await session.asks(QUESTION)
        assert (await session.client.hears("response.done")).event["status"] == "completed"
        assert session.told().count("error") == 0


async def test_F59_an_upstream_that_hangs_is_tried_every_few_seconds_and_never_twice_at_once(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.model.never_ready()
    await session.model.drop()
    await session.until(20.0)
    session.model.behave()
    recovered = await session.client.hears("session.recovered")
    assert 20.0 <= recovered.at <= 20.0 + 3.0 + 4.0
    assert 4 <= session.model.connections <= 8  # attempts of 3 s, pauses of 0.15 to 4 s
    assert session.upstreams_left_open == 0


async def test_F59_a_resumed_session_looks_for_its_first_upstream_as_one_that_has_lost_it(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    session = SessionFixture(nursery, is_resumed=True)
    session.upstream_is_away_for(6.0)
    await session.ready()
    assert 6.0 <= session.now <= 6.0 + 4.0


async def test_F59_typed_text_during_a_recovery_is_answered_after_it(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.upstream_is_away_for(6.0)
    await session.model.drop()
    await trio.sleep(1.0)
    await session.client.type(QUESTION)
    done = await session.client.hears("response.done")
    assert done.event["status"] == "completed"
    assert said(session)[0] == ("user", QUESTION)
    assert session.told().count("error") == 0


async def test_F59_an_interruption_during_a_recovery_leaves_the_session_alive(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("a long answer of many words " * 10, audio_ms=20_000, pace=1.0)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.audio.delta")
    await trio.sleep(2.0)
    session.upstream_is_away_for(6.0)
    await session.model.drop()
    await trio.sleep(1.0)
    await session.client.interrupt()
    assert (await session.client.hears("response.done")).event["status"] == "incomplete"
    await session.client.hears("session.recovered")
    session.model.answers_with("Sixteen hours.")
    await session.asks("how many hours of light do layers need")
    await session.client.hears("response.done")
    assert session.told()[-1] == "response.done"


async def test_F59_a_client_that_ends_or_leaves_during_a_recovery_ends_the_session_at_once(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    for leave, ending in ((FakeClient.end_session, Ending.CLIENT_ENDED), (FakeClient.hang_up, Ending.CLIENT_LEFT)):
        session = SessionFixture(nursery)
        await session.ready()
        session.model.never_ready()
        await session.model.drop()
        await trio.sleep(1.0)
        left_at = session.now
        await leave(session.client)
        await session.over.wait()
        assert session.summary.ending is ending
        assert session.ended_at - left_at < 1.0


@pytest.mark.parametrize(
    "refusal",
    [
        ModelRefused("insufficient_quota"),
        refusal_error(401, None),
        refusal_error(403, b'{"error": {"code": "insufficient_quota"}}'),
    ],
    ids=str,
)
async def test_what_no_retry_cures_is_not_retried(
    autojump_clock: MockClock, session: SessionFixture, refusal: ModelUnavailable
) -> None:
    await session.ready()
    session.model.refuse_next_connection(refusal)
    at = session.now
    await session.model.drop()
    await session.over.wait()
    assert session.now == at
    assert session.summary.ending is Ending.UPSTREAM_LOST


async def test_F59_a_proxy_that_answers_for_the_upstream_while_it_is_away_ends_no_session(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    for status in (404, 403, 400, 503):
        session.model.refuse_next_connection(refusal_error(status, b"<html>not here</html>"))
    await session.model.drop()
    await session.client.hears("session.recovered")


async def test_an_upstream_session_that_expires_is_replaced(autojump_clock: MockClock, session: SessionFixture) -> None:
    await session.ready()
    session.model.send_error("session_expired")
    await session.client.hears("session.recovered")
    assert session.model.connections == 2


async def test_an_upstream_that_takes_nothing_for_ten_seconds_is_replaced(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    session.model.session.link.stall()  # type: ignore[union-attr]  # a memory link, after ready
    session.soon(session.client.speak, 30.0)
    recovering = await session.client.hears("session.recovering")
    await session.client.hears("session.recovered")
    assert recovering.at == pytest.approx(10.0, abs=0.1)


async def test_an_upstream_that_is_lost_again_and_again_within_a_minute_is_given_up(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    while not session.over.is_set():
        await session.model.drop()
        await trio.sleep(5.9)
    assert session.model.connections == 11
    assert session.summary.ending is Ending.UPSTREAM_LOST


async def test_F59_recoveries_that_lasted_end_no_session(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = SessionFixture(nursery, idle_seconds=1_000)
    await session.ready()
    for _ in range(25):
        await session.model.drop()
        await session.client.hears("session.recovered")
        await trio.sleep(7.0)
    assert session.under_test.summary.recoveries == 25
    assert not session.over.is_set()


async def test_F65_an_upstream_that_accepts_and_drops_at_once_is_asked_with_growing_pauses(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    dropped_at = []
    while not session.over.is_set():
        dropped_at.append(session.now)
        await session.model.drop()
        with trio.move_on_after(10.0):
            await session.client.hears("session.recovered")
    pauses = [later - earlier for earlier, later in itertools.pairwise(dropped_at[:-1])]
    assert pauses[0] == 0.0
    assert all(0.15 * 2**number <= pause <= 0.3 * 2**number for number, pause in enumerate(pauses[1:4]))
    assert all(2.0 <= pause <= 4.0 for pause in pauses[6:])
    assert session.summary.ending is Ending.UPSTREAM_LOST


async def test_I7_the_deadline_counts_while_recovering(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    session = SessionFixture(nursery, duration_seconds=30)
    await session.ready()
    await session.until(29.0)
    session.model.never_ready()
    await session.model.drop()
    await session.over.wait()
    assert session.ended_at == 30.0
    assert session.summary.ending is Ending.TIMEOUT
