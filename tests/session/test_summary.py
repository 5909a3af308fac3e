"""A session in figures: what is counted, and how the log names it."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from decimal import Decimal

from tests.support.turn_records import turn
from voice_trio import limits
from voice_trio.billing.prices import Cost
from voice_trio.conversation import commands
from voice_trio.conversation.turn.record import Outcome
from voice_trio.session.endings import Ending
from voice_trio.session.spend.cost_meter import CostMeter
from voice_trio.session.summary import Activity, Summary, activity_of, count_bounded
from voice_trio.session.telemetry.turn_reports import SummaryObserver


def test_each_turn_is_counted_an_interrupted_one_as_an_interruption_and_a_joined_one_not_at_all_F73() -> None:
    summary = Summary("s")
    for status in ("completed", "cancelled", "joined", "failed", "cancelled", "unanswered", "incomplete", "ended"):
        summary.count_turn(turn(status))
    assert (summary.turns, summary.interruptions) == (7, 2)


def test_the_summary_takes_turns_and_usages_and_the_cost_of_its_meter_F73() -> None:
    meter = Meter()
    summary = Summary("s")
    observer = SummaryObserver(summary, meter)
    observer.on_command(commands.CountUsage("response", "r1", {"output_tokens": 1}), 1.0)
    observer.on_command(commands.CountUsage("response", "r1", {"output_tokens": 2}), 2.0)
    assert summary.usages == {"r1": ("response", {"output_tokens": 1})}
    assert summary.cost == Cost(Decimal(2))
    observer.on_command(commands.ReportTurn(replace(turn("cancelled"), outcome=Outcome.WAITED)), 3.0)
    assert (summary.turns, summary.interruptions, summary.outcomes) == (1, 1, {"waited": 1})
    assert summary.cost == Cost(Decimal(2))
    observer.session_closing(4.0)
    assert summary.cost == Cost(Decimal(3))


def test_the_log_has_every_figure_of_a_session() -> None:
    summary = Summary("s", "ann", Ending.IDLE, 3.0, True, 61.23456, 10.126, 20.987, 4)
    assert Summary("s").log_fields() == {
        **{"ending": None, "ready": False, "duration_s": 0.0, "audio_in_s": 0.0, "audio_out_s": 0.0, "turns": 0},
        **{"retrieval": {}, "interruptions": 0, "recoveries": 0, "errors": {}, "cost_usd": 0.0},
        **{"cost_is_estimate": False, "transcription_fallback": False, "sidecar": False},
    }
    summary.outcomes, summary.errors = Counter(hidden=3), Counter(idle=1)
    summary.interruptions, summary.recoveries = 2, 1
    summary.transcription_fallback = summary.sidecar = True
    summary.cost = Cost(Decimal("0.5"), True)
    assert summary.log_fields() == {
        **{"ending": "idle", "ready": True, "duration_s": 61.235, "audio_in_s": 10.13, "audio_out_s": 20.99},
        **{"turns": 4, "retrieval": {"hidden": 3}, "interruptions": 2, "recoveries": 1, "errors": {"idle": 1}},
        **{"cost_usd": 0.5, "cost_is_estimate": True, "transcription_fallback": True, "sidecar": True},
    }


def test_codes_are_counted_by_name_up_to_a_number_of_names_and_then_as_others() -> None:
    counts: Counter[str] = Counter()
    long = "x" * (limits.ERROR_CODE_CHARS_MAX + 1)
    named = [count_bounded(counts, code, 2, 2) for code in ("a", long, "b", "a", long, "c")]
    assert named == ["a", long[:-1], "other", "a", long[:-1], "other"]
    assert counts == {"a": 4, long[:-1]: 4, "other": 4}


def test_errors_of_a_session_are_counted_by_code() -> None:
    summary = Summary("s")
    for number in range(limits.ERROR_CODES_OF_SESSION_MAX + 3):
        summary.count_error(f"code {number}")
    assert len(summary.errors) == limits.ERROR_CODES_OF_SESSION_MAX + 1
    assert (summary.errors["code 0"], summary.errors["other"]) == (1, 3)


def test_what_a_session_does_is_said_by_its_end_its_beginning_and_its_upstream_in_this_order() -> None:
    ended, begun, ready = Summary("s", ending=Ending.IDLE), Summary("s"), Summary("s", was_ready=True)
    seen = [
        activity_of(summary, is_connected=is_connected, is_answering=is_answering)
        for summary in (ended, begun, ready)
        for is_connected in (False, True)
        for is_answering in (False, True)
    ]
    recovering = [Activity.RECOVERING, Activity.RECOVERING]
    assert seen == [Activity.ENDING] * 4 + [Activity.CONNECTING] * 4 + recovering + [
        Activity.LISTENING,
        Activity.ANSWERING,
    ]


class Meter(CostMeter):
    """Costs a dollar more each time it is asked."""

    asked = 0

    @property
    def cost(self) -> Cost:
        self.asked += 1
        return Cost(Decimal(self.asked))
