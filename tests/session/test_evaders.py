"""Clients of OpenAI's protocol that only want to evade a budget: what the provider bills, and what is booked (I16)."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio

from tests.support.budget_fixture import Budgets
from tests.support.realtime_session_fixture import RealtimeSessionFixture
from tests.support.session_fixture import SESSION_CONFIG
from voice_trio.billing.prices import Prices, UsageEstimate, load_prices
from voice_trio.protocols.audio import audio_ms
from voice_trio.session.endings import Ending
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from trio.testing import MockClock

    from voice_trio.testing.model import ScriptedModel

MODEL = SESSION_CONFIG.model.model
PRICES: Prices = load_prices()
LONGEST = Answer(text="and so on", audio_ms=204_800, pace=40.0)
"""4,096 tokens of sound, generated in five seconds: the dearest answer that there is."""
MAX_ANSWER_USD = Decimal(4096 * 64) / 10**6
MB = 1_000_000


def provider_bill(model: ScriptedModel) -> Decimal:
    """What OpenAI bills: the input of each request (a token for four characters), and all sound that was generated."""
    total, written = Decimal(0), len(SESSION_CONFIG.model.instructions)
    for entry in model.received:
        event = entry.event
        size = len(msgspec.json.encode(event))
        if event["type"] == "conversation.item.create":
            written += size
        elif event["type"] == "session.update":
            written = max(written, size)
        elif event["type"] == "response.create":
            own = event.get("response", {})
            read = size if "input" in own else written + size
            total += PRICES.estimated_response(MODEL, UsageEstimate(read // 4)).usd
    for entry in model.said:
        if entry.event["type"] == "response.output_audio.delta":
            seconds = audio_ms(entry.event["delta"]) / 1000
            total += PRICES.estimated_response(MODEL, UsageEstimate(output_audio_seconds=seconds)).usd
    return total


class Evader:
    """A session of an evader, with its budgets; `bill` is booked when it is over."""

    def __init__(self, nursery: trio.Nursery, **budgets: str) -> None:
        self.budgets = Budgets(None, **budgets)
        self.bill = self.budgets.daily.open(SESSION_CONFIG)
        self.session = RealtimeSessionFixture(nursery, cost_meter=self.bill)
        self.model = self.session.model

    @property
    def billed(self) -> Decimal:
        return provider_bill(self.model)

    @property
    def asked(self) -> int:
        return len(self.model.heard("response.create"))

    async def leave(self) -> None:
        """Close the socket, in the middle of everything."""
        await self.session.client.hang_up()
        await self.session.over.wait()

    def check_booked(self) -> None:
        """What is booked is at least what the provider bills, but for some JSON around the texts."""
        assert self.bill.cost.usd >= self.billed * Decimal("0.99") - Decimal("0.002") * self.asked
        assert self.bill.reserved_micro_usd == 0
        assert self.budgets.daily.account("day", "").reserved_usd == 0


async def out_of_band(session: RealtimeSessionFixture, count: int, size: int = 0) -> None:
    item = {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "x" * size}]}
    for number in range(count):
        await session.ask(f"e{number}", conversation="none", input=[item])


async def test_many_responses_at_once_overrun_a_session_by_one_at_most_F13(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    evader = Evader(nursery, SESSION_BUDGET_USD="0.05")
    session = evader.session
    await session.ready()
    evader.model.answers_next(*[LONGEST] * 40)
    await out_of_band(session, 40)
    await session.over.wait()
    assert session.summary.ending is Ending.BUDGET_EXHAUSTED
    assert evader.asked <= 4
    assert evader.billed <= Decimal("0.05") + MAX_ANSWER_USD
    evader.check_booked()
    codes = {error["code"] for error in session.errors()}
    assert codes == {"too_many_responses", "insufficient_quota"}
    assert {error["event_id"] for error in session.errors()} >= {f"e{number}" for number in range(10, 40)}


async def test_large_inputs_are_booked_although_the_socket_is_closed_at_once_F13(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    evader = Evader(nursery, SESSION_BUDGET_USD="0.05")
    await evader.session.ready()
    evader.model.waits_to_be_told()
    await out_of_band(evader.session, 6, size=MB)
    await trio.sleep(0.1)
    assert evader.asked == 1
    await evader.leave()
    assert evader.bill.cost.is_estimate
    assert Decimal("1.0") < evader.billed < Decimal("1.05")
    evader.check_booked()


async def test_a_denied_response_ends_and_the_session_goes_on_F13(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    evader = Evader(nursery, SESSION_BUDGET_USD="1.5")
    session = evader.session
    await session.ready()
    await out_of_band(session, 3, size=4 * MB // 5)
    await session.client.hears("response.done")
    await trio.sleep(1.0)
    (denied,) = session.errors()
    assert (denied["code"], denied["event_id"]) == ("insufficient_quota", "e2")
    assert evader.asked == 2
    await session.ask("later")
    await session.client.hears("response.done")
    await evader.leave()


Attack = "Callable[[RealtimeSessionFixture], Awaitable[None]]"


async def large_items(session: RealtimeSessionFixture) -> None:
    for _ in range(3):
        await session.write("x" * (MB // 2))
    await session.ask()


async def items_after_the_request(session: RealtimeSessionFixture) -> None:
    """The first response's usage says nothing of what is created while it is active."""
    await session.ask()
    await session.write("x" * MB)
    await session.client.hears("response.done")
    await session.ask()


async def a_small_response_beside_a_long_conversation(session: RealtimeSessionFixture) -> None:
    await session.write("x" * MB)
    await session.ask(conversation="none", input=[])
    await session.client.hears("response.done")
    await session.ask()


async def large_instructions(session: RealtimeSessionFixture) -> None:
    await session.update(instructions="x" * 32_000)
    for _ in range(4):
        await session.ask(conversation="none", input=[])


async def large_instructions_of_a_response(session: RealtimeSessionFixture) -> None:
    for _ in range(4):
        await session.ask(conversation="none", instructions="x" * 32_000, input=[])


async def large_tools(session: RealtimeSessionFixture) -> None:
    await session.update(tools=[{"type": "function", "name": "f", "description": "x" * 100_000}])
    for _ in range(4):
        await session.ask(conversation="none", input=[])


async def a_function_output(session: RealtimeSessionFixture) -> None:
    item = {"type": "function_call_output", "call_id": "c1", "output": "x" * MB}
    await session.send("conversation.item.create", item=item)
    await session.ask()


async def references(session: RealtimeSessionFixture) -> None:
    await session.write("x" * MB, id="big")
    for _ in range(4):
        await session.ask(conversation="none", input=[{"type": "item_reference", "id": "big"}] * 3)


ATTACKS: list[Any] = [
    large_items,
    items_after_the_request,
    a_small_response_beside_a_long_conversation,
    large_instructions,
    large_instructions_of_a_response,
    large_tools,
    a_function_output,
]


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.__name__)
async def test_whatever_is_read_is_reserved_and_booked_although_no_bill_comes_F13(
    autojump_clock: MockClock, nursery: trio.Nursery, attack: Callable[[RealtimeSessionFixture], Awaitable[None]]
) -> None:
    evader = Evader(nursery)
    await evader.session.ready()
    await attack(evader.session)
    await trio.sleep(0.01)
    reserved = Decimal(evader.bill.reserved_micro_usd) / 10**6 + evader.bill.cost.usd
    assert reserved >= evader.billed * Decimal("0.98") - Decimal("0.005")
    await evader.leave()
    evader.check_booked()


async def test_a_reference_to_a_long_item_is_reserved_as_long_F13(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    evader = Evader(nursery, SESSION_BUDGET_USD="0.05")
    await evader.session.ready()
    await references(evader.session)
    await trio.sleep(0.01)
    assert evader.asked == 1
    assert evader.bill.reserved_micro_usd > 3_000_000


async def test_pictures_are_reserved_F13(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    evader = Evader(nursery)
    await evader.session.ready()
    before = evader.bill.reserved_micro_usd
    picture = {"type": "input_image", "image_url": "data:image/png;base64,AAAA"}
    item = {"type": "message", "role": "user", "content": [picture] * 10}
    await evader.session.ask(conversation="none", input=[item])
    await trio.sleep(0.01)
    assert evader.bill.reserved_micro_usd - before > 16_000 * 5  # 5 US dollars a million tokens


async def test_sound_that_is_committed_and_never_answered_is_paid_F13(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    evader = Evader(nursery, SESSION_BUDGET_USD="0.02")
    session = evader.session
    await session.ready()
    await session.listen_by_hand()
    await session.append(30.0)
    await session.send("input_audio_buffer.commit")
    await trio.sleep(0.1)
    assert evader.bill.reserved_micro_usd == pytest.approx(8_500)  # 1.7 cents a minute
    await session.append(30.0)
    await session.send("input_audio_buffer.clear")
    await session.append(45.0)
    await session.send("input_audio_buffer.commit")
    await session.over.wait()
    assert session.summary.ending is Ending.BUDGET_EXHAUSTED
    assert len(evader.model.heard("input_audio_buffer.commit")) == 1
    assert evader.bill.cost.usd == pytest.approx(Decimal("0.02125"))  # 75 s


async def test_a_request_that_the_upstream_refuses_costs_nothing(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    evader = Evader(nursery)
    session = evader.session
    await session.ready()
    await session.ask(conversation="none", metadata={"a": "b"}, input=[{"type": "item_reference", "id": "nothing"}])
    await session.client.hears("error")
    assert evader.bill.reserved_micro_usd == 0
    await session.send("input_audio_buffer.commit")
    await session.client.hears("error")
    await evader.leave()
    assert evader.bill.cost.usd == 0
