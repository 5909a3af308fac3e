"""Sends the record of each ended session to a URL of the operator, without delaying any session.

    POST VOICE_WEBHOOK_URL
    X-Voice-Event: session.ended
    X-Voice-Delivery: SESSION.REVISION        the same for every attempt, so that the receiver can drop repetitions
    X-Voice-Signature: t=UNIX,v1=HEX          HMAC-SHA256 over "UNIX." and the body, with VOICE_WEBHOOK_SECRET

A resumed session ends again with a higher revision. A record is dropped and logged after the last failed attempt.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING

import httpx2
import structlog
import trio

from voice_trio import limits
from voice_trio.net.background import keep_running
from voice_trio.state.session_record import SessionRecord, encode_record

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from pydantic import SecretStr

    from voice_trio.settings import Settings

log = structlog.get_logger(__name__)


class Webhook:
    """Sends records while `run` runs; without a URL it does nothing."""

    def __init__(
        self,
        url: str | None,
        secret: SecretStr | None,
        *,
        store_transcripts: bool,
        pauses_seconds: tuple[float, ...] = limits.WEBHOOK_PAUSES_SECONDS,
        unix_time: Callable[[], float] = time.time,
    ) -> None:
        self._pauses_seconds = pauses_seconds
        self._url = url
        self._secret = secret
        self._store_transcripts = store_transcripts
        self._unix_time = unix_time
        self._queue, self._waiting = trio.open_memory_channel[SessionRecord](limits.WEBHOOK_QUEUED_MAX)
        self._under_way = 0
        self._idle = trio.Event()

    def send(self, record: SessionRecord) -> None:
        """Queue `record` for delivery; a full queue drops it and logs an error."""
        if self._url is None:
            return
        try:
            self._queue.send_nowait(record if self._store_transcripts else record.without_text())
        except trio.WouldBlock:
            log.error("webhook_queue_full", session_id=record.session_id)

    async def run(self) -> None:
        """Deliver queued records until cancelled."""
        if self._url is None:
            return
        async with httpx2.AsyncClient(timeout=None, follow_redirects=False) as client, trio.open_nursery() as nursery:
            for _ in range(limits.WEBHOOK_SENDERS):
                nursery.start_soon(keep_running, self._send_queued, client, self._url)

    async def wait_idle(self) -> None:
        """Wait until no record is queued or under way; the caller bounds the time."""
        while self._under_way or self._waiting.statistics().current_buffer_used:
            self._idle = trio.Event()
            await self._idle.wait()

    async def flush(self) -> None:
        """Deliver what is queued, also if `run` was cancelled; the caller bounds the time.

        After a second signal everything is cancelled at once, and the last sessions send their records only then.
        """
        async with trio.open_nursery() as nursery:
            nursery.start_soon(self.run)
            await self.wait_idle()
            nursery.cancel_scope.cancel(reason="nothing is queued")

    async def _send_queued(self, client: httpx2.AsyncClient, url: str) -> None:
        async for record in self._waiting:
            self._under_way += 1
            try:
                await self._deliver(client, url, record)
            except trio.Cancelled:
                with suppress(trio.WouldBlock):
                    self._queue.send_nowait(record)  # for `flush`
                raise
            finally:
                self._under_way -= 1
                self._idle.set()

    async def _deliver(self, client: httpx2.AsyncClient, url: str, record: SessionRecord) -> None:
        for pause in (*self._pauses_seconds, None):
            fault = await self._attempt(client, url, record)
            if fault is None:
                return
            if pause is None:
                log.error("webhook_undelivered", session_id=record.session_id, detail=fault)
            else:
                log.warning("webhook_failed", session_id=record.session_id, detail=fault, retry_in_s=pause)
                await trio.sleep(pause)

    async def _attempt(self, client: httpx2.AsyncClient, url: str, record: SessionRecord) -> str | None:
        """The reason of a failure; None if the record is delivered."""
        body = encode_record(record)
        with trio.move_on_after(limits.WEBHOOK_ATTEMPT_SECONDS_MAX):
            try:
                # Only the status matters, so the body is not read.
                async with client.stream("POST", url, content=body, headers=self._headers(record, body)) as answer:
                    return None if answer.is_success else f"status {answer.status_code}"
            except (httpx2.HTTPError, httpx2.InvalidURL) as error:
                return type(error).__name__
        return f"no answer within {limits.WEBHOOK_ATTEMPT_SECONDS_MAX:g} s"

    def _headers(self, record: SessionRecord, body: bytes) -> dict[str, str]:
        headers = {
            "Content-Type": "application/json",
            "X-Voice-Event": "session.ended",
            "X-Voice-Delivery": f"{record.session_id}.{record.revision}",
        }
        if self._secret is not None:
            headers["X-Voice-Signature"] = signature(self._secret, body, int(self._unix_time()))
        return headers


def signature(secret: SecretStr, body: bytes, unix_seconds: int) -> str:
    """The value of X-Voice-Signature, which authenticates `body` and its time."""
    signed = f"{unix_seconds}.".encode() + body
    return f"t={unix_seconds},v1={hmac.new(secret.get_secret_value().encode(), signed, hashlib.sha256).hexdigest()}"


@asynccontextmanager
async def open_webhook(settings: Settings) -> AsyncIterator[Webhook]:
    """Open the webhook of the settings; at the end of the block deliveries under way get 2 s, cancelled or not."""
    shared = settings.shared
    webhook = Webhook(shared.webhook_url, shared.webhook_secret, store_transcripts=shared.store_transcripts)
    async with trio.open_nursery() as nursery:
        nursery.start_soon(keep_running, webhook.run)
        try:
            yield webhook
        finally:
            with trio.move_on_after(limits.FLUSH_SECONDS_MAX, shield=True):
                await webhook.flush()
            nursery.cancel_scope.cancel(reason="the webhook is closed")
