"""One connection to a gateway: opened or refused in words, then events in both directions."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import trio
from trio_websocket import ConnectionRejected

from voice_trio.errors import LinkClosed, ModelUnavailable, VoiceTrioError
from voice_trio.net.websocket import open_link

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_trio.net.link import Link

CONNECT_SECONDS_MAX = 10.0
GOODBYE_SECONDS_MAX = 1.0
READY_SECONDS_MAX = 65.0  # a gateway tries for a minute to reach its model


class VoiceUnreachable(VoiceTrioError):
    """Nobody answered at the address, or not as a voice gateway does."""


class VoiceRefused(VoiceTrioError):
    """The gateway said no, or took its yes back before the session was ready.

    `code` is the protocol's `error.code`, empty where none was told; `retry_after` in seconds.
    """

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.retry_after = retry_after


@dataclass(frozen=True, slots=True)
class Ready:
    """What the gateway said when the session began; `expires_at` is Unix time in seconds."""

    session_id: str
    resume_token: str = field(repr=False)
    expires_at: float


class VoiceConnection:
    """A session that is ready. Iterate over it for events; it ends when the connection does, see `closed`."""

    def __init__(self, link: Link, ready: Ready) -> None:
        self.ready = ready
        self.closed: LinkClosed | None = None
        self._link = link

    def __aiter__(self) -> VoiceConnection:
        return self

    async def __anext__(self) -> dict[str, Any]:
        try:
            return await _next_event(self._link)
        except LinkClosed as closed:
            self.closed = closed
            raise StopAsyncIteration from closed

    async def send_audio(self, pcm: bytes) -> None:
        """Microphone: 16-bit little-endian mono at 24 kHz. Raises `LinkClosed`, as all that sends."""
        await self._link.send(pcm)

    async def send_text(self, text: str) -> None:
        """A typed question; it interrupts a running answer."""
        await self.send({"type": "text.input", "text": text})

    async def interrupt(self, item_id: str | None = None, played_ms: float = 0.0) -> None:
        """Stop the answer; with what was played of which item, if you know."""
        where = {} if item_id is None else {"item_id": item_id, "played_ms": played_ms}
        await self.send({"type": "interrupt", **where})

    async def report_position(self, item_id: str, played_ms: float, *, flushed: bool = False) -> None:
        """How much of an answer's item was really played; `flushed`: the last word on it, after `playback.flush`."""
        event = {"type": "playback.position", "item_id": item_id, "played_ms": played_ms}
        await self.send({**event, "flushed": True} if flushed else event)

    async def end(self) -> None:
        """The session is over and not to be resumed; the gateway closes."""
        await self.send({"type": "session.end"})

    async def send(self, event: dict[str, Any]) -> None:
        """Any event of the protocol."""
        await self._link.send(msgspec.json.encode(event).decode())


@asynccontextmanager
async def connect_voice(url: str, token: str | None = None) -> AsyncIterator[VoiceConnection]:
    """A session at `url` (ws:// or wss://), ready; closed when the block ends.

    A token in the address is sent as a header instead, so that no log on the way has it. Raises `VoiceUnreachable` and
    `VoiceRefused`.
    """
    address, in_address = _without_token(url)
    shown = token or in_address
    headers = {"Authorization": f"Bearer {shown}"} if shown else {}
    error: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            link = await _open(nursery, address, headers)
            try:
                yield VoiceConnection(link, await _wait_until_ready(link))
            finally:
                with trio.move_on_after(GOODBYE_SECONDS_MAX, shield=True):
                    await link.aclose()
        except Exception as caught:  # whatever it is goes on below: a nursery would wrap it in a group
            error = caught
    if error is not None:
        raise error


async def _open(nursery: trio.Nursery, url: str, headers: dict[str, str]) -> Link:
    try:
        with trio.fail_after(CONNECT_SECONDS_MAX):
            return await open_link(nursery, url, headers=headers)
    except trio.TooSlowError as error:
        raise VoiceUnreachable(f"no answer within {CONNECT_SECONDS_MAX:g} s") from error
    except ModelUnavailable as error:
        if isinstance(error.__cause__, ConnectionRejected):
            raise _refusal(error.__cause__) from error
        raise VoiceUnreachable(str(error)) from error


async def _wait_until_ready(link: Link) -> Ready:
    said: VoiceRefused | None = None
    try:
        with trio.fail_after(READY_SECONDS_MAX):
            while True:
                event = await _next_event(link)
                if event.get("type") == "connection.ready":
                    return Ready(event["session_id"], event.get("resume_token", ""), event.get("expires_at", 0.0))
                if event.get("type") == "error":
                    said = _told(event)
    except trio.TooSlowError as error:
        raise VoiceUnreachable(f"not ready within {READY_SECONDS_MAX:g} s") from error
    except LinkClosed as closed:
        raise said or VoiceRefused("", f"closed before the session was ready: {closed}") from closed


async def _next_event(link: Link) -> dict[str, Any]:
    while True:
        frame = await link.receive()
        try:
            event = msgspec.json.decode(frame)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            continue  # not of this protocol; a newer gateway may say more than we understand
        if isinstance(event, dict):
            return event


def _refusal(rejected: ConnectionRejected) -> VoiceRefused | VoiceUnreachable:
    try:
        body = msgspec.json.decode(rejected.body or b"")
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        body = None
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        return _told(body)
    return VoiceUnreachable(f"HTTP {rejected.status_code} instead of a WebSocket")


def _told(event: dict[str, Any]) -> VoiceRefused:
    error = event.get("error") or {}
    return VoiceRefused(str(error.get("code", "")), str(error.get("message", "refused")), error.get("retry_after"))


def _without_token(url: str) -> tuple[str, str | None]:
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    token = next((value for name, value in query if name == "token"), None)
    kept = urlencode([(name, value) for name, value in query if name != "token"])
    return parts._replace(query=kept, fragment="").geturl(), token
