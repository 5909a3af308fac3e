"""What every WebSocket endpoint does: who knocks is looked at, refused, or given a session until it is over.

How a caller shows who it is, and how a refusal is told, is each protocol's own affair.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio.admission.refusals import Refusal
from voice_trio.errors import LinkClosed
from voice_trio.net.link import make_dial
from voice_trio.session.endings import Ending
from voice_trio.session.session import Session
from voice_trio.session.telemetry.record_writer import RecordWriter
from voice_trio.session.telemetry.summary import Observers, TurnTraces
from voice_trio.web.asgi_link import AsgiLink
from voice_trio.web.handshake import hide_secrets, read_handshake
from voice_trio.web.http_refusals import respond
from voice_trio.web.hypercorn_internals import bound_messages, decline_compression, wait_until_stopping
from voice_trio.web.session_config import record_for, sidecar_for

if TYPE_CHECKING:
    from voice_trio.admission.grant import SessionGrant
    from voice_trio.session.config import SessionConfig
    from voice_trio.web.asgi_link import Receive, Scope, Send
    from voice_trio.web.gateway import Gateway

log = structlog.get_logger(__name__)

GIVE_BACK_SECONDS_MAX = 2.0
GOODBYE_SECONDS_MAX = 2.0
AFTERLIFE_SECONDS_MAX = 60.0  # the server ends the connection when the handler returns; then this ends too

_ONLY_HTTP_1 = b'{"error":{"code":"not_allowed","message":"WebSockets are served over HTTP/1.1 only."}}'


class ConnectionAttempt:
    """One connection on its way in."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, *, trusted_hops: int, bytes_max: int) -> None:
        self.scope = scope
        self.send = send
        self.handshake = read_handshake(scope, trusted_hops)
        self.link = AsgiLink(receive, send, bytes_max=bytes_max)
        self.is_accepted = False
        self.late_token: str | None = None
        """The token of the first message, where the handshake had none."""

    async def accept(self) -> None:
        if not self.is_accepted:
            self.is_accepted = True
            await self.link.accept(self.handshake.subprotocol)

    async def apologise(self) -> None:
        """Say 1011 ourselves; before the upgrade the server says 500 when nothing was said."""
        if self.is_accepted:
            with trio.move_on_after(GOODBYE_SECONDS_MAX, shield=True):
                await self.link.aclose(1011, "Internal error")


class Endpoint(ABC):
    """Handles one protocol's WebSockets of one process; messages of more than `message_bytes_max` end a connection."""

    message_bytes_max: int

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        self._settings = gateway.settings

    @abstractmethod
    async def _welcome(self, knock: ConnectionAttempt) -> None:
        """Find out who knocks, and `_settle` what becomes of it."""

    @abstractmethod
    async def _refuse(self, knock: ConnectionAttempt, refusal: Refusal) -> None:
        """Tell a refusal."""

    @abstractmethod
    def _terms(self, knock: ConnectionAttempt, admitted: SessionGrant) -> SessionConfig:
        """What is agreed with whoever was admitted."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One connection from its opening request to its end; raises nothing but cancellation."""
        hops = self._settings.web.trusted_proxy_hops
        knock = ConnectionAttempt(scope, receive, send, trusted_hops=hops, bytes_max=self.message_bytes_max)
        hide_secrets(scope)
        decline_compression(send)
        bound_messages(send, self.message_bytes_max)
        await receive()  # websocket.connect
        try:
            if scope.get("http_version", "1.1") != "1.1":
                # Inside HTTP/2 and later, flow control of its own hides a client that takes nothing.
                await respond(scope, send, 505, _ONLY_HTTP_1)
            else:
                await self._welcome(knock)
        except LinkClosed:
            pass  # gone before anything came of it
        except Exception:  # a bug: hypercorn would close with 1000, and nobody would know
            log.exception("endpoint_crashed")
            await knock.apologise()
        finally:
            self._gateway.nursery.start_soon(knock.link.read_to_the_end, AFTERLIFE_SECONDS_MAX)

    async def _settle(self, knock: ConnectionAttempt, outcome: SessionGrant | Refusal) -> None:
        """Tell a refusal, or run the session; whatever was taken for it is given back in any case."""
        if isinstance(outcome, Refusal):
            await self._refuse(knock, outcome)
            return
        with self._gateway.live.handling(outcome.session_id):
            keeper = RecordWriter(self._gateway.state, record_for(outcome, self._settings))
            was_ready = False
            try:
                if self._settings.upstream.is_configured:
                    session = self._session(knock, outcome, keeper)
                    try:
                        await self._talk(knock, outcome, session, keeper)
                    finally:
                        was_ready = session.summary.was_ready
                    if session.summary.ending is Ending.UPSTREAM_UNAVAILABLE and not was_ready:
                        self._note_unreached(knock, outcome)
                else:
                    await self._refuse(knock, self._note_unreached(knock, outcome))
            finally:
                if keeper.record is not None:
                    self._gateway.webhook.send(keeper.record)
                with trio.move_on_after(GIVE_BACK_SECONDS_MAX, shield=True):
                    await keeper.write_last()
                    await (outcome.end() if was_ready else outcome.release_unused())

    def _session(self, knock: ConnectionAttempt, admitted: SessionGrant, keeper: RecordWriter) -> Session:
        upstream = self._settings.upstream
        terms = self._terms(knock, admitted)
        key = upstream.api_key.get_secret_value() if upstream.api_key else None
        dial = make_dial(upstream.url, terms.model.model, key, terms.user)
        gateway = self._gateway
        traces = TurnTraces(gateway.reports, gateway.traces, terms.session_id, terms.user)
        observer = Observers(keeper, gateway.statistics, traces)
        spent_before = 0 if admitted.resumed is None else admitted.resumed.cost_micro_usd
        purse = self._gateway.daily_budget.open(terms, spent_before_micro_usd=spent_before)
        sidecar = sidecar_for(terms.user, self._settings)
        return Session(
            knock.link, dial, self._gateway.knowledge, terms, observer=observer, account=purse, sidecar=sidecar
        )

    async def _talk(
        self, knock: ConnectionAttempt, admitted: SessionGrant, session: Session, keeper: RecordWriter
    ) -> None:
        with (
            structlog.contextvars.bound_contextvars(session_id=admitted.session_id),
            self._gateway.reports.session(admitted.session_id, session.terms.user),
            self._gateway.live.entered(session),
        ):
            resumed = admitted.resumed is not None
            log.info("session_admitted", user=session.terms.user, plan=admitted.plan, resumed=resumed)
            self._gateway.statistics.admit(session.terms.user)
            await knock.accept()
            async with trio.open_nursery() as nursery:
                nursery.start_soon(admitted.keep_lease)
                nursery.start_soon(keeper.run)
                nursery.start_soon(self._drain_when_stopping, knock.send)
                await session.run()
                nursery.cancel_scope.cancel(reason="session over")

    async def _drain_when_stopping(self, send: Send) -> None:
        # Started by the bare hypercorn command we see no signal; its connections learn first that it stops.
        await wait_until_stopping(send)
        self._gateway.drain()

    def _note(self, refusal: Refusal, *, at_handshake: bool) -> None:
        self._gateway.statistics.refused(refusal.code)
        log.info("refused", code=refusal.code, at_handshake=at_handshake)

    def _note_unreached(self, knock: ConnectionAttempt, admitted: SessionGrant) -> Refusal:
        shown = knock.handshake.token
        return self._gateway.admission.note_upstream_unavailable(
            admitted, shown or knock.late_token, knock.handshake.address, is_late=shown is None
        )
