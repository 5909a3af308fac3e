"""What every WebSocket endpoint does: authenticates a client, then refuses it or runs its session to the end.

Where a client presents its token, and how a refusal reaches it, differs by protocol: the subclasses know.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio import limits
from voice_trio.admission.refusals import Refusal
from voice_trio.errors import LinkClosed
from voice_trio.net.dial import make_dial
from voice_trio.session.endings import Ending
from voice_trio.session.session import Session
from voice_trio.session.telemetry.record_writer import RecordWriter
from voice_trio.session.telemetry.turn_reports import TurnTraces
from voice_trio.web.asgi_link import AsgiLink, bound_messages, decline_compression, respond, wait_until_stopping
from voice_trio.web.handshake import hide_secrets, read_handshake
from voice_trio.web.session_config import record_for, sidecar_for

if TYPE_CHECKING:
    from voice_trio.admission.grant import SessionGrant
    from voice_trio.session.config import SessionConfig
    from voice_trio.web.asgi_link import Receive, Scope, Send
    from voice_trio.web.gateway import Gateway

log = structlog.get_logger(__name__)


_ONLY_HTTP_1 = b'{"error":{"code":"not_allowed","message":"WebSockets are served over HTTP/1.1 only."}}'


class ConnectionAttempt:
    """One WebSocket connection, from its opening request to the session or the refusal."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, trusted_hops: int, bytes_max: int) -> None:
        self.scope = scope
        self.send = send
        self.handshake = read_handshake(scope, trusted_hops)
        self.link = AsgiLink(receive, send, bytes_max=bytes_max)
        self.is_accepted = False
        self.late_token: str | None = None
        """The token in the first message, if the handshake had none."""

    async def accept(self) -> None:
        """Complete the upgrade, once."""
        if not self.is_accepted:
            self.is_accepted = True
            await self.link.accept(self.handshake.subprotocol)

    async def close_with_internal_error(self) -> None:
        """Close with 1011 after the upgrade; before it the server itself responds with 500."""
        if self.is_accepted:
            with trio.move_on_after(limits.SESSION_CLOSE_SECONDS_MAX, shield=True):
                await self.link.aclose(1011, "Internal error")


class Endpoint(ABC):
    """Serves the WebSockets of one protocol; a message of more than `message_bytes_max` bytes ends its connection."""

    message_bytes_max: int

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._settings = gateway.settings

    @abstractmethod
    async def _authenticate(self, attempt: ConnectionAttempt) -> None:
        """Authenticate the client, and `_run_or_refuse` with the outcome."""

    @abstractmethod
    async def _refuse(self, attempt: ConnectionAttempt, refusal: Refusal) -> None:
        """Send a refusal."""

    @abstractmethod
    def _session_config(self, attempt: ConnectionAttempt, grant: SessionGrant) -> SessionConfig:
        """The configuration of the session that is granted."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection from its opening request to its end; raises nothing but cancellation."""
        hops = self._settings.web.trusted_proxy_hops
        attempt = ConnectionAttempt(scope, receive, send, trusted_hops=hops, bytes_max=self.message_bytes_max)
        hide_secrets(scope)
        decline_compression(send)
        bound_messages(send, self.message_bytes_max)
        await receive()  # websocket.connect
        try:
            if scope.get("http_version", "1.1") != "1.1":
                # HTTP/2 and later have flow control of their own, which hides a client that stops reading.
                await respond(scope, send, 505, _ONLY_HTTP_1)
            else:
                await self._authenticate(attempt)
        except LinkClosed:
            pass  # the client left before it had a session
        except Exception:  # a bug: hypercorn would close with 1000 and log nothing
            log.exception("endpoint_crashed")
            await attempt.close_with_internal_error()
        finally:
            self._gateway.nursery.start_soon(attempt.link.discard_messages, limits.DISCARD_SECONDS_MAX)

    async def _run_or_refuse(self, attempt: ConnectionAttempt, outcome: SessionGrant | Refusal) -> None:
        """Refuse, or run the session; its grant is released in any case."""
        if isinstance(outcome, Refusal):
            await self._refuse(attempt, outcome)
            return
        with self._gateway.live.handling(outcome.session_id):
            writer = RecordWriter(self._gateway.state, record_for(outcome, self._settings))
            session: Session | None = None
            try:
                if self._settings.upstream.is_configured:
                    session = self._make_session(attempt, outcome, writer)
                    await self._run_session(attempt, outcome, session, writer)
                    if session.summary.ending is Ending.UPSTREAM_UNAVAILABLE and not session.summary.was_ready:
                        self._note_upstream_unavailable(attempt, outcome)
                else:
                    await self._refuse(attempt, self._note_upstream_unavailable(attempt, outcome))
            finally:
                was_ready = session is not None and session.summary.was_ready
                with trio.move_on_after(limits.RELEASE_SECONDS_MAX, shield=True):
                    await self._release(outcome, writer, was_ready=was_ready)

    async def _release(self, grant: SessionGrant, writer: RecordWriter, *, was_ready: bool) -> None:
        """Send and write the session's record, and release the grant; the caller bounds it."""
        if writer.record is not None:
            self._gateway.webhook.send(writer.record)
        await writer.write_last()
        await (grant.end() if was_ready else grant.release_unused())

    def _make_session(self, attempt: ConnectionAttempt, grant: SessionGrant, writer: RecordWriter) -> Session:
        gateway, upstream = self._gateway, self._settings.upstream
        config = self._session_config(attempt, grant)
        key = upstream.api_key.get_secret_value() if upstream.api_key else None
        dial = make_dial(upstream.url, config.model.model, key, config.user)
        traces = TurnTraces(gateway.reports, gateway.traces, config.session_id, config.user)
        observers = (writer, gateway.statistics, traces)
        spent_before = 0 if grant.resumed is None else grant.resumed.cost_micro_usd
        bill = gateway.daily_budget.open(config, spent_before_micro_usd=spent_before)
        sidecar = sidecar_for(config.user, self._settings)
        return Session(
            attempt.link, dial, gateway.knowledge, config, observers=observers, cost_meter=bill, sidecar=sidecar
        )

    async def _run_session(
        self, attempt: ConnectionAttempt, grant: SessionGrant, session: Session, writer: RecordWriter
    ) -> None:
        with (
            structlog.contextvars.bound_contextvars(session_id=grant.session_id),
            self._gateway.reports.session(grant.session_id, session.config.user),
            self._gateway.live.track(session),
        ):
            resumed = grant.resumed is not None
            log.info("session_admitted", user=session.config.user, plan=grant.plan, resumed=resumed)
            self._gateway.statistics.count_admission(session.config.user)
            await attempt.accept()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(grant.keep_lease)
                nursery.start_soon(writer.run)
                nursery.start_soon(self._drain_when_stopping, attempt.send)
                await session.run()
                nursery.cancel_scope.cancel(reason="session over")

    async def _drain_when_stopping(self, send: Send) -> None:
        # Under the bare hypercorn command this process receives no signal; its connections are the first to see it.
        await wait_until_stopping(send)
        self._gateway.drain()

    def _note(self, refusal: Refusal, *, at_handshake: bool) -> None:
        self._gateway.statistics.count_refusal(refusal.code)
        log.info("refused", code=refusal.code, at_handshake=at_handshake)

    def _note_upstream_unavailable(self, attempt: ConnectionAttempt, grant: SessionGrant) -> Refusal:
        early_token = attempt.handshake.token
        return self._gateway.admission.note_upstream_unavailable(
            grant, early_token or attempt.late_token, attempt.handshake.address, is_late=early_token is None
        )
