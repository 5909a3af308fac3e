"""Whether this process is ready and healthy: what it has just checked, and what failed within the last minute."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import trio

from voice_trio import limits

if TYPE_CHECKING:
    from voice_trio.admission.grant import Capacity
    from voice_trio.knowledge.knowledge import Knowledge
    from voice_trio.session.upstream.breaker import UpstreamBreaker
    from voice_trio.settings import Settings
    from voice_trio.state.state import State, StateHealth
    from voice_trio.web.statistics import Statistics


@dataclass(frozen=True, slots=True)
class KnowledgeCheck:
    """What the knowledge base answered at the time `at`; `is_empty` is None where that is not known."""

    at: float
    is_available: bool
    is_empty: bool | None


class Health:
    """Checks on request, at most every `HEALTH_FRESH_SECONDS`; concurrent requests share one check."""

    def __init__(
        self,
        settings: Settings,
        knowledge: Knowledge,
        capacity: Capacity,
        statistics: Statistics,
        state: State,
        breaker: UpstreamBreaker,
    ) -> None:
        self._breaker = breaker
        self._state = state
        self._settings = settings
        self._knowledge = knowledge
        self._capacity = capacity
        self._statistics = statistics
        self._last_check: KnowledgeCheck | None = None
        self._checking = trio.Lock()

    @property
    def is_ready(self) -> bool:
        """Whether a load balancer should send new sessions to this process."""
        return self.unready is None

    @property
    def unready(self) -> str | None:
        """Why this process should get no new sessions; None if it is ready."""
        if self._capacity.is_draining:
            return "draining"
        if self._capacity.is_full:
            return "at_capacity"
        return "overloaded" if self._capacity.is_overloaded else None

    async def report(self) -> dict[str, Any]:
        """The body of `GET /v1/voice/health`."""
        knowledge = await self.check_knowledge()
        return {
            "status": self._status(knowledge),
            "feature_enabled": self._settings.access.enabled,
            "openai_configured": self._settings.upstream.is_configured,
            "weaviate_enabled": self._settings.weaviate.url is not None,
            "knowledge_available": knowledge.is_available,
            "failing": self._statistics.recent.failing(),
            "redis": _redis(self._state.health),
            "timestamp": datetime.now(UTC).isoformat(),
        }

    def _status(self, knowledge: KnowledgeCheck) -> str:
        if self._capacity.is_draining:
            return "draining"
        if not self._settings.access.enabled:
            return "disabled"
        is_healthy = (
            self._settings.upstream.is_configured
            and knowledge.is_available
            and self._state.health.fault is None
            and not self._statistics.upstream_failed
            and not self._statistics.recent.failing()
            and not self._breaker.is_failing
            and not self._statistics.transcription_fallback
        )
        return "healthy" if is_healthy else "degraded"

    async def check_knowledge(self) -> KnowledgeCheck:
        """Whether the knowledge base answers and holds passages, now or some seconds ago."""
        async with self._checking:
            if self._last_check is None or trio.current_time() - self._last_check.at > limits.HEALTH_FRESH_SECONDS:
                is_available, is_empty = False, None
                with trio.move_on_after(limits.HEALTH_SECONDS_MAX):
                    is_available = await self._knowledge.is_available()
                    is_empty = await self._knowledge.is_empty()  # true of a base that has no file yet, too
                self._last_check = KnowledgeCheck(trio.current_time(), is_available, is_empty)
        return self._last_check


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
