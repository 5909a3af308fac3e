"""One connection to a gateway: how it is opened or refused, and the events in both directions."""

from __future__ import annotations

from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import msgspec
import trio
from trio_websocket import ConnectionRejected

from voice_trio import limits
from voice_trio.errors import LinkClosed, ModelUnavailable, VoiceTrioError
from voice_trio.net.trio_websocket_link import open_link
from voice_trio.protocols import json_text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_trio.net.link import Link

CONNECT_SECONDS_MAX = 10.0
READY_SECONDS_MAX = 65.0  # a gateway may try for 60 s to connect to its upstream


class VoiceUnreachable(VoiceTrioError):
    """The gateway could not be reached, did not answer in time, or is not a voice gateway. The message says which."""


class VoiceRefused(VoiceTrioError):
    """The gateway refused the session, or closed the connection before the session was ready."""

    def __init__(self, code: str, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.code = code
        """The protocol's `error.code`, such as `token_invalid`; empty if the gateway gave none."""
        self.retry_after = retry_after
        """Seconds to wait before another attempt, if the gateway gave a time."""


@dataclass(frozen=True, slots=True)
class Ready:
    """The gateway's `connection.ready`."""

    session_id: str
    """The id that the gateway's logs give for this session."""
    resume_token: str = field(repr=False)
    """Resumes the session after a lost connection: connect again with `?resume=` within the hour. Keep it secret."""
    expires_at: float
    """When the session ends at the latest, as Unix time in seconds."""


class VoiceConnection:
    """A session that is ready; `connect_voice` makes it.

    Iterate over it to receive events as dicts; docs/protocol.md lists them. The iteration ends when the connection
    ends, and `closed` then says how. Cancelling it loses no event.

    One task may send while another one iterates, but only one task may send at a time. Every method that sends raises
    `voice_trio.errors.LinkClosed` once the connection has ended. A cancelled send may have written half a frame: the
    connection cannot be used after it, so leave the `connect_voice` block.
    """

    def __init__(self, link: Link, ready: Ready) -> None:
        self.ready = ready
        """The session's id, its resume token and its end."""
        self.closed: LinkClosed | None = None
        """How the connection ended; `None` until the iteration has ended."""
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
        """Send microphone audio: PCM, best 20 to 100 ms at a time and as fast as it was recorded.

        The gateway refuses more than 2 s in one call. It accepts at most 5 s in advance and reads no faster than twice
        the speed of speech after that, so this waits.
        """
        await self._link.send(pcm)

    async def send_text(self, text: str) -> None:
        """Ask a typed question of at most 4,000 characters. It interrupts the running response."""
        await self.send({"type": "text.input", "text": text})

    async def interrupt(self, item_id: str | None = None, played_ms: float = 0.0) -> None:
        """Stop the running response.

        `item_id` and `played_ms` say how many milliseconds of which item the user has heard; the model then forgets
        the rest. Without them the gateway estimates the position.
        """
        where = {} if item_id is None else {"item_id": item_id, "played_ms": played_ms}
        await self.send({"type": "interrupt", **where})

    async def report_position(self, item_id: str, played_ms: float, *, flushed: bool = False) -> None:
        """Report that the user has heard `played_ms` milliseconds of an item.

        Send it while playing, at most 4 times a second. After a `playback.flush` event stop the sound first, then
        report the final position with `flushed=True`. A client that never reports gets audio at most 1 s in advance.
        """
        event = {"type": "playback.position", "item_id": item_id, "played_ms": played_ms}
        await self.send({**event, "flushed": True} if flushed else event)

    async def get_passage(self, passage_id: str) -> None:
        """Ask for the text of a passage of this session, by its `id` in a `context.injected` event.

        A `passage` event answers, or an `error` event with the id as `passage_id`.
        """
        await self.send({"type": "passage.get", "id": passage_id})

    async def end(self) -> None:
        """End the session for good: it cannot be resumed. The gateway then closes the connection."""
        await self.send({"type": "session.end"})

    async def send(self, event: dict[str, Any]) -> None:
        """Send any client event of docs/protocol.md; `event` has at least a `type`."""
        await self._link.send(json_text.encode(event))


@asynccontextmanager
async def connect_voice(url: str, token: str | None = None) -> AsyncIterator[VoiceConnection]:
    """Open a session at `url` (`ws://` or `wss://`), wait until it is ready, and close it when the block ends.

    `token` is the user's token; blanks and newlines around it do not matter. A `?token=` in `url` is used if `token` is
    missing. Either is sent as a header, so that no log of a proxy has it.

    Raises `VoiceUnreachable` if the gateway does not answer within 10 s or is not ready within 65 s (it may try for
    60 s to connect to its upstream). Raises `VoiceRefused` if the gateway refuses the session. An error of the block
    passes unchanged, not in an exception group.

    When the block ends, also by an error or by cancellation, the connection is closed within 1 s. Without a call to
    `VoiceConnection.end` the session can be resumed.
    """
    address, in_address = _without_token(url)
    shown = (token or "").strip() or (in_address or "").strip()
    headers = {"Authorization": f"Bearer {shown}"} if shown else {}
    error: Exception | None = None
    async with trio.open_nursery() as nursery:
        try:
            link = await _open(nursery, address, headers)
            try:
                yield VoiceConnection(link, await _wait_until_ready(link))
            finally:
                with trio.move_on_after(limits.PEER_CLOSE_SECONDS_MAX, shield=True):
                    await link.aclose()
        except Exception as caught:  # raised again below: a nursery would wrap it in a group
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
                    said = _refused_with(event)
    except trio.TooSlowError as error:
        raise VoiceUnreachable(f"not ready within {READY_SECONDS_MAX:g} s") from error
    except LinkClosed as closed:
        raise said or VoiceRefused("", f"closed before the session was ready: {closed}") from closed


async def _next_event(link: Link) -> dict[str, Any]:
    while True:
        frame = await link.receive()
        try:
            event = json_text.decode(frame)
        except json_text.UNREADABLE:
            continue  # unknown event: a newer gateway may send more
        if isinstance(event, dict):
            return event


def _refusal(rejected: ConnectionRejected) -> VoiceRefused | VoiceUnreachable:
    try:
        body = msgspec.json.decode(rejected.body or b"")
    except json_text.UNREADABLE:
        body = None
    if isinstance(body, dict) and isinstance(body.get("error"), dict):
        return _refused_with(body)
    return VoiceUnreachable(f"HTTP {rejected.status_code} instead of a WebSocket")


def _refused_with(event: dict[str, Any]) -> VoiceRefused:
    error = event.get("error") or {}
    return VoiceRefused(str(error.get("code", "")), str(error.get("message", "refused")), error.get("retry_after"))


def _without_token(url: str) -> tuple[str, str | None]:
    parts = urlsplit(url)
    query = parse_qsl(parts.query, keep_blank_values=True)
    token = next((value for name, value in query if name == "token"), None)
    kept = urlencode([(name, value) for name, value in query if name != "token"])
    return parts._replace(query=kept, fragment="").geturl(), token
