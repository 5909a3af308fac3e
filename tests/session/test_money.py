"""Money in a session: counted once, warned of at four fifths, and spent when it is spent."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.budget_fixture import Budgets
from tests.support.session_fixture import SESSION_CONFIG, SessionFixture
from voice_trio import limits
from voice_trio.conversation import commands, events
from voice_trio.protocols.realtime import read_event
from voice_trio.session.endings import Ending
from voice_trio.session.observers import SidecarAudioSent, TranscriptionModelChanged
from voice_trio.state.state import Spenders

if TYPE_CHECKING:
    from trio.testing import MockClock

    from voice_trio.session.spend.session_bill import SessionBill

MODEL = SESSION_CONFIG.model.model
EXPECTED_USD = (300 * Decimal(64) + 60 * Decimal(24) + 3 * Decimal(4)) / 10**6
"""Of an answer after nothing but the instructions ("Be brief."), while no answer has been billed."""


def response(audio_out: int) -> dict[str, Any]:
    """64 US dollars a million: 1,000 tokens are 6.4 cents."""
    return {"output_tokens": audio_out, "output_token_details": {"audio_tokens": audio_out}}


def use(bill: SessionBill, source: str, audio_out: int) -> None:
    bill.on_command(commands.CountUsage("response", source, response(audio_out)), 0.0)


def begin(bill: SessionBill, turn_id: int, response_id: str) -> None:
    """A question was asked, and its answer begins."""
    bill.on_command(commands.BeginTurn(turn_id), 0.0)
    assert bill.admits(commands.CreateResponse(f"tag {turn_id}", {}))
    bill.on_event(events.ResponseCreated(response_id, {"vt": f"tag {turn_id}"}), 0.0)


def test_what_is_told_twice_is_counted_once_and_for_the_turn_it_was_asked_in() -> None:
    bill = Budgets().open_bill()
    begin(bill, 1, "r1")
    bill.on_command(commands.BeginTurn(2), 0.0)  # the user cuts in; the usage of the first answer is still to come
    use(bill, "r1", 1000)
    use(bill, "r1", 1000)
    begin(bill, 2, "r2")
    use(bill, "r2", 500)
    assert bill.cost.usd == Decimal("0.096")
    assert [bill.cost_of_turn(turn).usd for turn in (1, 2, 3)] == [Decimal("0.064"), Decimal("0.032"), 0]


def test_four_fifths_of_a_sessions_budget_warn_once_and_all_of_it_ends_it() -> None:
    budgets = Budgets(SESSION_BUDGET_USD="0.1")
    bill = budgets.open_bill()
    use(bill, "r1", 1200)
    assert budgets.warnings == []
    use(bill, "r2", 60)
    use(bill, "r3", 10)
    (warning,) = budgets.warnings
    assert (warning.scope, warning.spent_usd, warning.limit_usd) == ("session", 0.08064, 0.1)
    assert budgets.exhausted == []
    use(bill, "r4", 1000)
    use(bill, "r5", 1000)
    assert budgets.exhausted == ["s1"]


def test_what_a_session_cost_before_it_was_resumed_counts() -> None:
    budgets = Budgets(SESSION_BUDGET_USD="0.1")
    bill = budgets.open_bill(spent_before_micro_usd=90_000)
    assert [warning.scope for warning in budgets.warnings] == ["session"]
    use(bill, "r1", 200)
    assert budgets.exhausted == ["s1"]
    assert bill.cost.usd == Decimal("0.0128")


def test_the_days_budget_ends_everybody_and_opens_again_at_midnight() -> None:
    budgets = Budgets(DAILY_BUDGET_USD="0.1")
    one, other = budgets.open_bill("s1"), budgets.open_bill("s2")
    use(one, "r1", 1300)
    assert [warning.scope for warning in budgets.warnings] == ["day", "day"]
    use(other, "r1", 400)
    assert sorted(budgets.exhausted) == ["s1", "s2"]
    is_exhausted = [budgets.daily.is_exhausted]
    assert budgets.daily.seconds_to_midnight == 43_200
    budgets.now += 43_200
    is_exhausted.append(budgets.daily.is_exhausted)
    assert is_exhausted == [True, False]
    assert budgets.daily.spent_today_usd == 0


async def test_instances_share_a_day(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    here = Budgets(DAILY_BUDGET_USD="0.1")
    there = Budgets(here.state, DAILY_BUDGET_USD="0.1")
    nursery.start_soon(here.daily.run)
    nursery.start_soon(there.daily.run)
    idle = there.open_bill("idle")
    use(here.open_bill(), "r1", 2000)
    await trio.sleep(2 * limits.SPENDING_REPORT_SECONDS + 1)
    assert there.daily.is_exhausted
    assert there.exhausted == ["idle"]
    assert idle.cost.usd == 0
    assert await here.state.spent("2026-11-21") == 128_000


async def test_fractions_of_a_millionth_add_up_and_nothing_is_lost_while_the_store_is_away() -> None:
    budgets = Budgets()
    budgets.state.is_away = True
    bill = budgets.open_bill()
    for number in range(100):
        bill.on_command(
            commands.CountUsage("transcription", f"i{number}", {"seconds": 0.001}), 0.0
        )  # 0.283 millionths each
        await budgets.daily.share()
    assert await budgets.state.spent("2026-11-21") == 0
    budgets.state.is_away = False
    await budgets.daily.share()
    assert await budgets.state.spent("2026-11-21") == 28
    assert budgets.daily.spent_today_usd == bill.cost.usd == Decimal("0.0000283333") + Decimal("0E-12")


async def test_a_clock_that_goes_back_is_named_and_loses_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    budgets = Budgets()
    bill = budgets.open_bill()
    use(bill, "r1", 1000)
    budgets.now -= 86_400
    use(bill, "r2", 1000)
    await budgets.daily.share()
    assert [await budgets.state.spent(day) for day in ("2026-11-20", "2026-11-21")] == [64_000, 64_000]
    assert "clock_went_back" in "".join(capsys.readouterr())


def test_an_answer_lost_with_its_socket_is_estimated() -> None:
    bill = Budgets().open_bill()
    begin(bill, 1, "r1")
    bill.on_event(events.ResponseAudioDelta("r1", "a1", "", 3000.0), 0.0)
    bill.on_event(events.UpstreamLost(), 0.0)
    # The instructions (3 tokens) that were read, and the output that was expected: less of it was heard by then.
    assert bill.cost.usd == EXPECTED_USD
    assert bill.cost.is_estimate
    bill.on_event(events.UpstreamLost(), 0.0)
    bill.session_closing(0.0)
    assert bill.costs.estimated_usd == bill.cost.usd == EXPECTED_USD


def test_what_a_lost_answer_was_heard_to_cost_counts_where_it_is_more_than_was_expected() -> None:
    bill = Budgets().open_bill()
    begin(bill, 1, "r1")
    bill.on_event(events.ResponseAudioDelta("r1", "a1", "", 60_500.0), 0.0)
    bill.on_event(events.ResponseTranscriptDelta("r1", "a1", "x" * 10), 0.0)
    bill.session_closing(0.0)
    assert bill.cost.usd == (1210 * Decimal(64) + 3 * Decimal(24) + 3 * Decimal(4)) / 10**6


def test_words_that_were_never_transcribed_are_estimated_by_their_length() -> None:
    bill = Budgets().open_bill()
    bill.on_event(events.SpeechStarted("i1", 1000), 0.0)
    bill.on_event(events.SpeechStopped("i1", 4000), 0.0)
    bill.session_closing(0.0)
    assert bill.cost.usd == Decimal("0.00085")
    assert bill.cost.is_estimate


def test_where_the_conversation_transcribes_nothing_nothing_of_it_is_estimated() -> None:
    bill = Budgets().open_bill()
    bill.on_event(TranscriptionModelChanged(None), 0.0)  # a sidecar does, say, and has its own bill
    bill.on_event(events.SpeechStarted("i1", 1000), 0.0)
    bill.on_event(events.SpeechStopped("i1", 4000), 0.0)
    bill.session_closing(0.0)
    assert bill.cost.usd == 0


def test_a_drop_in_clients_request_is_its_own_turns() -> None:
    bill = Budgets().open_bill()
    bill.on_command(commands.BeginTurn(1), 0.0)
    assert bill.admits(commands.CreateClientResponse("t1", {"vt": "t1"}))
    bill.on_command(commands.BeginTurn(2), 0.0)  # the user speaks before the response has begun
    bill.on_event(events.ResponseCreated("r1", {"vt": "t1"}), 0.0)
    bill.on_event(events.ResponseAudioDelta("r1", "a1", "", 1000.0), 0.0)
    bill.on_command(commands.CountUsage("response", "r1", None), 0.0)
    assert bill.cost_of_turn(1).usd > 0
    assert bill.cost_of_turn(2).usd == 0


def test_a_usage_of_null_is_estimated_too() -> None:
    bill = Budgets().open_bill()
    begin(bill, 1, "r1")
    bill.on_event(events.ResponseAudioDelta("r1", "a1", "", 1000.0), 0.0)
    bill.on_command(commands.CountUsage("response", "r1", None), 0.0)
    assert bill.cost.is_estimate
    assert bill.cost.warnings == ("usage_missing",)
    assert bill.cost.usd > 0


@pytest.mark.parametrize("usage", [{}, {"output_tokens": True}, {"output_tokens": "many"}, {"text": "none"}])
def test_a_usage_that_says_nothing_is_estimated_F15(usage: dict[str, Any]) -> None:
    bill = Budgets().open_bill()
    begin(bill, 1, "r1")
    bill.on_event(events.ResponseAudioDelta("r1", "a1", "", 1000.0), 0.0)
    bill.on_command(commands.CountUsage("response", "r1", usage), 0.0)
    assert bill.cost.is_estimate
    assert bill.cost.usd >= Decimal(20 * 64) / 10**6


@pytest.mark.parametrize("usage", ['"all"', "[5]", "7", "true"])
def test_a_usage_that_is_no_object_does_not_cost_the_event_F15(usage: str) -> None:
    done = read_event('{"type":"response.done","response":{"id":"r1","status":"completed","usage":' + usage + "}}")
    assert isinstance(done, events.ResponseDone)
    assert (done.status, done.usage) == ("completed", None)
    kind = "conversation.item.input_audio_transcription.completed"
    words = read_event(f'{{"type":"{kind}","item_id":"i1","transcript":"hello","usage":{usage}}}')
    assert isinstance(words, events.TranscriptCompleted)
    assert (words.transcript, words.usage) == ("hello", None)


def test_a_lost_upstream_leaves_what_the_sidecar_hears_to_the_sidecars_own_bill() -> None:
    bill = Budgets().open_bill()
    bill.on_event(SidecarAudioSent("s1", 60.0), 0.0)
    assert bill.reserved_micro_usd == 17_000
    bill.on_event(events.UpstreamLost(), 0.0)
    assert bill.cost.usd == 0
    bill.on_command(commands.CountUsage("sidecar", "s1", {"seconds": 30}), 0.0)
    assert bill.cost.usd == Decimal("0.0085")
    assert (bill.reserved_micro_usd, bill.cost.is_estimate) == (0, False)


def test_a_response_without_our_tag_is_the_oldest_that_was_asked_for() -> None:
    bill = Budgets().open_bill()
    assert bill.admits(commands.CreateClientResponse("t1", {}, {"max_output_tokens": 10}))
    assert bill.admits(commands.CreateClientResponse("t2", {}, {"max_output_tokens": 20}))
    bill.on_event(events.ResponseCreated("r1"), 0.0)
    use(bill, "r1", 0)
    assert bill.reserved_micro_usd == 20 * 64 + 3 * 4
    bill.on_event(events.CreationOverdue("t2"), 0.0)
    assert bill.reserved_micro_usd == 0
    bill.on_event(events.CreationOverdue("t1"), 0.0)
    assert bill.cost.usd == Decimal(0)


def test_a_response_that_nothing_asked_for_is_reserved_and_billed() -> None:
    bill = Budgets().open_bill()
    bill.on_event(events.ResponseCreated("r1", {"vt": "unknown"}), 0.0)
    bill.on_event(events.ResponseCreated("r1", {"vt": "unknown"}), 0.0)
    assert bill.reserved_micro_usd == round(EXPECTED_USD * 10**6)
    bill.session_closing(0.0)
    assert bill.cost.usd == EXPECTED_USD


def test_the_expected_output_is_the_median_of_the_last_ones() -> None:
    bill = Budgets().open_bill()
    reserves = []
    for number in range(6):
        assert bill.admits(commands.CreateResponse(f"t{number}", {}))
        reserves.append(bill.reserved_micro_usd)
        bill.on_event(events.ResponseCreated(f"r{number}", {"vt": f"t{number}"}), 0.0)
        use(bill, f"r{number}", 1000)
    assert reserves[:5] == [round(EXPECTED_USD * 10**6)] * 5  # the prior counts as five
    assert bill.admits(commands.CreateResponse("t", {}))
    assert bill.reserved_micro_usd == 64_000 + 3 * 4


def test_without_an_event_id_a_refusal_as_already_active_releases_the_conversations_request() -> None:
    bill = Budgets().open_bill()
    assert bill.admits(commands.CreateClientResponse("beside", {}, {"conversation": "none", "input": []}))
    beside = bill.reserved_micro_usd
    assert bill.admits(commands.CreateClientResponse("t1", {}))
    bill.on_event(events.UpstreamError("some_other_code"), 0.0)
    assert bill.reserved_micro_usd > beside
    bill.on_event(events.UpstreamError("conversation_already_has_active_response"), 0.0)
    assert bill.reserved_micro_usd == beside


def test_an_item_that_is_committed_takes_the_place_of_its_commit_and_of_no_response() -> None:
    bill = Budgets().open_bill()
    seconds = [0.0]
    bill._estimator.speech.follow(lambda: seconds[0])
    assert bill.admits(commands.CreateClientResponse("t1", {}))
    asked = bill.reserved_micro_usd
    seconds[0] = 60.0
    assert bill.admits(commands.ForwardClientEvent("c1", {}, is_commit=True))
    assert bill.reserved_micro_usd == asked + 17_000
    seconds[0] = 90.0
    assert bill.admits(commands.ForwardClientEvent("c2", {}, is_commit=True))
    bill.on_event(events.SpeechCommitted("i1"), 0.0)
    bill.on_command(commands.CountUsage("transcription", "i1", {"seconds": 60}), 0.0)
    assert bill.reserved_micro_usd == asked + 8_500
    bill.on_event(events.UpstreamError("input_audio_buffer_commit_empty", "", "c2"), 0.0)
    assert bill.reserved_micro_usd == asked
    bill.on_event(events.ResponseCreated("r1", {"vt": "t1"}), 0.0)
    bill.session_closing(0.0)
    assert bill.cost.usd == Decimal(asked + 17_000) / 10**6


def test_text_and_sound_of_open_responses_count_before_they_are_billed() -> None:
    for deltas in (
        [events.ResponseTranscriptDelta("r1", "a1", "x" * 399), events.ResponseTranscriptDelta("r1", "a1", "x")],
        [events.ResponseAudioDelta("r1", "a1", "", 999.0), events.ResponseAudioDelta("r1", "a1", "", 1.0)],
    ):
        budgets = Budgets(None, SESSION_BUDGET_USD="0.001")
        bill = budgets.open_bill()
        begin(bill, 1, "r1")
        bill.on_event(deltas[0], 0.0)
        assert budgets.exhausted == []
        bill.on_event(deltas[1], 0.0)
        assert budgets.exhausted == ["s1"]
        assert not bill.admits(commands.CreateResponse("t2", {}))


def test_after_a_lost_upstream_a_response_reads_what_the_next_one_is_told() -> None:
    bill = Budgets().open_bill()
    assert bill.admits(commands.CreateUserItem("e1", "u1", "x" * 4000))
    bill.on_event(events.SpeechStarted("i1", 1000), 0.0)
    bill.on_event(events.UpstreamLost(), 0.0)
    bill.on_event(events.SpeechStopped("i1", 61_000), 0.0)  # of speech that the new upstream has not heard begin
    assert bill.reserved_micro_usd == 0
    assert bill.admits(commands.CreateResponse("t1", {}))
    assert bill.reserved_micro_usd == round(EXPECTED_USD * 10**6)


def test_a_session_that_begins_late_is_warned_and_ended_by_what_others_spent_F14() -> None:
    for scope, variable in (("user", "USER_DAILY_BUDGET_USD"), ("day", "DAILY_BUDGET_USD")):
        budgets = Budgets(None, **{variable: "0.1"})
        use(budgets.open_bill("s1"), "r1", 1300)
        budgets.warnings.clear()
        budgets.open_bill("s1")
        assert [warning.scope for warning in budgets.warnings] == [scope]
        use(budgets.open_bill("s1"), "r2", 300)
        budgets.exhausted.clear()
        late = budgets.open_bill("s1")
        assert budgets.exhausted == ["s1"]
        assert late.retry_after == 43_200
        assert not late.admits(commands.CreateResponse("t", {}))


def test_a_session_that_spent_its_own_budget_has_no_time_to_come_back() -> None:
    bill = Budgets(None, SESSION_BUDGET_USD="0.01").open_bill()
    assert bill.retry_after is None
    use(bill, "r1", 1000)
    assert bill.retry_after is None
    assert not bill.admits(commands.CreateResponse("t", {}))


def test_without_transcription_what_is_committed_is_read_and_not_transcribed() -> None:
    bill = Budgets().open_bill()
    bill.on_event(TranscriptionModelChanged(None), 0.0)
    bill._estimator.speech.follow(lambda: 30.0)
    assert bill.admits(commands.ForwardClientEvent("c1", {}, is_commit=True))
    assert bill.reserved_micro_usd == 0
    bill.on_event(TranscriptionModelChanged("gpt-transcribe"), 0.0)
    bill._estimator.speech.follow(lambda: 60.0)
    assert bill.admits(commands.ForwardClientEvent("c2", {}, is_commit=True))
    assert bill.reserved_micro_usd == 4_500
    assert bill.admits(commands.CreateResponse("t1", {}))
    assert bill.reserved_micro_usd == round(EXPECTED_USD * 10**6) + 4_500 + 900 * 32


def test_a_bill_for_what_was_never_asked_for_is_estimated_by_what_a_response_reads() -> None:
    bill = Budgets().open_bill()
    bill.on_command(commands.CountUsage("transcription", "i1", None), 0.0)
    assert bill.cost.usd == 0
    bill.on_command(commands.CountUsage("response", "r1", None), 0.0)
    assert bill.cost.usd == EXPECTED_USD


def test_what_is_appended_before_a_commit_is_answered_belongs_to_the_next_one() -> None:
    bill = Budgets().open_bill()
    seconds = [60.0]
    bill._estimator.speech.follow(lambda: seconds[0])
    assert bill.admits(commands.ForwardClientEvent("c1", {}, is_commit=True))
    seconds[0] = 90.0
    bill.on_event(events.SpeechCommitted("i1"), 0.0)
    assert bill.admits(commands.ForwardClientEvent("c2", {}, is_commit=True))
    assert bill.reserved_micro_usd == 17_000 + 8_500
    bill.on_event(events.SpeechCommitted("i of no commit"), 0.0)
    bill.on_event(events.SpeechCommitted("i of no commit either"), 0.0)
    assert bill.admits(commands.ForwardClientEvent("c3", {}, is_commit=True))
    assert bill.reserved_micro_usd == 17_000 + 8_500


def test_speech_that_the_upstream_ended_empties_the_buffer() -> None:
    bill = Budgets().open_bill()
    bill._estimator.speech.follow(lambda: 30.0)
    bill.on_event(events.SpeechStarted("i1", 1000), 0.0)
    bill.on_event(events.SpeechStopped("i1", 13_000), 0.0)
    assert bill.reserved_micro_usd == 3_400
    bill.on_event(events.SpeechCommitted("i1"), 0.0)
    assert bill.admits(commands.ForwardClientEvent("c1", {}, is_commit=True))
    assert bill.reserved_micro_usd == 3_400
    bill.on_event(events.TranscriptFailed("i1"), 0.0)
    assert bill.reserved_micro_usd == 0


def test_a_usage_beside_the_conversation_says_nothing_of_the_conversation() -> None:
    bill = Budgets().open_bill()
    assert bill.admits(commands.CreateUserItem("e1", "u1", "x" * 4000))
    assert bill.admits(commands.CreateClientResponse("beside", {}, {"conversation": "none", "input": []}))
    bill.on_event(events.ResponseCreated("r1", {"vt": "beside"}), 0.0)
    usage = {"input_tokens": 5, "input_token_details": {"text_tokens": 5}, "output_tokens": 1}
    bill.on_command(commands.CountUsage("response", "r1", usage), 0.0)
    assert bill.admits(commands.CreateResponse("t1", {}))
    assert bill.reserved_micro_usd == round(EXPECTED_USD * 10**6) + 1000 * 4


async def test_a_whole_session_ends_in_mid_answer_when_its_budget_is_spent(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    bill = Budgets(SESSION_BUDGET_USD="0.0018").daily.open(SESSION_CONFIG)
    session = SessionFixture(nursery, cost_meter=bill)
    await session.ready()
    session.soon(session.asks)
    await session.over.wait()
    assert session.summary.ending is Ending.BUDGET_EXHAUSTED
    assert session.last_told("error")["error"]["code"] == "budget_exhausted"
    closed = await session.client.is_closed()
    assert (closed.code, closed.reason) == (4002, "Budget exhausted")
    assert "playback.flush" in session.told()
    assert session.summary.cost == bill.cost
    assert bill.cost.usd > Decimal("0.0018")


async def test_a_question_is_denied_while_others_reserve_the_rest_and_the_session_goes_on_F13(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    budgets = Budgets(None, DAILY_BUDGET_USD="0.04")
    others = [budgets.open_bill(name) for name in ("s1", "s2")]
    for bill in others:
        assert bill.admits(commands.CreateResponse("t", {}))
    session = SessionFixture(nursery, cost_meter=budgets.daily.open(SESSION_CONFIG))
    await session.ready()
    await session.asks()
    error = (await session.client.hears("error")).event["error"]
    assert error["code"] == "budget_exhausted"
    assert session.model.heard("response.create") == []
    assert [record.status for record in session.records] == ["failed"]
    for bill in others:
        bill.on_event(events.CreationOverdue("t"), 0.0)
    await session.client.type("and now?")
    await session.client.hears("response.done")
    assert len(session.model.heard("response.create")) == 1
    assert not session.over.is_set()
    await session.client.end_session()
    await session.over.wait()
    assert session.summary.ending is Ending.CLIENT_ENDED


async def test_a_session_that_ends_says_what_it_cost_and_frees_its_bill(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    budgets = Budgets()
    session = SessionFixture(nursery, cost_meter=budgets.daily.open(SESSION_CONFIG))
    await session.ready()
    await session.asks()
    await session.client.hears("response.done")
    await session.client.end_session()
    await session.over.wait()
    assert session.summary.cost.usd > 0
    assert session.summary.cost.usd == budgets.daily.spent_today_usd == budgets.daily.spending.total_usd
    assert not budgets.daily._bills


async def test_what_each_user_spent_is_told_with_the_days_sum_and_survives_an_outage() -> None:
    budgets = Budgets()
    budgets.state.is_away = True
    use(budgets.open_bill("ann"), "r1", 1000)
    use(budgets.open_bill("bob"), "r1", 3000)
    await budgets.daily.share()
    budgets.state.is_away = False
    use(budgets.open_bill("ann"), "r2", 500)
    await budgets.daily.share()
    told = await budgets.state.spenders("2026-11-21", 10, "ann")
    assert told == Spenders((("bob", 192_000), ("ann", 96_000)), asked_for=96_000)
    assert await budgets.state.spent("2026-11-21") == 288_000
