"""Health reports what it has checked, and checks no more often than needed."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

import trio

from tests.support.gateway_fixture import CHECKED, settings
from tests.support.statistics_fixture import turn_record
from voice_trio.admission.grant import Capacity
from voice_trio.conversation.events import TranscriptCompleted, TranscriptFailed
from voice_trio.conversation.turn.record import SearchRecord
from voice_trio.knowledge.knowledge import MemoryKnowledge
from voice_trio.session.endings import Ending
from voice_trio.session.summary import Summary
from voice_trio.session.upstream.breaker import UpstreamBreaker
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.state import Quotas
from voice_trio.web.health import Health
from voice_trio.web.statistics import Statistics

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio.testing import MockClock

    from voice_trio.conversation.turn.record import TurnRecord


class Knowledge(MemoryKnowledge):
    """Counts the availability checks."""

    asked = 0
    answers = True
    seconds = 0.0

    async def is_available(self) -> bool:
        self.asked += 1
        await trio.sleep(self.seconds)
        return self.answers


def health(
    knowledge: Knowledge,
    capacity: Capacity | None = None,
    breaker: UpstreamBreaker | None = None,
    seconds: Callable[[], float] = time.monotonic,
    **variables: str,
) -> tuple[Health, Statistics]:
    statistics = Statistics(lambda: 0, clock=seconds)
    configured = settings(**variables)
    state = MemoryState(Quotas.of(configured.limits), first_rollout(configured.access))
    breaker = breaker or UpstreamBreaker()
    return Health(configured, knowledge, capacity or Capacity(5), statistics, state, breaker), statistics


async def test_it_looks_once_in_five_seconds_however_many_ask(autojump_clock: MockClock) -> None:
    knowledge = Knowledge()
    knowledge.seconds = 0.5
    asked, _ = health(knowledge)
    async with trio.open_nursery() as nursery:
        for _ in range(20):
            nursery.start_soon(asked.report)
    assert knowledge.asked == 1
    await trio.sleep(5.1)
    await asked.report()
    assert knowledge.asked == 2


async def test_a_base_that_is_not_there_yet_is_called_empty_F38(autojump_clock: MockClock) -> None:
    knowledge = Knowledge()
    knowledge.answers = False
    found = await health(knowledge)[0].check_knowledge()
    assert (found.is_available, found.is_empty) == (False, True)


async def test_everything_in_order_is_healthy(autojump_clock: MockClock) -> None:
    report = await health(Knowledge())[0].report()
    assert report["status"] == "healthy"
    assert report.keys() >= CHECKED
    assert not report["redis"]["using_fallback"]


async def test_a_knowledge_base_that_hangs_costs_two_seconds_and_is_degraded(autojump_clock: MockClock) -> None:
    knowledge = Knowledge()
    knowledge.seconds = 60
    report = await health(knowledge)[0].report()
    assert trio.current_time() == 2.0
    assert (report["status"], report["knowledge_available"]) == ("degraded", False)


async def test_openai_without_a_key_is_degraded(autojump_clock: MockClock) -> None:
    report = await health(Knowledge(), OPENAI_REALTIME_URL="wss://api.openai.com/v1/realtime")[0].report()
    assert (report["status"], report["openai_configured"]) == ("degraded", False)


async def test_a_second_best_transcription_is_degraded(autojump_clock: MockClock) -> None:
    asked, statistics = health(Knowledge())
    statistics.session_ended(Summary("s", "u", Ending.CLIENT_LEFT, was_ready=True, transcription_fallback=True))
    assert (await asked.report())["status"] == "degraded"


async def test_switched_off_is_disabled_and_draining_wins_over_all(autojump_clock: MockClock) -> None:
    capacity = Capacity(5)
    asked, _ = health(Knowledge(), capacity, ENABLE_VOICE_REALTIME="false")
    assert (await asked.report())["status"] == "disabled"
    assert asked.is_ready
    capacity.drain()
    assert (await asked.report())["status"] == "draining"
    assert not asked.is_ready


async def test_an_overload_is_not_ready_and_says_why(autojump_clock: MockClock) -> None:
    await trio.lowlevel.checkpoint()
    capacity = Capacity(5)
    asked, statistics = health(Knowledge(), capacity)
    statistics.metrics.watch_process(capacity, asked._state)
    before = asked.unready
    capacity.overload.note(lag_p50=0.2, lag_p95=0.2, unsent_share=0.0)
    assert (before, asked.unready) == (None, "overloaded")
    assert "voice_trio_overloaded 1.0" in statistics.metrics.exposition().decode()


async def test_F65_it_is_degraded_while_the_upstream_fails_and_until_a_connection_has_lasted(
    autojump_clock: MockClock,
) -> None:
    breaker = UpstreamBreaker()
    asked, _ = health(Knowledge(), breaker=breaker, OPENAI_API_KEY="sk-test")
    assert (await asked.report())["status"] == "healthy"
    for number in range(5):
        assert not breaker.note_lost(f"user{number}", trio.current_time(), object())
    assert (await asked.report())["status"] == "degraded"
    await trio.sleep(1.0)
    await breaker.dial("user1", trio.lowlevel.checkpoint, waits=True)
    assert (await asked.report())["status"] == "degraded"
    await trio.sleep(5.1)
    assert (await asked.report())["status"] == "healthy"


def searched(outcome: str) -> TurnRecord:
    return replace(turn_record(), searches=(SearchRecord(1.0, 0.1, outcome, local=False),))


async def test_it_is_degraded_while_searches_fail_although_the_store_says_that_it_is_ready_F70(
    autojump_clock: MockClock,
) -> None:
    asked, statistics = health(Knowledge(), seconds=trio.current_time)
    for _ in range(4):
        statistics.on_turn(searched("failed"))
    for _ in range(3):
        statistics.on_turn(searched("found"))
    report = await asked.report()
    assert (report["status"], report["failing"], report["knowledge_available"]) == ("degraded", ["search"], True)
    for _ in range(2):
        statistics.on_turn(searched("nothing"))
    assert (await asked.report())["status"] == "healthy"  # one failure of a few is none of the store
    statistics.on_turn(searched("failed"))
    assert (await asked.report())["failing"] == ["search"]
    await trio.sleep(61)
    assert (await asked.report())["status"] == "healthy"


async def test_it_is_degraded_while_transcriptions_responses_or_upstreams_fail_F70(autojump_clock: MockClock) -> None:
    asked, statistics = health(Knowledge(), seconds=trio.current_time)
    statistics.on_event(TranscriptFailed("item"), 0.0)
    statistics.on_turn(replace(turn_record(), status="failed"))
    statistics.session_ended(Summary("s", "u", Ending.UPSTREAM_UNAVAILABLE))
    statistics.session_ready(Summary("s", "u"))
    report = await asked.report()
    assert (report["status"], report["failing"]) == ("degraded", ["transcription", "response", "upstream"])
    statistics.on_event(TranscriptCompleted("item", "hello"), 0.0)
    statistics.on_event(TranscriptCompleted("item", "hello"), 0.0)
    statistics.on_turn(replace(turn_record(), status="cancelled"))  # an interruption is no failure and no success
    assert (await asked.report())["failing"] == ["response", "upstream"]
