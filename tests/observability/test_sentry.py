"""Sentry: every error with its session, one turn in ten, and nothing that people said."""

from __future__ import annotations

import io
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import structlog
import trio
import trio.testing

from tests.support.sentry_receiver import Receiver, receiver
from tests.support.turn_records import turn
from voice_trio import limits
from voice_trio.conversation.turn.record import Outcome, TurnRecord, TurnTimestamps
from voice_trio.errors import ModelUnavailable
from voice_trio.observability.logs import configure_logs
from voice_trio.observability.sentry import (
    TEST_MESSAGE,
    NoReports,
    Reports,
    flush_reports,
    send_test_event,
    start_reports,
)
from voice_trio.settings import Observability, load_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

WORDS = "my chickens are ill and my name is Ada"


@pytest.fixture
def sentry() -> Iterator[Receiver]:
    with receiver() as server:
        yield server


def settings(sentry: Receiver, **more: str) -> Observability:
    given = {"SENTRY_DSN": sentry.dsn, "SENTRY_ENVIRONMENT": "test", "APP_VERSION": "1.2.3", "LOG_FORMAT": "json"}
    return load_settings(given | more).observability


@pytest.fixture
def reports(sentry: Receiver) -> Iterator[Callable[..., Reports]]:
    started: list[Reports] = []

    def start(*, traced: float = 0.0) -> Reports:
        configured = settings(sentry)
        configure_logs(configured, io.StringIO())
        started.append(start_reports(configured, model="gpt-realtime-2.1", traced=traced))
        return started[-1]

    yield start
    for each in started:
        each.close()
    structlog.reset_defaults()


def fail(error: Exception) -> None:
    """As a session does."""
    try:
        question = WORDS
        raise error
    except Exception:
        structlog.get_logger("voice_trio.session.session").exception("session_crashed", note=len(question))


def test_without_a_dsn_the_library_is_not_even_loaded() -> None:
    program = (
        "import sys; from voice_trio.observability.sentry import start_reports\n"
        "from voice_trio.settings import load_settings\n"
        "start_reports(load_settings({}).observability).close(); sys.exit('sentry_sdk' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], timeout=30).returncode == 0
    assert isinstance(start_reports(load_settings({}).observability), NoReports)


def test_an_error_comes_with_its_session_stage_and_versions(sentry: Receiver, reports: Callable[..., Reports]) -> None:
    with reports().session("vs_1", "0f0f"):
        fail(ModelUnavailable("no route"))
    flush_reports()
    (event,) = sentry.events
    assert (event["release"], event["environment"]) == ("voice-trio@1.2.3", "test")
    expected = {"session_id": "vs_1", "stage": "session.session", "event": "session_crashed"}
    assert expected.items() <= event["tags"].items()
    assert event["tags"]["model"] == "gpt-realtime-2.1"
    assert event["user"] == {"id": "0f0f"}
    (thrown,) = event["exception"]["values"]
    assert (thrown["type"], thrown["value"]) == ("ModelUnavailable", "no route")
    assert thrown["stacktrace"]["frames"][-1]["function"] == "fail"


async def test_two_sessions_at_once_are_told_apart(sentry: Receiver, reports: Callable[..., Reports]) -> None:
    started = reports()

    async def task(barrier: trio.Event) -> None:
        await barrier.wait()
        fail(RuntimeError())

    async def session(name: str, barrier: trio.Event) -> None:
        with started.session(name, f"user of {name}"):
            async with trio.open_nursery() as nursery:  # a task of its own is the point
                nursery.start_soon(task, barrier)
                nursery.start_soon(barrier.wait)

    barrier = trio.Event()
    async with trio.open_nursery() as nursery:
        for name in ("vs_1", "vs_2", "vs_3"):
            nursery.start_soon(session, name, barrier)
        await trio.testing.wait_all_tasks_blocked()
        barrier.set()
    fail(RuntimeError())
    await trio.to_thread.run_sync(flush_reports)
    result = {(event["tags"].get("session_id"), event.get("user", {}).get("id")) for event in sentry.events}
    assert result == {(name, f"user of {name}") for name in ("vs_1", "vs_2", "vs_3")} | {(None, None)}


def test_nothing_that_was_said_and_no_token_leaves(sentry: Receiver, reports: Callable[..., Reports]) -> None:
    secret = "eyJhbGciOiJIUzI1NiJ9.eyJ1c2VyX2lkIjoiYWRhIn0.c2lnbmF0dXJl"
    log = structlog.get_logger("voice_trio.web.routes")
    with reports().session("vs_1", "0f0f"):
        fail(ValueError(WORDS))
        fail(ModelUnavailable(f"refused Bearer {secret}"))
        fail(ExceptionGroup(WORDS, [KeyError(WORDS)]))
        log.error("upstream_unavailable", reason=f"token={secret}", said=WORDS)
        log.info("not an error", said=WORDS)
    flush_reports()
    assert len(sentry.events) == 4
    everything = b"".join(sentry.raw)
    assert WORDS.encode() not in everything
    assert secret.encode() not in everything
    assert b"Ada" not in everything
    kinds = [value["type"] for event in sentry.events[:3] for value in event["exception"]["values"]]
    assert {"ValueError", "ModelUnavailable", "ExceptionGroup", "KeyError"} == set(kinds)


def test_a_flood_is_cut_off(sentry: Receiver, reports: Callable[..., Reports]) -> None:
    with reports().session("vs_1", "u"):
        for _ in range(limits.SENTRY_EVENTS_PER_MINUTE + 40):
            structlog.get_logger("voice_trio.session").error("upstream_unavailable", reason="away")
    flush_reports()
    assert (
        limits.SENTRY_EVENTS_PER_MINUTE <= len(sentry.events) <= 2 * limits.SENTRY_EVENTS_PER_MINUTE
    )  # the minute may have turned


def a_turn(now: float) -> TurnRecord:
    stages = TurnTimestamps(
        speech_started=now - 5, first_word=now - 4, speech_stopped=now - 2, committed=now - 2,
        context_settled=now - 1.9, asked=now - 1.9, response_created=now - 1.8,
        first_audio_in=now - 1.5, first_audio_out=now - 1.5, response_done=now - 0.5,
    )  # fmt: skip
    record = turn()
    return TurnRecord(
        turn_id=1, typed=False, said=WORDS, answer=WORDS, status="completed", outcome=Outcome.HIDDEN, stale=False,
        waited_ms=0, queries=1, passages=(), heard_ms=1, received_ms=1, said_items=record.said_items, stages=stages,
    )  # fmt: skip


async def test_a_turn_is_a_trace_with_its_stages(sentry: Receiver, reports: Callable[..., Reports]) -> None:
    started = reports(traced=1.0)
    with started.session("vs_1", "0f0f"):
        started.trace(a_turn(trio.current_time()))
    await trio.to_thread.run_sync(flush_reports)
    (trace,) = sentry.traces
    assert trace["transaction"] == "turn"
    assert trace["tags"]["session_id"] == "vs_1"
    assert {span["description"] for span in trace["spans"]} >= {"speech", "model thinks", "to the client", "answer"}
    assert b"chickens" not in b"".join(sentry.raw)


async def test_one_turn_in_ten_is_traced(sentry: Receiver, reports: Callable[..., Reports]) -> None:
    started = reports(traced=0.1)
    with started.session("vs_1", "0f0f"):  # one session: it is turns that are chosen, not sockets
        for _ in range(400):
            started.trace(a_turn(trio.current_time()))
            await trio.to_thread.run_sync(flush_reports) if _ % 50 == 49 else None
    assert 15 <= len(sentry.traces) <= 70  # 40 expected, and odds of one in 30,000 that a right sampler fails here


def test_check_knows_whether_sentry_took_its_event(sentry: Receiver) -> None:
    is_well, detail = send_test_event(settings(sentry))
    assert is_well, detail
    (event,) = sentry.events
    assert event["message"] == TEST_MESSAGE
    for status in (403, 429, 500):
        sentry.status = status
        is_well, detail = send_test_event(settings(sentry))
        assert not is_well
        assert str(status) in detail


def test_check_says_so_when_nobody_listens(sentry: Receiver) -> None:
    nobody = load_settings({"SENTRY_DSN": "http://key@127.0.0.1:9/1"}).observability
    assert send_test_event(nobody) == (False, "not taken: network")
