"""Recorded sessions played as an upstream over a real socket: a recording says what the server sends, and after what.

Requests are matched by meaning: the frames of a gateway differ from those of the recorded client. Where the recorded
client sent something, the replay waits for the gateway's counterpart. Where the server responded by itself because its
turn detection was left on, the replay waits for the request with which a gateway asks.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec
import trio
from trio_websocket import ConnectionClosed, serve_websocket

from tests.support.recorded import interactions
from voice_trio.protocols.audio import BYTES_PER_MS, decode_audio, encode_audio

if TYPE_CHECKING:
    from collections.abc import Callable

    from trio_websocket import WebSocketConnection, WebSocketRequest

LIVE_FRAME_BYTES = 100 * BYTES_PER_MS
_LIVE_AUDIO = "session.output_audio.delta"
UNANSWERED = frozenset({"session.close", "session.commentary.append", "input_audio_buffer.commit"})
"""What the recorded clients sent and a gateway may not."""


class ReplayedUpstream:
    """One recording; a recorded close ends the connection, and the next connection goes on from there.

    `speed` divides the recorded times, where there are any.
    """

    def __init__(self, name: str, *, speed: float = 1.0) -> None:
        self._script = interactions(name)
        self._speed = speed
        self._place = 0
        self._waits = trio.lowlevel.ParkingLot()
        self._matched: set[int] = set()
        self._items: list[dict[str, Any]] = []  # that the recorded client created, and no request has needed yet
        self._clock: tuple[float, float] | None = None  # a moment, and its recorded time
        self.paths: list[str] = []
        self.heard: list[dict[str, Any]] = []
        """All that the gateway sent, sound apart."""
        self.sounds = 0

    async def serve(self, *, task_status: trio.TaskStatus[str] = trio.TASK_STATUS_IGNORED) -> None:
        """Serve until cancelled; starts with the address, `ws://…` without a path."""
        async with trio.open_nursery() as nursery:
            start = partial(serve_websocket, self._on_request, "127.0.0.1", 0, ssl_context=None)
            server = await nursery.start(start)
            task_status.started(f"ws://127.0.0.1:{server.port}")

    async def _on_request(self, request: WebSocketRequest) -> None:
        self.paths.append(request.path)
        connection = await request.accept()
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self._listen, connection)
            try:
                await self._play(connection)
            except ConnectionClosed:
                nursery.cancel_scope.cancel()

    async def _listen(self, connection: WebSocketConnection) -> None:
        try:
            while True:
                event = msgspec.json.decode(await connection.get_message())
                if event["type"].endswith("audio_buffer.append") or event["type"] == "session.input_audio.append":
                    self.sounds += 1
                else:
                    self.heard.append(event)
                self._waits.unpark_all()
        except ConnectionClosed:
            return

    async def _play(self, connection: WebSocketConnection) -> None:
        is_asked = False
        while self._place < len(self._script):
            entry = self._script[self._place]
            self._place += 1
            if entry["kind"] == "close":
                await connection.aclose(entry["code"], entry["reason"])
                return
            await self._until(entry)
            if entry["kind"] == "omitted":
                await self._play_omitted(connection, entry)
            elif entry["direction"] == "sent":
                is_asked |= entry["data"]["type"] == "response.create"
                await self._wait_for(entry["data"])
                self._clock = None
            else:
                if entry["data"]["type"] == "response.created" and not is_asked:
                    await self._hears(_asks)
                is_asked &= entry["data"]["type"] != "response.created"
                await connection.send_message(msgspec.json.encode(self._answer(entry["data"])).decode())

    async def _until(self, entry: dict[str, Any]) -> None:
        at = entry.get("at", entry.get("from"))
        if at is None:
            return
        if self._clock is None:
            self._clock = (trio.current_time(), at)
        moment, recorded_at = self._clock
        await trio.sleep_until(moment + (at - recorded_at) / self._speed)

    async def _play_omitted(self, connection: WebSocketConnection, entry: dict[str, Any]) -> None:
        """A run of sound like the frames around it: silent ones as they were, loud ones by the last that was sent."""
        if entry["direction"] == "sent":
            return
        frame = msgspec.json.encode({"type": entry["type"], "delta": self._last_sound}).decode()
        for _ in range(entry["count"]):
            await connection.send_message(frame)
            await trio.sleep((entry["to"] - entry["from"]) / max(1, entry["count"] - 1) / self._speed)

    _last_sound = ""

    def _answer(self, event: dict[str, Any]) -> dict[str, Any]:
        """The event as this gateway's requests make it: its own turn detection, and frames as long as real ones."""
        if event["type"] == "session.updated":
            return {**event, "session": _with_detection(event["session"], self._request("session.update")["session"])}
        if event["type"] == _LIVE_AUDIO:
            pcm = decode_audio(event["delta"])[:32]
            self._last_sound = encode_audio(pcm * (LIVE_FRAME_BYTES // len(pcm)))
            return {**event, "delta": self._last_sound}
        return event

    def _request(self, kind: str) -> dict[str, Any]:
        return next(event for event in reversed(self.heard) if event["type"] == kind)

    async def _wait_for(self, sent: dict[str, Any]) -> None:
        kind = sent["type"]
        if kind in UNANSWERED:
            return
        if kind.endswith("append"):
            before = self.sounds
            while self.sounds == before and self._script[self._place - 2].get("direction") != "sent":
                await self._waits.park()
        elif kind == "response.create":
            while self._items:  # a gateway may send them later than the recorded client: they are needed by now
                await self._hears(partial(_is_item_like, self._items.pop(0)))
            await self._hears(_asks)
        elif kind == "conversation.item.create":
            self._items.append(sent["item"])
        else:
            await self._hears(lambda event: event["type"] == kind)

    async def _hears(self, means: Callable[[dict[str, Any]], bool]) -> None:
        """Wait for the next event of that meaning, each of which counts once."""
        while True:
            for place, event in enumerate(self.heard):
                if place not in self._matched and means(event):
                    self._matched.add(place)
                    return
            await self._waits.park()


def _asks(event: dict[str, Any]) -> bool:
    return event["type"] in ("response.create", "input_audio_buffer.commit")


def _is_item_like(item: dict[str, Any], event: dict[str, Any]) -> bool:
    if event["type"] != "conversation.item.create" or event["item"]["type"] != item["type"]:
        return False
    return item["type"] != "message" or (event["item"]["role"] == item["role"] and not is_context(event))


def is_context(event: dict[str, Any]) -> bool:
    """Whether an event of the gateway gives passages."""
    parts = event.get("item", {}).get("content") or [{}]
    return "<context>" in (parts[0].get("text") or event.get("content") or "")


def _with_detection(shown: dict[str, Any], asked: dict[str, Any]) -> dict[str, Any]:
    """The recorded session with the turn detection that was asked for, wherever this wire has it."""
    if "turn_detection" in asked:
        return {**shown, "turn_detection": asked["turn_detection"]}
    heard = {**shown["audio"]["input"], "turn_detection": asked["audio"]["input"]["turn_detection"]}
    return {**shown, "audio": {**shown["audio"], "input": heard}}
