"""Several instances over one shared state, in memory and on virtual time, whose every step takes a random while."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

import trio

from tests.support.admission_fixture import HOME, SECRET, PlanService, Verifier, token
from voice_trio.admission.admission import Admission
from voice_trio.admission.grant import Capacity, SessionGrant
from voice_trio.admission.session_holders import SessionHolders
from voice_trio.auth.signed_tokens import ResumeTokens
from voice_trio.errors import StateUnavailable
from voice_trio.settings import load_settings
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.session_claims import InstanceRequest, Verb
from voice_trio.state.session_record import SessionRecord
from voice_trio.state.state import Quotas, StateHealth

if TYPE_CHECKING:
    import random
    from collections.abc import Awaitable, Callable

    from voice_trio.settings import Settings
    from voice_trio.state.session_claims import HeldBy
    from voice_trio.state.state import Granted, LimitReached

SESSION, USER = "vs_1", "ann"
POLL_SECONDS = 0.25


@dataclass
class Shared:
    """What the instances share, and how they fail."""

    random: random.Random
    store: MemoryState
    asked: dict[str, list[InstanceRequest]] = field(default_factory=dict)
    failures: float = 0.0
    """The share of calls that fail after they took effect."""
    loses_requests: bool = False
    away_until: float = 0.0
    """Until then the store is away: no record of another instance is known."""

    async def step(self, call: Callable[[], Awaitable[object]]) -> object:
        await trio.sleep(self.random.uniform(0.0, 0.02))
        result = await call()
        await trio.sleep(self.random.uniform(0.0, 0.02))
        if self.random.random() < self.failures:
            raise StateUnavailable("timed out, and took effect")
        return result


class SharedState(MemoryState):
    """The state of one instance over what all share."""

    def __init__(self, shared: Shared, settings: Settings) -> None:
        super().__init__(Quotas.of(settings.limits), first_rollout(settings.access))
        self._shared = shared
        shared.asked[self.instance] = []

    async def claim(
        self, user_id: str, session_id: str, holder: str, *, replacing: str = ""
    ) -> Granted | LimitReached | HeldBy:
        call = partial(self._shared.store.claim, user_id, session_id, holder, replacing=replacing)
        return await self._shared.step(call)  # type: ignore[return-value]  # of `call`

    async def renew(self, user_id: str, session_id: str, holder: str = "") -> bool:
        return bool(await self._shared.step(partial(self._shared.store.renew, user_id, session_id, holder)))

    async def end(self, user_id: str, session_id: str, holder: str = "") -> None:
        # A failed call is replayed: here it is simply not lost.
        await self._shared.store.end(user_id, session_id, holder)

    async def put_record(self, record: SessionRecord) -> None:
        await self._shared.store.put_record(record)

    @property
    def health(self) -> StateHealth:
        return StateHealth(enabled=True, available=not self._is_away)

    @property
    def _is_away(self) -> bool:
        return trio.current_time() < self._shared.away_until

    async def record(self, user_id: str, session_id: str) -> SessionRecord | None:
        if self._is_away:
            return None
        call = partial(self._shared.store.record, user_id, session_id)
        return await self._shared.step(call)  # type: ignore[return-value]  # of `call`

    async def request(self, instance: str, request: InstanceRequest) -> bool:
        async def ask() -> bool:
            await trio.lowlevel.checkpoint()
            if instance in self._shared.asked and not self._shared.loses_requests:
                self._shared.asked[instance].append(request)
            return instance in self._shared.asked

        return bool(await self._shared.step(ask))

    async def wait_request(self) -> InstanceRequest:
        while not self._shared.asked.get(self.instance):  # noqa: ASYNC110  # as the real one does
            await trio.sleep(POLL_SECONDS)
        return self._shared.asked[self.instance].pop(0)


class Instance:
    """One gateway: its admission, and its connections of the one session."""

    def __init__(self, shared: Shared, instances: Instances, settings: Settings) -> None:
        self.state = SharedState(shared, settings)
        self.holders = SessionHolders(self.state.instance)
        self.capacity = Capacity(settings.limits.concurrent)
        self.admission = Admission(
            settings=settings,
            verifier=Verifier(settings.tokens),
            plans=PlanService(),
            state=self.state,
            capacity=self.capacity,
            holders=self.holders,
        )
        self._instances = instances
        self._random = shared.random

    async def run(self) -> None:
        while True:
            request = await self.state.wait_request()
            assert request.verb is Verb.TAKE_OVER
            self.holders.lose(request.session_id, request.holder)

    async def connect(self, *, upstream_is_away: bool = False) -> str:
        """Resume the session and stay until it is lost; returns what came of it."""
        outcome = await self.admission.admit(token(USER), HOME, resume=self._instances.resume_token)
        if not isinstance(outcome, SessionGrant):
            return outcome.code
        lost = trio.Event()
        outcome.holder.when_lost(lost.set)
        is_ready = False
        try:
            if lost.is_set():
                return "lost"
            self._instances.dials += 1
            with trio.move_on_after(self._random.uniform(0.0, 0.3)):
                await lost.wait()
                return "lost"
            if upstream_is_away:
                return "upstream_unavailable"
            is_ready = True
            await self._live(outcome, lost)
            return "ended"
        finally:
            with trio.move_on_after(2.0, shield=True):
                await trio.sleep(self._random.uniform(0.0, 1.0))  # closing handshakes
                await (outcome.end() if is_ready else outcome.release_unused())

    async def _live(self, grant: SessionGrant, lost: trio.Event) -> None:
        instances = self._instances
        instances.live.append(self)
        instances.live_most = max(instances.live_most, len(instances.live))
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(grant.keep_lease)
                await lost.wait()
                nursery.cancel_scope.cancel()
        finally:
            instances.live.remove(self)


class Instances:
    """All of them. `live` are those where the session is live now."""

    def __init__(self, random: random.Random, count: int, **variables: str) -> None:
        environ = {"ENABLE_VOICE_REALTIME": "true", "JWT_SECRET": SECRET} | variables
        settings = load_settings(environ)
        self.shared = Shared(random, MemoryState(Quotas.of(settings.limits), first_rollout(settings.access)))
        self.live: list[Instance] = []
        self.live_most = 0
        self.dials = 0
        self.resume_token = ResumeTokens(settings.signing_secret).issue(USER, SESSION, 600.0)
        self.all = [Instance(self.shared, self, settings) for _ in range(count)]

    async def begin(self) -> None:
        """The session was live before, and its connection was lost."""
        record = SessionRecord(
            session_id=SESSION, user_id=USER, instance="", started=1e12, duration_seconds=600.0, revision=1
        )
        await self.shared.store.put_record(record)

    def crash(self, instance: Instance) -> None:
        """The instance is gone, with everything in it."""
        del self.shared.asked[instance.state.instance]
