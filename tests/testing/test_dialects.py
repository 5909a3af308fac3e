"""The scripted model in other dialects than OpenAI's: frames differ, verbs and logs do not."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from voice_trio.errors import InvalidEvent, LinkClosed
from voice_trio.testing.dialects import DIALECTS, DialectSession
from voice_trio.testing.model import ScriptedModel

if TYPE_CHECKING:
    from collections.abc import Iterable

    import trio
    from trio.testing import MockClock

    from voice_trio.net.link import Link


class WhisperedSession(DialectSession):
    """A made-up wire: response.done is never sent, everything else is sent twice, and `ask` creates a response."""

    def to_wire(self, event: dict[str, Any]) -> Iterable[dict[str, Any]]:
        return [] if event["type"] == "response.done" else [event, {"type": "echo"}]

    def from_wire(self, event: dict[str, Any]) -> Iterable[dict[str, Any]]:
        if event["type"] == "shout":
            raise InvalidEvent("Too loud.", code="loud")
        return [{"type": "response.create"}] if event["type"] == "ask" else [event]


@pytest.fixture
def whispered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(DIALECTS, "whispered", WhisperedSession)


async def sends(link: Link, event: dict[str, Any] | str) -> None:
    await link.send(event if isinstance(event, str) else msgspec.json.encode(event).decode())


async def hears(link: Link, kind: str) -> dict[str, Any]:
    while True:
        event: dict[str, Any] = msgspec.json.decode(await link.receive())
        if event["type"] == kind:
            return event


async def test_frames_are_translated_and_both_logs_stay_in_openais_terms(
    autojump_clock: MockClock, nursery: trio.Nursery, whispered: None
) -> None:
    model = ScriptedModel(nursery, dialect="whispered")
    link = model.connect()
    assert (await hears(link, "echo"))["event_id"]
    await sends(link, {"type": "ask", "event_id": "e1"})
    await hears(link, "rate_limits.updated")
    assert [entry.type for entry in model.received] == ["response.create"]
    assert [entry.type for entry in model.wire_received] == ["ask"]
    said, on_wire = [[entry.type for entry in log] for log in (model.said, model.wire_said)]
    assert said[:2] == ["session.created", "response.created"]
    assert on_wire[:2] == ["session.created", "echo"]
    assert "response.done" not in (*said, *on_wire)
    await link.aclose()


async def test_an_event_that_the_wire_refuses_is_answered_with_an_error(
    autojump_clock: MockClock, nursery: trio.Nursery, whispered: None
) -> None:
    model = ScriptedModel(nursery, dialect="whispered")
    link = model.connect()
    await sends(link, {"type": "shout", "event_id": "e1"})
    refused = (await hears(link, "error"))["error"]
    assert (refused["code"], refused["message"], refused["event_id"]) == ("loud", "Too loud.", "e1")
    await sends(link, "[]")
    assert (await hears(link, "error"))["error"]["code"] == "invalid_json"
    await link.aclose()


async def test_a_model_of_openais_wire_has_one_log_of_each_side(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    model = ScriptedModel(nursery)
    link = model.connect()
    await sends(link, {"type": "response.create"})
    await hears(link, "response.done")
    assert model.wire_said is model.said
    assert model.wire_received is model.received
    await link.aclose()
    with pytest.raises(LinkClosed):
        await link.receive()
