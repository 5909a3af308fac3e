"""The configuration and the record of one session, from the settings and its grant. Nothing here waits."""

from __future__ import annotations

import time
from dataclasses import replace
from typing import TYPE_CHECKING

from voice_trio.auth.signed_tokens import ResumeTokens
from voice_trio.auth.tokens import user_hash
from voice_trio.conversation.policy import Policy
from voice_trio.protocols.realtime import RealtimeConfig
from voice_trio.session.config import PassthroughConfig, RetryPolicy, SessionConfig
from voice_trio.session.sidecar.sidecar import SidecarPlan
from voice_trio.session.telemetry.record_writer import history_of
from voice_trio.state.session_record import SessionRecord
from voice_trio.upstreams.dial import make_dial, make_sidecar_dial
from voice_trio.upstreams.profile import Gate

if TYPE_CHECKING:
    from voice_trio.admission.grant import SessionGrant
    from voice_trio.auth.tokens import User
    from voice_trio.net.dial import UpstreamDial
    from voice_trio.settings import Settings

FULL_DUPLEX_WORDS = 3
"""Words before the first search where nothing waits for it."""


def record_for(grant: SessionGrant, settings: Settings) -> SessionRecord:
    """A new record or, for a session that is resumed, the record it left."""
    if grant.resumed is not None:
        return grant.resumed
    return SessionRecord(
        session_id=grant.session_id,
        user_id=grant.user.id,
        instance="",
        started=time.time(),
        duration_seconds=settings.limits.session_seconds,
        voice=grant.user.voice or settings.voice.name,
    )


def session_config_for(grant: SessionGrant, settings: Settings) -> SessionConfig:
    """The configuration of a session; the user's own voice and speed take precedence over the server's."""
    user, session_id, resumed = grant.user, grant.session_id, grant.resumed
    seconds_left = settings.limits.session_seconds if resumed is None else resumed.seconds_left
    model = realtime_config_for(user, settings)
    retrieval, limits = settings.retrieval, settings.limits
    profile = settings.upstream.profile
    is_full_duplex = profile.gate is Gate.NONE
    return SessionConfig(
        session_id=session_id,
        model=model,
        upstream=profile,
        user=user_hash(user.id, settings.signing_secret),
        plan=grant.plan,
        connected_before_seconds=0.0 if resumed is None else resumed.connected_seconds,
        cost_before_usd=0.0 if resumed is None else resumed.cost_micro_usd / 1e6,
        resume_token=ResumeTokens(settings.signing_secret).issue(user.id, session_id, seconds_left),
        history=() if resumed is None else history_of(resumed),
        upstream_session_id="" if resumed is None else resumed.upstream_session_id,
        id_prefix="vt_" if resumed is None else f"vt_r{resumed.revision}_",
        duration_seconds=seconds_left,
        idle_seconds=limits.idle_seconds,
        search_limit=retrieval.limit,
        search_seconds_max=retrieval.search_timeout_ms / 1000,
        policy=Policy(
            wait_seconds_max=retrieval.wait_ms / 1000,
            prefetch_words_min=min(retrieval.min_words, FULL_DUPLEX_WORDS) if is_full_duplex else retrieval.min_words,
            whole_words=is_full_duplex,
            upstream_interrupts=profile.interrupts,
            context_tokens_max=retrieval.context_tokens,
            speed=model.speed,
            passage_cache=settings.weaviate.url is not None,
        ),
        retry=RetryPolicy(attempts_max=settings.upstream.attempts_max, backoff_factor=settings.upstream.backoff_factor),
        show_passages=retrieval.show_passages,
        is_resumed=resumed is not None,
        recovery_seconds=settings.upstream.recovery_seconds,
    )


def passthrough_config_for(grant: SessionGrant, settings: Settings, model: str) -> SessionConfig:
    """The same for a client of OpenAI's protocol, which cannot resume; `model` is one that it may use."""
    config = session_config_for(grant, settings)
    passthrough = PassthroughConfig(frozenset(settings.web.client_config), grant.preset)
    return replace(config, model=replace(config.model, model=model), resume_token="", passthrough=passthrough)


def sidecar_for(user: str, settings: Settings) -> SidecarPlan | None:
    """When and where the sidecar transcribes, or None if it is off; `user` is the hashed id."""
    server = settings.upstream.sidecar
    if server is None:
        return None
    dial = make_sidecar_dial(server.url, server.key, user, profile=server.profile, headers=server.headers)
    return SidecarPlan(dial, always=settings.upstream.sidecar_transcription == "on")


def dial_for(model: str, settings: Settings, user: str = "") -> UpstreamDial:
    """How a conversation's upstream is reached; `user` is the hashed id."""
    upstream = settings.upstream
    return make_dial(upstream.url, model, upstream.key, user, profile=upstream.profile, headers=upstream.headers)


def realtime_config_for(user: User, settings: Settings) -> RealtimeConfig:
    """The Realtime session settings of a user."""
    voice, sidecar = settings.voice, settings.upstream.sidecar
    return RealtimeConfig(
        model=settings.upstream.model,
        instructions=settings.instructions,
        voice=user.voice or voice.name,
        speed=voice.speed if user.voice_speed is None else user.voice_speed,
        transcription_model=settings.upstream.transcription_model,
        sidecar_model=None if sidecar is None else sidecar.model,
        silence_ms=voice.vad_silence_ms,
        threshold=voice.vad_threshold,
        noise_reduction=None if voice.noise_reduction == "off" else voice.noise_reduction,
        reasoning_effort=voice.reasoning_effort,
        max_output_tokens=voice.max_output_tokens,
        store=settings.upstream.live_store,
        safety_identifier=user_hash(user.id, settings.signing_secret),
    )
