"""docs/reference/dialogue.md: whole conversations of the voice protocol, as sessions on virtual time had them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
import structlog
import trio
import trio.testing

from tests.support.session_fixture import SessionFixture
from voice_trio.testing.script import Answer

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

INTRODUCTION = """\
# An example dialogue

Events of the [voice protocol](../protocol.md) as they were sent in sessions with a scripted model. One JSON object a
line: `at` is in seconds since the client connected, `from` is `client` or `gateway`, `times` counts equal events in a
row. Audio is shortened to two samples. A test validates each event by `/v1/voice/schema.json`. All dialogues begin as
the first; the later ones leave that out.
"""
SHORT = Answer(text="Thirty-four degrees.", audio_ms=800, chunk_ms=400, pace=4.0)
LONG = Answer(text="Thirty-four degrees in the first week and then less.", audio_ms=6000, chunk_ms=1000, pace=4.0)
BEGINNING = ("auth", "connection.ready", "session.created", "session.updated")
TWO_SAMPLES = "AAAAAA=="


async def question(session: SessionFixture) -> None:
    """The user asks aloud, opens a passage, and types a second question."""
    client = session.client
    session.model.answers_next(SHORT, SHORT)
    await session.ready()
    session.soon(client.speak, 2.0)
    await session.asks(completed_after=0.57)
    item = (await client.hears("response.audio.delta")).event["item_id"]
    await trio.sleep(0.4)
    await client.report(item, 400.0)
    await client.hears("response.done")
    (passage, *_) = (await client.hears("context.injected")).event["passages"]
    await client.send({"type": "passage.get", "id": passage["id"]})
    await client.hears("passage")
    await trio.sleep(1.0)
    await client.ping("p1")
    await client.type("And how much light do layers need?")
    await client.hears("response.done")
    await trio.sleep(1.0)
    await client.end_session()


async def interruption(session: SessionFixture) -> None:
    """The user speaks into an answer; the client reports what was played."""
    session.model.answers_next(LONG, SHORT)
    await session.ready()
    await session.asks(completed_after=0.57)
    item = (await session.client.hears("response.audio.delta")).event["item_id"]
    await trio.sleep(1.0)
    await session.client.report(item, 1000.0)
    await trio.sleep(0.5)
    await session.asks("and how much light do layers need", completed_after=0.57)
    await session.client.hears("response.done")
    await session.client.hears("response.done")
    await trio.sleep(1.0)
    await session.client.end_session()


async def lost_model(session: SessionFixture) -> None:
    """The connection to the model breaks in the middle of an answer, which goes on after the recovery."""
    session.model.answers_next(LONG, SHORT)
    await session.ready()
    await session.asks(completed_after=0.57)
    await session.client.hears("response.audio.delta")
    await session.model.drop()
    await session.client.hears("session.recovered")
    await session.client.hears("response.done")
    await session.client.hears("response.done")
    await trio.sleep(1.0)
    await session.client.end_session()


SCENES: dict[str, Callable[[SessionFixture], Awaitable[None]]] = {
    "A question": question,
    "An interruption": interruption,
    "The model is lost": lost_model,
}


def dialogue_page() -> str:
    """The page as Markdown, without its notice."""
    parts = [INTRODUCTION]
    for number, (title, scene) in enumerate(SCENES.items()):
        shown = [line for line in lines_of(scene) if number == 0 or line.get("event", {}).get("type") not in BEGINNING]
        lines = "\n".join(msgspec.json.encode(line).decode() for line in shown)
        parts.append(f"## {title}\n{scene.__doc__}\n\n```json\n{lines}\n```\n")
    return "\n".join(parts)


def lines_of(scene: Callable[[SessionFixture], Awaitable[None]]) -> list[dict[str, Any]]:
    """The events of a scene in order; equal ones in a row are one line."""
    with structlog.testing.capture_logs():
        return trio.run(_run, scene, clock=trio.testing.MockClock(autojump_threshold=0))


async def _run(scene: Callable[[SessionFixture], Awaitable[None]]) -> list[dict[str, Any]]:
    async with trio.open_nursery() as nursery:
        session = SessionFixture(nursery, reports_flush=True)
        sent = _record_sent(session)
        await scene(session)
        closed = await session.client.is_closed()
        nursery.cancel_scope.cancel()
    heard = [(entry.at, "gateway", entry.event) for entry in session.client.heard]
    first = (0.0, "client", {"type": "auth", "token": "eyJ…"})  # read before a session begins
    events = sorted([first, *sent, *heard], key=lambda event: event[0])
    lines: list[dict[str, Any]] = []
    for at, side, event in events:
        shown = {"from": side, "event": _shortened(event)}
        if lines and {name: lines[-1][name] for name in shown} == shown:
            lines[-1]["times"] = lines[-1].get("times", 1) + 1
        else:
            lines.append({"at": round(at, 3), **shown})
    return [*lines, {"at": lines[-1]["at"], "from": "gateway", "close": closed.code, "reason": closed.reason}]


def _record_sent(session: SessionFixture) -> list[tuple[float, str, dict[str, Any]]]:
    sent: list[tuple[float, str, dict[str, Any]]] = []
    send = session.client.send

    async def recorded(event: dict[str, Any] | str | bytes) -> None:
        assert isinstance(event, dict)
        sent.append((session.client.now, "client", event))
        await send(event)

    session.client.send = recorded  # type: ignore[method-assign]  # all its verbs send by this method
    return sent


def _shortened(event: dict[str, Any]) -> dict[str, Any]:
    is_audio = event["type"] in ("audio.input", "response.audio.delta")
    return {name: TWO_SAMPLES if is_audio and name in ("audio", "delta") else value for name, value in event.items()}
