"""Statistics of a busy hour, made by the real `Statistics` from turns with plausible latencies."""

from __future__ import annotations

import random
import time
from dataclasses import replace
from decimal import Decimal
from typing import Any

import msgspec

from voice_trio.billing.prices import Cost
from voice_trio.billing.spending import Budget
from voice_trio.conversation.turn.record import Outcome, SearchRecord, TurnRecord, TurnTimestamps
from voice_trio.session.endings import Ending
from voice_trio.session.summary import Activity, Summary
from voice_trio.state.instance_registry import InstanceInfo
from voice_trio.state.session_directory import LiveSession
from voice_trio.web.statistics import Statistics

A_TURN = TurnRecord(1, False, "", "", "completed", Outcome.HIDDEN, False, 0, 2, (), 0, 0)
HOUR = 3600.0


class _DailySpend:
    def __init__(self) -> None:
        self.spent_today_usd = Decimal("31.482")
        self.day_budget, self.session_budget, self.user_budget = Budget.of(40.0), Budget.of(0.5), Budget.of(5.0)
        self.is_exhausted = False


class _Day:
    """One hour, ending now."""

    def __init__(self, chance: random.Random) -> None:
        self.chance = chance
        self.at = time.time() - HOUR
        self.active = 0.0
        self.statistics = Statistics(lambda: round(self.active), unix_time=lambda: self.at, clock=lambda: self.at)
        self.statistics.watch_daily_spend(_DailySpend())

    def turn(self) -> None:
        chance, commit = self.chance, 100.0
        asked = commit + chance.choices((0.0, chance.uniform(0.02, 0.2), 0.2), (80, 15, 5))[0]
        created = asked + chance.lognormvariate(-2.9, 0.4)
        sound = created + chance.lognormvariate(-1.0, 0.35)
        sent = sound + chance.lognormvariate(-6.6, 0.5)
        is_cut = chance.random() < 0.12
        stages = TurnTimestamps(
            speech_started=commit - 4, first_word=commit - 4 + chance.lognormvariate(0.2, 0.2), committed=commit,
            speech_stopped=commit - 0.012, context_settled=asked, asked=asked, response_created=created,
            first_audio_in=sound, first_audio_out=sent, playback_started=sent + chance.lognormvariate(-2.4, 0.4),
            flush_queued=commit + 9 if is_cut else None, flush_sent=commit + 9.003 if is_cut else None,
        )  # fmt: skip
        outcome = chance.choices(tuple(Outcome), (68, 14, 9, 3, 6))[0]
        status = "cancelled" if is_cut else "completed"
        self.statistics.on_turn(
            replace(A_TURN, status=status, outcome=outcome, stages=stages, searches=self.searches(commit))
        )
        self.statistics.count_cost("response", Cost(Decimal(str(round(chance.lognormvariate(-5.2, 0.5), 6)))))

    def searches(self, commit: float) -> tuple[SearchRecord, ...]:
        took = self.chance.lognormvariate(-2.8, 0.5)
        return (
            SearchRecord(commit - 2, took, "found", local=False),
            SearchRecord(commit - 1, took / 40, "found", local=True),
        )

    def session(self) -> None:
        user = f"user {self.chance.randrange(140)}"
        self.statistics.count_admission(user)
        endings = (Ending.CLIENT_LEFT, Ending.CLIENT_ENDED, Ending.TIMEOUT, Ending.IDLE, Ending.UPSTREAM_LOST)
        ending = self.chance.choices(endings, (60, 25, 6, 8, 1))[0]
        summary = Summary("s", user, ending, was_ready=self.chance.random() < 0.9, duration_s=95.0)
        summary.cost = Cost(Decimal(str(round(self.chance.lognormvariate(-2.6, 0.5), 6))))
        summary.interruptions = self.chance.choices((0, 1, 2), (70, 20, 10))[0]
        if summary.was_ready:
            self.statistics.session_ready(summary)
        self.statistics.session_ended(summary)


def a_busy_day() -> dict[str, Any]:
    """The body of `/v1/voice/stats`; always the same except for times."""
    day = _Day(random.Random(7))
    for second in range(0, int(HOUR), 5):
        day.at = time.time() - HOUR + second
        day.active = 22 + 12 * (second / HOUR) + day.chance.uniform(-4, 4)
        if day.chance.random() < 0.55:
            day.turn()
        if day.chance.random() < 0.12:
            day.session()
        if day.chance.random() < 0.01:
            day.statistics.count_refusal(day.chance.choice(("rate_limited", "plan_required", "not_in_rollout")))
    day.at = time.time()
    limiter = {"state": "redis", "places_taken": 34, "places": 60, "draining": False}
    instance = {"id": "3f9a1c07", "version": "0.1.0", "loop_lag_ms": 2.4}
    workers = {"count": 2, "answered": [{}, {}]}
    more = {"limiter": limiter, "instance": instance, "prices": {"dated": "2026-11-17"}, "configuration": {}}
    more |= {"workers": workers, "instances": _instances(), "knowledge": {"available": True, "empty": False}}
    stats = day.statistics.as_json()
    stats["cost"]["top_users"] = [
        {"user": f"{number * 7919**7:032x}"[-32:], "usd": usd}
        for number, usd in enumerate((4.2, 2.81, 2.35, 0.9, 0.412, 0.2), 40_000)
    ]
    return stats | more | {"since": time.time() - 9.3 * HOUR}


def _instances() -> list[dict[str, Any]]:
    """Two workers of this instance, a draining one, and one without a recent heartbeat."""
    shown = (
        ("3f9a1c07", "gateway-1", 0, 19, 2.4, 9.3, False, 1.2),
        ("b07d55e2", "gateway-1", 1, 15, 1.9, 9.3, False, 4.0),
        ("77c1e9aa", "gateway-2", None, 3, 0.8, 31.5, True, 0.3),
        ("0d2f6b14", "gateway-3.eu-central.example", None, 57, 143.0, 77.0, False, 22.4),
    )
    return [
        msgspec.to_builtins(
            InstanceInfo(
                instance=instance,
                host=host,
                pid=7,
                worker=worker,
                version="0.1.0",
                started=time.time() - hours * HOUR,
                active=active,
                places=60,
                draining=is_draining,
                loop_lag_ms=lag,
                seen_seconds=seen,
            )
        )
        for instance, host, worker, active, lag, hours, is_draining, seen in shown
    ]


def live_sessions(count: int = 34) -> dict[str, Any]:
    """The body of `/v1/voice/sessions`: sessions of two instances in every state, oldest first."""
    chance, now = random.Random(11), time.time()
    ages = sorted((chance.uniform(2, 560) for _ in range(count)), reverse=True)
    sessions = [
        LiveSession(
            session_id=f"vs_{number}",
            user=f"{(number % 30 + 40_000) * 7919**7:032x}"[-32:],
            plan=chance.choice(("elite", "team")),
            since=now - age,
            connected_seconds=round(age, 1),
            cost_usd=round(age * chance.uniform(0.0002, 0.001), 6),
            state=chance.choices([each.value for each in Activity], (4, 50, 40, 2, 2, 2))[0],
            protocol=chance.choice(("voice", "voice", "realtime")),
            instance=chance.choice(("3f9a1c07", "b07d55e2")),
            turns=round(age / 20),
        )
        for number, age in enumerate(ages)
    ]
    return {"sessions": msgspec.to_builtins(sessions), "left_out": 0, "complete": True}
