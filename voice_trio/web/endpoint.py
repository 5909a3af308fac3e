"""What every WebSocket endpoint does: authenticates a client, then refuses it or runs its session to the end.

Where a client presents its token, and how a refusal reaches it, differs by protocol: the subclasses know.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio import limits
from voice_trio.admission import refusals
from voice_trio.admission.client_address import TrustedProxies, mask_address
from voice_trio.admission.refusals import Refusal
from voice_trio.errors import LinkClosed
from voice_trio.session.endings import Ending
from voice_trio.session.session import Session
from voice_trio.session.telemetry.record_writer import RecordWriter
from voice_trio.session.telemetry.turn_reports import TurnTraces
from voice_trio.session.upstream.breaker import UpstreamAccess
from voice_trio.web.handshake import error_body, read_handshake
from voice_trio.web.session_config import dial_for, record_for, sidecar_for

if TYPE_CHECKING:
    from voice_trio.admission.grant import SessionGrant
    from voice_trio.session.config import SessionConfig
    from voice_trio.web.gateway import Gateway
    from voice_trio.web.handshake import ClientLink, OpeningRequest

log = structlog.get_logger(__name__)


_INTERNAL_ERROR = error_body("internal_error", "Something went wrong on our side.")


class ConnectionAttempt:
    """One WebSocket connection, from its opening request to the session or the refusal."""

    def __init__(self, request: OpeningRequest, proxies: TrustedProxies) -> None:
        self.request = request
        self.handshake = read_handshake(request.head, proxies)
        self._link: ClientLink | None = None

    @property
    def is_accepted(self) -> bool:
        """Whether the upgrade is complete."""
        return self._link is not None

    async def accept(self) -> ClientLink:
        """The link to the client, completing the upgrade the first time; messages are bounded for a token."""
        if self._link is None:
            self._link = await self.request.accept(self.handshake.subprotocol, bytes_max=limits.FIRST_MESSAGE_BYTES_MAX)
        return self._link

    async def begin_session(self, message_bytes_max: int) -> ClientLink:
        """The link to the client for a session, whose messages may be longer."""
        link = await self.accept()
        link.bytes_max = message_bytes_max
        self.request.note_session()
        return link

    async def close(self) -> None:
        """Close without a session: if the client broke the protocol, with the code that tells how."""
        if self._link is not None:
            with suppress(LinkClosed):
                await self._link.aclose()

    async def close_with_internal_error(self) -> None:
        """Close with 1011 after the upgrade, respond with 500 before it."""
        with trio.move_on_after(limits.SESSION_CLOSE_SECONDS_MAX, shield=True), suppress(LinkClosed):
            if self._link is not None:
                await self._link.aclose(1011, "Internal error")
            else:
                await self.request.respond(500, _INTERNAL_ERROR)


class Endpoint(ABC):
    """Serves the WebSockets of one protocol; in a session a message over `message_bytes_max` ends the connection."""

    message_bytes_max: int
    request_kind: str
    """What a client asks for here, in the log's line of a refusal."""

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

    async def __call__(self, request: OpeningRequest) -> None:
        """Serve one connection from its opening request to its end; raises nothing but cancellation."""
        proxies = TrustedProxies.of(self._settings.web)
        self._gateway.forwarded_for.look_at(request.head.peer, request.head.headers, proxies.hops)
        attempt = ConnectionAttempt(request, proxies)
        try:
            await self._authenticate(attempt)
        except LinkClosed:  # the client left before it had a session, or broke the protocol
            await attempt.close()
        except Exception:  # a bug: the client gets an answer, the log has the error
            log.exception("endpoint_crashed")
            await attempt.close_with_internal_error()

    async def _run_or_refuse(self, attempt: ConnectionAttempt, outcome: SessionGrant | Refusal) -> None:
        """Refuse, or run the session; its grant is released in any case."""
        if isinstance(outcome, Refusal):
            await self._refuse(attempt, outcome)
            return
        writer = RecordWriter(self._gateway.state, record_for(outcome, self._settings))
        session: Session | None = None
        try:
            if self._settings.upstream.is_configured:
                link = await attempt.begin_session(self.message_bytes_max)
                with self._gateway.byte_budget.open(outcome.user.id) as link.account:
                    session = self._make_session(attempt, link, outcome, writer)
                    await self._run_session(attempt, outcome, session, writer)
            else:
                await self._refuse(attempt, replace(refusals.upstream_unavailable(), user=outcome.user))
        finally:
            was_ready = session is not None and session.summary.was_ready
            with trio.move_on_after(limits.RELEASE_SECONDS_MAX, shield=True):
                await self._release(outcome, writer, was_ready=was_ready)

    async def _release(self, grant: SessionGrant, writer: RecordWriter, *, was_ready: bool) -> None:
        """Send and write the session's record, and release the grant; the caller bounds it."""
        if writer.record is not None:
            self._gateway.webhook.send(writer.record)
        try:
            await writer.write_last()  # before the next holder of the session may read it
        finally:
            with trio.move_on_after(limits.RELEASE_SECONDS_MAX, shield=True):
                await (grant.end() if was_ready else grant.release_unused())

    def _make_session(
        self, attempt: ConnectionAttempt, link: ClientLink, grant: SessionGrant, writer: RecordWriter
    ) -> Session:
        gateway = self._gateway
        config = self._session_config(attempt, grant)
        dial = dial_for(config.model.model, self._settings, config.user)
        traces = TurnTraces(gateway.reports, gateway.traces, config.session_id, config.user)
        observers = (writer, gateway.statistics, traces)
        bill = gateway.daily_budget.open(config, spent_before_micro_usd=writer.cost_before_micro_usd)
        sidecar = sidecar_for(config.user, self._settings)
        access = UpstreamAccess(gateway.breaker, grant.user.id)
        session = Session(
            link,
            dial,
            gateway.knowledge,
            config,
            observers=observers,
            cost_meter=bill,
            sidecar=sidecar,
            access=access,
        )
        if gateway.state.health.enabled:  # without Redis no record outlives a kill: there is nothing to write ahead for
            writer.follow(session.open_turns, bill)
        return session

    async def _run_session(
        self, attempt: ConnectionAttempt, grant: SessionGrant, session: Session, writer: RecordWriter
    ) -> None:
        with (
            structlog.contextvars.bound_contextvars(session_id=grant.session_id),
            self._gateway.reports.session(grant.session_id, session.config.user),
            self._gateway.live.track(session, grant.user.id),
        ):
            grant.holder.when_lost(lambda: session.end(Ending.TAKEN_OVER))
            log.info(
                "session_admitted",
                user=session.config.user,
                plan=grant.plan,
                resumed=grant.resumed is not None,
                request=self.request_kind,
                client=mask_address(attempt.handshake.address),
            )
            self._gateway.statistics.count_admission(session.config.user)
            async with trio.open_nursery() as nursery:
                nursery.start_soon(grant.keep_lease)
                nursery.start_soon(writer.run)
                await session.run()
                nursery.cancel_scope.cancel(reason="session over")

    def _report(self, attempt: ConnectionAttempt, refusal: Refusal, *, at_handshake: bool) -> None:
        address = attempt.handshake.address
        self._gateway.report_refusal(refusal, address, request=self.request_kind, at_handshake=at_handshake)
