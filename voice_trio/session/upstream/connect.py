"""Reaching the model: a few attempts, a handshake, and no audio before it has promised not to answer by itself."""

from __future__ import annotations

import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, TypeVar

import structlog
import trio

from voice_trio.conversation.events import UpstreamError
from voice_trio.conversation.policy import FATAL_CODES
from voice_trio.errors import BadMessage, LinkClosed, ModelRefused, ModelUnavailable
from voice_trio.protocols.realtime import RealtimeConfig, SessionState, read_event, session_update

if TYPE_CHECKING:
    from voice_trio.net.link import Link

log = structlog.get_logger(__name__)
T = TypeVar("T")

Dial: TypeAlias = Callable[[trio.Nursery], Awaitable["Link"]]
"""Opens a link whose background work lives in the nursery; raises `ModelUnavailable` or `ModelRefused`."""

FALLBACK_TRANSCRIPTION_MODEL = "gpt-transcribe"  # no words before the commit, but understood by every server
UPDATE_ID = "vt_session"
LET_GO_SECONDS_MAX = 0.5


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How hard to try. Between attempts: `backoff_seconds`, times `backoff_factor` each time, less up to half of it."""

    attempts_max: int = 3
    attempt_seconds_max: float = 8.0
    backoff_seconds: float = 0.5
    backoff_factor: float = 2.0


@dataclass(frozen=True, slots=True)
class ConnectedUpstream:
    """A model that is ready: it listens, and answers only when asked."""

    link: Link
    created: SessionState
    updated: SessionState
    transcription_model: str
    """What was asked for, and accepted."""
    transcription_fallback: bool


async def connect(
    dial: Dial, nursery: trio.Nursery, config: RealtimeConfig, persistence: RetryPolicy
) -> ConnectedUpstream:
    """A ready model; raises `ModelUnavailable` after the last attempt, `ModelRefused` at once if no retry can help."""
    return await connect_with_retry(dial, nursery, partial(_handshake, config=config), persistence)


async def connect_with_retry(
    dial: Dial, nursery: trio.Nursery, handshake: Callable[[Link], Awaitable[T]], persistence: RetryPolicy
) -> T:
    """What `handshake` makes of a link, in as many attempts as it takes; raises as `connect` does."""
    pause = persistence.backoff_seconds
    for attempt in range(1, persistence.attempts_max + 1):
        try:
            return await _attempt(dial, nursery, handshake, persistence.attempt_seconds_max)
        except ModelRefused:
            raise
        except ModelUnavailable as error:
            log.warning("upstream_attempt_failed", attempt=attempt, reason=str(error))
            if attempt == persistence.attempts_max:
                raise
        await trio.sleep(pause * random.uniform(0.5, 1.0))
        pause *= persistence.backoff_factor
    raise ModelUnavailable("no attempt was allowed")


async def _attempt(
    dial: Dial, nursery: trio.Nursery, handshake: Callable[[Link], Awaitable[T]], seconds_max: float
) -> T:
    link: Link | None = None
    failure: ModelUnavailable
    try:
        with trio.fail_after(seconds_max):
            link = await dial(nursery)
            return await handshake(link)
    except trio.TooSlowError:
        failure = ModelUnavailable(f"not ready after {seconds_max:g} s")
    except LinkClosed as closed:
        failure = _explained(closed)
    except ModelUnavailable as error:
        failure = error
    if link is not None:
        with trio.move_on_after(LET_GO_SECONDS_MAX, shield=True):
            await link.aclose()
    raise failure


async def _handshake(link: Link, config: RealtimeConfig) -> ConnectedUpstream:
    created = await wait_for_state(link, "session.created")
    await link.send(session_update(config, UPDATE_ID))
    accepted, fallback = config.transcription_model, False
    try:
        updated = await wait_for_state(link, "session.updated")
    except _UpdateRefused as refusal:
        if not refusal.may_be_transcription or config.transcription_model == FALLBACK_TRANSCRIPTION_MODEL:
            raise
        log.warning("transcription_fallback", refused=config.transcription_model, code=refusal.code)
        accepted, fallback = FALLBACK_TRANSCRIPTION_MODEL, True
        await link.send(session_update(replace(config, transcription_model=accepted), UPDATE_ID))
        updated = await wait_for_state(link, "session.updated")
    if updated.create_response is not False:
        # It would answer by itself, without context, and race ours.
        raise ModelRefused("the server does not honour create_response: false")
    return ConnectedUpstream(link, created, updated, accepted, fallback)


class _UpdateRefused(ModelRefused):
    """The server will not have the session as we want it; `param` names the setting, where the server does."""

    def __init__(self, error: UpstreamError) -> None:
        what = f" ({error.param})" if error.param else ""
        super().__init__(f"session.update refused: {error.code or 'error'}{what}")
        self.code = error.code
        self.may_be_transcription = not error.param or "transcription" in error.param


async def wait_for_state(link: Link, kind: str) -> SessionState:
    """The server's next `session.created` or `session.updated`; raises `ModelRefused` where it says no for good.

    To be sent before: a `session.update` with the id `UPDATE_ID`.
    """
    while True:
        frame = await link.receive()
        if isinstance(frame, bytes):
            continue
        try:
            event = read_event(frame)
        except BadMessage as error:
            raise ModelUnavailable("the server does not speak the Realtime protocol") from error
        if isinstance(event, SessionState) and event.type == kind:
            return event
        if isinstance(event, UpstreamError):
            if event.code in FATAL_CODES:
                raise ModelRefused(event.code)
            if kind == "session.updated" and event.event_id == UPDATE_ID:
                raise _UpdateRefused(event)
            if kind == "session.created":
                raise ModelUnavailable(event.code or "error")


def _explained(closed: LinkClosed) -> ModelUnavailable:
    if any(code in closed.reason for code in FATAL_CODES):
        return ModelRefused(closed.reason)
    return ModelUnavailable(f"during the handshake: {closed}")
