"""Whatever happens to sessions, their reserves add up: to the accounts while they are open, to nothing afterwards."""

from __future__ import annotations

from decimal import Decimal
from functools import partial
from typing import TYPE_CHECKING, Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.budget_fixture import Budgets
from voice_trio.conversation import commands, events
from voice_trio.session.observers import ClientSessionUpdated, SidecarAudioSent

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.session.spend.session_bill import SessionBill

    Step = Callable[[SessionBill, str], object]

BODIES: list[dict[str, Any]] = [
    {},
    {"conversation": "none", "input": []},
    {"conversation": "none", "instructions": "x" * 900, "tools": [{"name": "f"}]},
    {"conversation": "none", "input": [{"type": "item_reference", "id": "i1"}, {"type": "item_reference", "id": "?"}]},
    {"input": [{"type": "message", "content": [{"type": "input_image"}, {"type": "input_audio", "audio": "A" * 800}]}]},
    {"max_output_tokens": 5},
]
USAGES: list[dict[str, Any] | None] = [
    None,
    {},
    {"output_tokens": 500},
    {"input_tokens": 900, "output_tokens": 20, "input_token_details": {"text_tokens": 900}},
    {"input_tokens": "many", "output_tokens": -1},
    {"type": "duration", "seconds": 3.5},
]
ITEM = {"type": "conversation.item.create", "item": {"id": "i1", "content": [{"type": "input_text", "text": "x" * 99}]}}


def ask(body: dict[str, Any], bill: SessionBill, key: str) -> None:
    bill.admits(commands.CreateClientResponse(f"t{key}", {}, body))


def bill_response(usage: dict[str, Any] | None, bill: SessionBill, key: str) -> None:
    bill.on_command(commands.CountUsage("response", key, usage), 0.0)


def bill_item(usage: dict[str, Any] | None, bill: SessionBill, key: str) -> None:
    bill.on_command(commands.CountUsage("transcription", f"i{key}", usage), 0.0)


def bill_sidecar(bill: SessionBill, key: str) -> None:
    bill.on_command(commands.CountUsage("sidecar", f"s{key}", {"seconds": 1}), 0.0)


def speak(bill: SessionBill, key: str) -> None:
    bill.on_event(events.SpeechStarted(f"i{key}", 100), 0.0)
    bill.on_event(events.SpeechStopped(f"i{key}", 4100), 0.0)


STEPS: dict[str, Step] = {
    **{f"ask {number}": partial(ask, body) for number, body in enumerate(BODIES)},
    **{f"bill {number}": partial(bill_response, usage) for number, usage in enumerate(USAGES)},
    **{f"paid {number}": partial(bill_item, usage) for number, usage in enumerate(USAGES)},
    "created": lambda bill, key: bill.on_event(events.ResponseCreated(key, {"vt": f"t{key}"}), 0.0),
    "created untagged": lambda bill, key: bill.on_event(events.ResponseCreated(key), 0.0),
    "sound": lambda bill, key: bill.on_event(events.ResponseAudioDelta(key, "a", "", 1700.0), 0.0),
    "words": lambda bill, key: bill.on_event(events.ResponseTranscriptDelta(key, "a", "x" * 450), 0.0),
    "refused": lambda bill, key: bill.on_event(events.UpstreamError("no", "", f"t{key}"), 0.0),
    "active": lambda bill, key: bill.on_event(events.UpstreamError("conversation_already_has_active_response"), 0.0),
    "overdue": lambda bill, key: bill.on_event(events.CreationOverdue(f"t{key}"), 0.0),
    "lost": lambda bill, key: bill.on_event(events.UpstreamLost(), 0.0),
    "item": lambda bill, key: bill.admits(commands.ForwardClientEvent("e", ITEM)),
    "commit": lambda bill, key: bill.admits(commands.ForwardClientEvent(f"t{key}", {}, is_commit=True)),
    "speech": lambda bill, key: speak(bill, key),
    "committed": lambda bill, key: bill.on_event(events.SpeechCommitted(f"i{key}"), 0.0),
    "not transcribed": lambda bill, key: bill.on_event(events.TranscriptFailed(f"i{key}"), 0.0),
    "sidecar": lambda bill, key: bill.on_event(SidecarAudioSent(f"s{key}", 0.7), 0.0),
    "sidecar paid": lambda bill, key: bill_sidecar(bill, key),
    "update": lambda bill, key: bill.on_event(ClientSessionUpdated({"instructions": "x" * 300}), 0.0),
}


@given(st.lists(st.tuples(st.integers(0, 2), st.sampled_from(sorted(STEPS)), st.sampled_from("abc")), max_size=60))
@settings(deadline=None, max_examples=200)
def test_reserves_add_up_in_every_account_and_are_all_billed_in_the_end_I16(steps: list[tuple[int, str, str]]) -> None:
    budgets = Budgets(None, SESSION_BUDGET_USD="0.2", USER_DAILY_BUDGET_USD="0.3", DAILY_BUDGET_USD="0.5")
    bills = [budgets.open_bill(user) for user in ("ann", "bob", "cyd")]
    for number, name, key in steps:
        STEPS[name](bills[number], key)
        for bill in bills:
            account = budgets.daily.account("user", bill.costs.user)
            assert account.reserved_usd * 10**6 - bill.reserved_micro_usd < 1
            assert 0 <= account.observed_usd <= account.reserved_usd
            assert account.used_usd == bill.cost.usd
        reserved = sum(bill.reserved_micro_usd for bill in bills)
        assert abs(budgets.daily.account("day", "").reserved_usd * 10**6 - reserved) < 3
    for bill in bills:
        before = bill.cost.usd + Decimal(bill.reserved_micro_usd) / 10**6
        bill.session_closing(0.0)
        assert abs(bill.cost.usd - before) < Decimal("0.002")  # the last second of a sound, and rounding
        assert bill.reserved_micro_usd == 0
    assert budgets.daily.account("day", "").reserved_usd == budgets.daily.account("day", "").observed_usd == 0
    assert budgets.daily.spent_today_usd == sum(bill.cost.usd for bill in bills)
