"""Everything that the handlers of one process share, as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import trio

    from voice_trio.services.knowledge import Knowledge
    from voice_trio.services.sentry import Reports
    from voice_trio.services.state import State
    from voice_trio.services.tokens import TokenVerifier
    from voice_trio.services.webhook import Webhook
    from voice_trio.session.admission import Admission
    from voice_trio.session.capacity import Capacity
    from voice_trio.session.money import Treasury
    from voice_trio.settings import Settings
    from voice_trio.web.health import Health
    from voice_trio.web.live import LiveSessions
    from voice_trio.web.statistics import Statistics


@dataclass(frozen=True, slots=True)
class Gateway:
    """The services of a process. `nursery` outlives every handler, and ends with the process."""

    settings: Settings
    verifier: TokenVerifier
    admission: Admission
    state: State
    webhook: Webhook
    capacity: Capacity
    treasury: Treasury
    knowledge: Knowledge
    live: LiveSessions
    statistics: Statistics
    reports: Reports
    health: Health
    nursery: trio.Nursery

    def drain(self) -> None:
        """The process is about to end: nobody new is let in, everybody in here is told and may finish an answer."""
        self.capacity.drain()
        self.live.drain()
