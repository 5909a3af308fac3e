"""I14 in whole sessions: however a response is lost, its client gets its end, and an error if an answer is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.realtime_session_fixture import LONG, RealtimeSessionFixture
from tests.support.response_ends import unended_responses
from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.support.session_fixture import SessionFixture

QUESTION = "how warm must the brooder be in winter"


def dones(session: SessionFixture) -> list[dict[str, Any]]:
    return [entry.event for entry in session.client.heard_of("response.done")]


async def lose(session: SessionFixture, how: str) -> None:
    match how:
        case "reset":
            await session.model.drop()
        case "end of file":
            await session.model.close(1006)
        case "garbage":
            session.model.session.link.send_nowait("\x00")  # type: ignore[union-attr]  # a memory link, after ready
            await session.model.drop()
        case code:
            await session.model.close(int(code))


@pytest.mark.parametrize("how", ["reset", "end of file", "garbage", "1000", "1001", "1011", "4000"])
async def test_an_upstream_lost_in_mid_answer_ends_the_answer_F60(
    autojump_clock: MockClock, session: SessionFixture, how: str
) -> None:
    session.model.answers_with(LONG, audio_ms=20_000, pace=1.0)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.audio.delta")
    await trio.sleep(0.03)
    await lose(session, how)
    await session.client.hears("session.recovered")
    await session.client.hears("response.done")
    assert dones(session)[0]["status"] == "incomplete"
    assert dones(session)[0]["reason"] == "upstream_lost"


@pytest.mark.parametrize(
    "ending", [Ending.TIMEOUT, Ending.BUDGET_EXHAUSTED, Ending.SWITCHED_OFF, Ending.DRAINING, Ending.TAKEN_OVER]
)
async def test_I14_a_session_that_ends_in_mid_answer_ends_the_answer_before_it_closes(
    autojump_clock: MockClock, session: SessionFixture, ending: Ending
) -> None:
    session.model.answers_with(LONG, audio_ms=20_000, pace=1.0)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.audio.delta")
    session.under_test.end(ending)
    await session.client.is_closed()
    assert [done["status"] for done in dones(session)] == ["incomplete"]
    assert dones(session)[0]["reason"] == ending.value.name


async def test_I14_an_end_that_waits_behind_sound_when_the_session_ends_says_that_some_of_it_is_missing(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with(LONG, audio_ms=20_000, pace=1000.0)
    await session.ready()
    await session.asks(QUESTION)
    await session.client.hears("response.audio.delta")
    await trio.sleep(1.0)
    assert session.model.said[-1].type != "response.created"
    session.under_test.end(Ending.TIMEOUT)
    await session.client.is_closed()
    assert [done["status"] for done in dones(session)] == ["incomplete"]


async def test_an_upstream_lost_in_mid_answer_ends_a_passthrough_answer_in_openais_form_F60(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    passthrough.model.answers_with(LONG, audio_ms=20_000, pace=1.0)
    await passthrough.ready()
    await passthrough.asks(QUESTION)
    await passthrough.client.hears("response.output_audio.delta")
    await trio.sleep(1.0)
    await passthrough.model.drop()
    await passthrough.client.is_closed()
    assert passthrough.told()[-7:] == [
        "response.content_part.added",
        "response.output_audio.done",
        "response.output_audio_transcript.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.done",
        "error",
    ]
    created = passthrough.last_told("response.created")["response"]
    done = passthrough.last_told("response.done")["response"]
    assert done["status"] == "failed"
    error = {"type": "server_error", "code": "server_error"}
    assert done["status_details"] == {"type": "failed", "error": error}
    assert done.keys() == created.keys()
    (item,) = done["output"]
    assert (item["id"], item["status"]) == (passthrough.answer_item(), "incomplete")
    assert item["content"] == [{"type": "output_audio", "transcript": passthrough_text(passthrough)}]


def passthrough_text(session: RealtimeSessionFixture) -> str:
    deltas = session.client.heard_of("response.output_audio_transcript.delta")
    return "".join(entry.event["delta"] for entry in deltas)


@pytest.mark.parametrize(
    ("ending", "code"),
    [
        (Ending.TIMEOUT, "session_expired"),
        (Ending.BUDGET_EXHAUSTED, "insufficient_quota"),
        (Ending.DRAINING, "server_error"),
    ],
)
async def test_I14_a_passthrough_session_that_ends_in_mid_answer_ends_the_answer_before_its_error(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture, ending: Ending, code: str
) -> None:
    passthrough.model.answers_with(LONG, audio_ms=20_000, pace=1.0)
    await passthrough.ready()
    await passthrough.asks(QUESTION)
    await passthrough.client.hears("response.output_audio.delta")
    passthrough.under_test.end(ending)
    await passthrough.client.is_closed()
    assert unended_responses(entry.event for entry in passthrough.client.heard) == []
    details = passthrough.last_told("response.done")["response"]["status_details"]
    assert details["error"]["code"] == code
    kinds = passthrough.told()
    assert kinds.index("response.done") >= len(kinds) - 2


async def test_I14_a_request_that_is_cancelled_before_it_could_leave_is_answered_by_a_cancelled_response(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    await passthrough.ready()
    passthrough.model.hold_done()
    await passthrough.model.say("I speak unasked.")
    await passthrough.client.hears("response.created")
    await passthrough.ask("mine", metadata={"name": "mine"})
    await passthrough.send("response.cancel")
    await trio.sleep(0.1)
    passthrough.model.release_done()
    await trio.sleep(1.0)
    created, done = (passthrough.last_told(f"response.{kind}")["response"] for kind in ("created", "done"))
    assert created["id"] == done["id"] != passthrough.response_id(0)
    assert (created["status"], done["status"]) == ("in_progress", "cancelled")
    assert done["status_details"] == {"type": "cancelled", "reason": "client_cancelled"}
    assert created["metadata"] == done["metadata"] == {"name": "mine"}
    assert created.keys() == passthrough.client.heard_of("response.created")[0].event["response"].keys()
    assert passthrough.errors() == []
    assert passthrough.model.heard("response.create") == []
    assert unended_responses(entry.event for entry in passthrough.client.heard) == []


async def test_I14_what_a_slow_passthrough_client_has_not_read_is_written_before_the_end(
    autojump_clock: MockClock, passthrough: RealtimeSessionFixture
) -> None:
    passthrough.model.answers_with(LONG, audio_ms=3_000, pace=1.0)
    await passthrough.ready()
    await passthrough.asks(QUESTION)
    await passthrough.client.hears("response.output_audio.delta")
    passthrough.client.stop_reading()
    await passthrough.model.says("response.done")
    await trio.sleep(0.1)
    passthrough.under_test.end(Ending.TIMEOUT)
    await trio.sleep(0.5)
    passthrough.client.read_again()
    await passthrough.client.is_closed()
    assert passthrough.last_told("response.done")["response"]["status"] == "completed"
    assert unended_responses(entry.event for entry in passthrough.client.heard) == []
