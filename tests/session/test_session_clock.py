"""The times of a session, each to the moment: the clock, the warnings before the end, idleness, the drain."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
import trio

from voice_trio import limits
from voice_trio.conversation.session_events import SessionExpiring
from voice_trio.errors import LinkClosed
from voice_trio.session.clock import SessionClock, announce_deadline, watch_for_idleness
from voice_trio.session.endings import Ending, ending_of
from voice_trio.session.tasks import finish_response_then_end

if TYPE_CHECKING:
    from trio.testing import MockClock


class Diary:
    """What happened, and when, in seconds since it was begun; the host and the client of what is tested."""

    def __init__(self, idle_seconds: float = 120.0) -> None:
        self.began_at = trio.current_time()
        self.entries: list[tuple[float, object]] = []
        self.config = SimpleNamespace(idle_seconds=idle_seconds)

    def note(self, what: object) -> None:
        self.entries.append((round(trio.current_time() - self.began_at, 6), what))

    send = end = note


async def test_what_is_due_together_runs_in_the_order_of_time_and_then_of_the_calls(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    await trio.sleep(50.0)
    clock, diary = SessionClock(), Diary()
    now = trio.current_time()
    for at, name in ((3.0, "d"), (1.0, "a"), (-5.0, "past"), (1.0, "b"), (1.0, "c")):
        clock.call_at(now + at, partial(diary.note, name))
    nursery.start_soon(clock.run)
    await trio.sleep(2.0)
    clock.call_at(now + 2.5, partial(diary.note, "sooner than the next"))
    clock.call_at(now + 9.0, partial(diary.note, "later"))
    await trio.sleep(5.0)
    assert diary.entries == [
        *((0.0, "past"), (1.0, "a"), (1.0, "b"), (1.0, "c")),
        *((2.5, "sooner than the next"), (3.0, "d")),
    ]
    await trio.sleep(20.0)
    clock.call_at(now + 30.0, partial(diary.note, "after nothing was due"))
    await trio.sleep(20.0)
    assert diary.entries[6:] == [(9.0, "later"), (30.0, "after nothing was due")]


@pytest.mark.parametrize(("seconds", "warned"), [(600.0, [60, 10]), (60.1, [60, 10]), (60.0, [10]), (10.0, [])])
async def test_a_session_warns_before_its_end_if_it_is_long_enough(
    autojump_clock: MockClock, nursery: trio.Nursery, seconds: float, warned: list[int]
) -> None:
    clock, diary = SessionClock(), Diary()
    nursery.start_soon(clock.run)
    client: Any = diary
    announce_deadline(clock, diary.began_at + seconds, seconds, client)
    await trio.sleep(seconds + 1.0)
    assert diary.entries == [(round(seconds - left, 6), SessionExpiring(left)) for left in warned]


@pytest.mark.parametrize(
    ("idle_seconds", "quiet_from", "ended_at"),
    [
        (120.0, 0.0, 120.0),
        (120.0, 7.0, 127.0),  # looked at every so often while something is said
        (3.0, 7.0, 10.0),
    ],
)
async def test_idleness_ends_a_session_so_long_after_the_last_word(
    autojump_clock: MockClock, nursery: trio.Nursery, idle_seconds: float, quiet_from: float, ended_at: float
) -> None:
    clock, diary = SessionClock(), Diary(idle_seconds)
    looks: list[float] = []

    def quiet_since(now: float) -> float | None:
        looks.append(round(now - diary.began_at, 6))
        return diary.began_at + quiet_from if looks[-1] >= quiet_from else None

    core: Any = SimpleNamespace(quiet_since=quiet_since)
    host: Any = diary
    nursery.start_soon(clock.run)
    watch_for_idleness(clock, core, host)
    await trio.sleep(1000.0)
    assert diary.entries == [(ended_at, Ending.IDLE)]
    step = min(limits.IDLE_CHECK_SECONDS_MAX, idle_seconds)
    assert looks[:2] == [0.0, ended_at if quiet_from == 0.0 else step]


@pytest.mark.parametrize(
    ("answers_for", "ended_at"),
    [(0.0, 0.0), (1.0, 1.0), (60.0, limits.DRAIN_SECONDS_MAX)],
)
async def test_a_drain_waits_for_the_response_and_eight_seconds_at_most(
    autojump_clock: MockClock, answers_for: float, ended_at: float
) -> None:
    diary = Diary()
    core: Any = SimpleNamespace(is_answering=lambda now: now - diary.began_at < answers_for)
    host: Any = diary
    await finish_response_then_end(core, host)
    ((at, ending),) = diary.entries
    assert ending is Ending.DRAINING
    assert ended_at <= at < ended_at + limits.DRAIN_CHECK_SECONDS + 0.001
    assert at <= limits.DRAIN_SECONDS_MAX


@pytest.mark.parametrize(
    ("closed", "ending"),
    [
        (LinkClosed(1009, "large"), Ending.TOO_BIG),
        (LinkClosed(1009, timed_out=True), Ending.TOO_BIG),
        (LinkClosed(1006, timed_out=True), Ending.TOO_SLOW),
        (LinkClosed(1000), Ending.CLIENT_LEFT),
        (LinkClosed(), Ending.CLIENT_LEFT),
    ],
)
def test_how_a_session_ends_whose_link_has_ended(closed: LinkClosed, ending: Ending) -> None:
    assert ending_of(closed) is ending


def test_each_ending_has_the_code_the_reason_and_the_error_that_clients_know() -> None:
    told = [(each.value.name, each.value.close_code, each.value.close_reason, each.value.error_code) for each in Ending]
    failed = "OpenAI connection failed"
    assert told == [
        ("client_left", 1000, "Session ended", None),
        ("client_ended", 1000, "Session ended", None),
        ("timeout", 1000, "Session duration limit reached", None),
        ("idle", 1000, "Idle", "idle"),
        ("upstream_unavailable", 1011, failed, "upstream_unavailable"),
        ("upstream_lost", 1011, failed, "upstream_unavailable"),
        ("too_slow", 1013, "Too slow", "too_slow"),
        ("not_json", 1007, "Not JSON", "bad_message"),
        ("too_big", 1009, "Message over the limit", "bad_message"),
        ("taken_over", 4001, "Resumed elsewhere", None),
        ("switched_off", 1008, "Voice realtime feature disabled", None),
        ("ended_by_operator", 1008, "Session ended by an operator", "ended_by_operator"),
        ("budget_exhausted", 4002, "Budget exhausted", "budget_exhausted"),
        ("draining", 1012, "Server restarting, resume", None),
        ("crashed", 1011, "Internal error", "internal_error"),
    ]
    assert all(each.value.message for each in Ending if each.value.error_code)
