"""Whether this process can do its work, from what was looked at a moment ago."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import trio

if TYPE_CHECKING:
    from voice_trio.admission.grant import Capacity
    from voice_trio.knowledge.knowledge import Knowledge
    from voice_trio.settings import Settings
    from voice_trio.state.state import State, StateHealth
    from voice_trio.web.statistics import Statistics

FRESH_SECONDS = 5.0
LOOK_SECONDS_MAX = 2.0


@dataclass(frozen=True, slots=True)
class _Sight:
    at: float
    knowledge_answers: bool


class Health:
    """Looks at most every 5 s, when somebody asks; askers meanwhile share what was seen."""

    def __init__(
        self, settings: Settings, knowledge: Knowledge, capacity: Capacity, statistics: Statistics, state: State
    ) -> None:
        self._state = state
        self._settings = settings
        self._knowledge = knowledge
        self._capacity = capacity
        self._statistics = statistics
        self._seen: _Sight | None = None
        self._looking = trio.Lock()

    @property
    def is_ready(self) -> bool:
        """Whether a load balancer should send new sessions here."""
        return self.unready is None

    @property
    def unready(self) -> str | None:
        """Why new sessions should go elsewhere; None if they should not."""
        if self._capacity.is_draining:
            return "draining"
        if self._capacity.is_full:
            return "at_capacity"
        return "overloaded" if self._statistics.lag.is_overloaded else None

    async def report(self) -> dict[str, Any]:
        """The body of `GET /v1/voice/health`."""
        seen = await self._look()
        return {
            "status": self._status(seen),
            "feature_enabled": self._settings.access.enabled,
            "openai_configured": self._settings.upstream.is_configured,
            "weaviate_enabled": self._settings.weaviate.url is not None,
            "knowledge_available": seen.knowledge_answers,
            "redis": _redis(self._state.health),
            "timestamp": datetime.now(UTC).isoformat(),
        }

    def _status(self, seen: _Sight) -> str:
        if self._capacity.is_draining:
            return "draining"
        if not self._settings.access.enabled:
            return "disabled"
        is_well = (
            self._settings.upstream.is_configured
            and seen.knowledge_answers
            and self._state.health.fault is None
            and not self._statistics.upstream_failed
            and not self._statistics.transcription_fallback
        )
        return "healthy" if is_well else "degraded"

    async def _look(self) -> _Sight:
        async with self._looking:
            if self._seen is None or trio.current_time() - self._seen.at > FRESH_SECONDS:
                answers = False
                with trio.move_on_after(LOOK_SECONDS_MAX):
                    answers = await self._knowledge.is_available()
                self._seen = _Sight(trio.current_time(), answers)
        return self._seen


def _redis(health: StateHealth) -> dict[str, Any]:
    return {
        "redis_available": health.available,
        "redis_enabled": health.enabled,
        "using_fallback": health.using_fallback,
        "redis_url": health.url,
        "redis_version": health.version,
        "connected_clients": health.connected_clients,
        "used_memory_human": health.used_memory_human,
        "fault": health.fault,
    }
