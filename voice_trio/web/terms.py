"""From the settings and a user, the terms of one session. Pure."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.conversation.policy import Policy
from voice_trio.dialects.realtime import SessionConfig
from voice_trio.services.tokens import user_hash
from voice_trio.session.connect import Persistence
from voice_trio.session.terms import Terms

if TYPE_CHECKING:
    from voice_trio.services.tokens import User
    from voice_trio.settings import Settings


def terms_for(user: User, session_id: str, settings: Settings) -> Terms:
    """What is agreed with `user`; their own voice and speed, where they have any, win over the server's."""
    speed = settings.voice.speed if user.voice_speed is None else user.voice_speed
    retrieval, limits = settings.retrieval, settings.limits
    return Terms(
        session_id=session_id,
        model=_model(user, speed, settings),
        user=user_hash(user.id, settings.signing_secret),
        duration_seconds=limits.session_seconds,
        idle_seconds=limits.idle_seconds,
        search_limit=retrieval.limit,
        search_seconds_max=retrieval.search_timeout_ms / 1000,
        policy=Policy(
            wait_seconds_max=retrieval.wait_ms / 1000,
            prefetch_words_min=retrieval.min_words,
            context_tokens_max=retrieval.context_tokens,
            speed=speed,
        ),
        persistence=Persistence(
            attempts_max=settings.upstream.attempts_max, backoff_factor=settings.upstream.backoff_factor
        ),
    )


def _model(user: User, speed: float, settings: Settings) -> SessionConfig:
    voice = settings.voice
    return SessionConfig(
        model=settings.upstream.model,
        instructions=settings.instructions,
        voice=user.voice or voice.name,
        speed=speed,
        transcription_model=settings.upstream.transcription_model,
        silence_ms=voice.vad_silence_ms,
        threshold=voice.vad_threshold,
        noise_reduction=None if voice.noise_reduction == "off" else voice.noise_reduction,
        reasoning_effort=voice.reasoning_effort,
    )
