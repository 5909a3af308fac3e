"""Connects to the upstream: a few attempts, a handshake, and no audio before it has agreed not to respond by itself."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import msgspec
import structlog
import trio

from voice_trio import limits
from voice_trio.conversation.events import UpstreamError
from voice_trio.conversation.policy import FATAL_CODES
from voice_trio.errors import BadMessage, LinkClosed, ModelRefused, ModelUnavailable, SettingsRefused
from voice_trio.protocols.json_text import as_text
from voice_trio.protocols.realtime import SessionState
from voice_trio.session.ports import ConnectedUpstream
from voice_trio.session.upstream.breaker import with_jitter
from voice_trio.upstreams.openai import OPENAI
from voice_trio.upstreams.profile import Gate, RealtimeTranslator

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from voice_trio.net.link import Link
    from voice_trio.protocols.realtime import RealtimeConfig
    from voice_trio.session.config import RetryPolicy
    from voice_trio.session.ports import Dial
    from voice_trio.upstreams.profile import Translator, UpstreamProfile

log = structlog.get_logger(__name__)
_waits_for: ContextVar[str] = ContextVar("waits_for", default="")
"""What this task waits for in a handshake, for the reason that it took too long."""
T = TypeVar("T")

UPDATE_ID = "vt_session"
FLAT_FIELDS = frozenset({"modalities", "turn_detection", "input_audio_format", "input_audio_transcription"})
"""Of a session object as it was before GA, at its top."""


async def connect(
    dial: Dial, nursery: trio.Nursery, config: RealtimeConfig, retry: RetryPolicy, profile: UpstreamProfile = OPENAI
) -> ConnectedUpstream:
    """A ready upstream; raises `ModelUnavailable` after the last attempt, `ModelRefused` where no retry can help."""
    return await with_retries(partial(connect_once, dial, nursery, config, retry.attempt_seconds_max, profile), retry)


async def connect_once(
    dial: Dial, nursery: trio.Nursery, config: RealtimeConfig, seconds_max: float, profile: UpstreamProfile = OPENAI
) -> ConnectedUpstream:
    """The same, with one attempt of at most `seconds_max`."""
    return await open_once(dial, nursery, partial(_handshake, config=config, profile=profile), seconds_max)


async def with_retries(attempt: Callable[[], Awaitable[T]], retry: RetryPolicy) -> T:
    """The result of `attempt`, which is called as often as it takes; raises as `connect` does."""
    pause, number = retry.backoff_seconds, 1
    while True:
        try:
            return await attempt()
        except ModelUnavailable as error:
            if isinstance(error, ModelRefused) and not (retry.was_accepted and error.may_pass):
                raise
            log.warning("upstream_attempt_failed", attempt=number, reason=str(error))
            if number == retry.attempts_max:
                raise
        await trio.sleep(with_jitter(pause))
        pause = min(pause * retry.backoff_factor, retry.backoff_seconds_max)
        number += 1


async def open_once(
    dial: Dial, nursery: trio.Nursery, handshake: Callable[[Link], Awaitable[T]], seconds_max: float
) -> T:
    """The result of `handshake` with a new link, both within `seconds_max`; else the link is closed."""
    link: Link | None = None
    _waits_for.set("a connection")
    failure: ModelUnavailable
    try:
        with trio.fail_after(seconds_max):
            link = await dial(nursery)
            return await handshake(link)
    except trio.TooSlowError:
        failure = ModelUnavailable(f"not ready after {seconds_max:g} s: waited for {_waits_for.get()}")
    except LinkClosed as closed:
        failure = _error_of(closed)
    except ModelUnavailable as error:
        failure = error
    except BaseException:  # the session ends during the handshake: its connection ends with it (I8)
        with trio.move_on_after(limits.LINK_CLOSE_SECONDS_MAX, shield=True):
            await _close(link)
        raise
    with trio.move_on_after(limits.LINK_CLOSE_SECONDS_MAX, shield=True):
        await _close(link)
    raise failure


async def _close(link: Link | None) -> None:
    if link is not None:
        await link.aclose()


async def send_with_timeout(link: Link, frame: str) -> str | None:
    """Send a frame; returns why the link is of no more use, or None. A cancelled send tears the socket."""
    with trio.move_on_after(limits.UPSTREAM_SEND_SECONDS_MAX):
        try:
            await link.send(frame)
        except LinkClosed as closed:
            return str(closed)
        return None
    return f"send timed out after {limits.UPSTREAM_SEND_SECONDS_MAX:g} s"


# The handshake. A new session responds by itself to every commit, so no audio may reach it before it has confirmed
# `create_response: false`: its first response would have no context, and would race ours. The confirmation is read
# from `session.updated`, because a server that does not know the setting ignores it without an error. If the server
# refuses the update, and the transcription model may be the reason, it is tried once with a model that every server
# accepts. Words then come only after the commit, and retrieval is later, but the session works.


async def _handshake(link: Link, config: RealtimeConfig, profile: UpstreamProfile) -> ConnectedUpstream:
    translator = None if profile.translator is None else profile.translator()
    speaker = translator or RealtimeTranslator()
    if profile.gate is Gate.NONE:
        return await _start(link, config, speaker, translator)
    created = await wait_for_state(link, "session.created", speaker)
    await link.send(speaker.session_update(config, UPDATE_ID))
    accepted, fallback = config.transcription_model, False
    try:
        updated = await wait_for_state(link, "session.updated", speaker)
    except _UpdateRefused as refusal:
        other = profile.fallback_transcription_model
        if not refusal.may_be_transcription or other in (None, config.transcription_model):
            raise
        log.warning("transcription_fallback", refused=config.transcription_model, code=refusal.code)
        accepted, fallback = other, True
        await link.send(speaker.session_update(replace(config, transcription_model=accepted), UPDATE_ID))
        updated = await wait_for_state(link, "session.updated", speaker)
    if profile.gate is Gate.HELD and updated.create_response is not False:
        # It would respond by itself, without context, and race our response.create.
        raise ModelRefused(f"the server does not honour create_response: false ({_what_it_shows(updated)})")
    if profile.gate.detects_here and updated.turn_detection is not None:
        raise ModelRefused("the server does not switch its turn detection off")
    return ConnectedUpstream(link, created, updated, accepted, fallback, translator)


def _what_it_shows(updated: SessionState) -> str:
    """What a session has in place of the setting that holds its responses back."""
    if updated.turn_detection is None:
        session = msgspec.json.decode(updated.session_json)
        if isinstance(session, dict) and session.keys() & FLAT_FIELDS:
            return "its session has the flat shape of the interface before GA: try VOICE_UPSTREAM=flat"
        return "its session shows no turn detection"
    return f"with {updated.turn_detection} its session shows no create_response: false, so it responds by itself"


async def _start(
    link: Link, config: RealtimeConfig, speaker: Translator, translator: Translator | None
) -> ConnectedUpstream:
    """A full-duplex session begins with our frame, and its settings cannot be changed."""
    await link.send(speaker.session_update(config, UPDATE_ID))
    started = await wait_for_state(link, "session.created", speaker)
    return ConnectedUpstream(link, started, replace(started, type="session.updated"), "", False, translator)


class _UpdateRefused(SettingsRefused):
    """The server refused `session.update`; `param` names the setting, where the server does."""

    def __init__(self, error: UpstreamError) -> None:
        setting = f" ({error.param})" if error.param else ""
        super().__init__(f"session.update refused: {error.code}{setting}")
        self.code = error.code
        self.may_be_transcription = not error.param or "transcription" in error.param


async def wait_for_state(link: Link, kind: str, translator: Translator | None = None) -> SessionState:
    """Wait for `session.created` or `session.updated`; raises `ModelRefused` for a refusal that no retry can change.

    Before it waits for `session.updated`, the caller sends a `session.update` with the id `UPDATE_ID`.
    """
    translator = translator or RealtimeTranslator()
    _waits_for.set(kind)
    while True:
        frame = await link.receive()
        try:
            found = list(translator.read(as_text(frame)))
        except BadMessage as error:
            if isinstance(frame, bytes):
                continue  # a binary frame may be anything
            raise ModelUnavailable("the server does not speak the Realtime protocol") from error
        for event in found:
            if isinstance(event, SessionState) and event.type == kind:
                return event
            if isinstance(event, UpstreamError):
                _raise_refusal(event, kind)


def _raise_refusal(error: UpstreamError, kind: str) -> None:
    """Raise what the error means to the wait for `kind`, if anything."""
    if error.code in FATAL_CODES:
        raise ModelRefused(error.code)
    if kind == "session.updated" and error.event_id == UPDATE_ID:
        raise _UpdateRefused(error)
    if kind == "session.created":
        raise ModelUnavailable(error.code)


def _error_of(closed: LinkClosed) -> ModelUnavailable:
    if any(code in closed.reason for code in FATAL_CODES):
        return ModelRefused(closed.reason)
    return ModelUnavailable(f"during the handshake: {closed}")
