"""The protocol of shared state: limits, leases, records, rollout, spending and instances.

`MemoryState` and `RedisState` implement it and pass the same contract tests.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.settings import Limits
    from voice_trio.state.budget_shares import BudgetShares
    from voice_trio.state.expected_spend import ExpectedSpend
    from voice_trio.state.instance_registry import InstanceInfo
    from voice_trio.state.lost_sessions import LostSessions
    from voice_trio.state.rollout import Rollout
    from voice_trio.state.session_claims import HeldBy, InstanceRequest
    from voice_trio.state.session_directory import SessionDirectory
    from voice_trio.state.session_record import SessionRecord

OTHERS = "(others)"


@dataclass(frozen=True, slots=True)
class Quotas:
    """What one user may have: sessions begun within any window, and sessions open at once."""

    sessions_per_window: int
    concurrent: int
    window_seconds: float = limits.RATE_WINDOW_SECONDS
    lease_seconds: float = limits.LEASE_SECONDS

    @classmethod
    def of(cls, settings: Limits) -> Quotas:
        """The quotas of the settings."""
        return cls(settings.sessions_per_hour, settings.concurrent_per_user)


class Limit(Enum):
    """The limit that was reached."""

    RATE = "rate"
    """Too many sessions begun within the window."""
    CONCURRENCY = "concurrency"
    """Too many sessions open at once."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The session holds a rate slot and a lease."""


@dataclass(frozen=True, slots=True)
class LimitReached:
    """Neither a slot nor a lease was taken. `retry_after`: seconds until the next rate slot opens, None if unknown."""

    limit: Limit
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class StateHealth:
    """The shared store as of its last check; without one every field is False or None.

    `url` has its password masked. `fault` names the problem in a few words; None if there is none.
    """

    enabled: bool = False
    available: bool = False
    using_fallback: bool = False
    url: str | None = None
    version: str | None = None
    connected_clients: int | None = None
    used_memory_human: str | None = None
    fault: str | None = None


@dataclass(frozen=True, slots=True)
class Spenders:
    """The users who spent most on a day, by user hash, and one user's sum; in millionths of a US dollar."""

    top: tuple[tuple[str, int], ...] = ()
    asked_for: int = 0


class State(Protocol):
    """Decisions about one user are atomic: no interleaving of calls, on any instance, grants more than the quotas.

    A method raises `StateUnavailable` if the store does not answer, unless it says otherwise. A cancelled call takes
    effect entirely or not at all.

    `holder` names the connection that acts, see `session_claims`; when empty, the holder is neither noted nor compared.
    """

    async def admit(self, user_id: str, session_id: str, holder: str = "") -> Granted | LimitReached:
        """Take a rate slot and a lease for a new session, or neither. The rate is checked first.

        Idempotent: a session that holds its slot is granted again and takes no second one. The window slides:
        a slot taken at t opens again at exactly t + `window_seconds`.
        """
        ...

    async def claim(
        self, user_id: str, session_id: str, holder: str, *, replacing: str = ""
    ) -> Granted | LimitReached | HeldBy:
        """Make `holder` the session's holder, in place of none or of `replacing`; takes no rate slot.

        Its lease is kept, or taken under the concurrency limit if it expired. Idempotent.
        """
        ...

    async def release(self, user_id: str, session_id: str, holder: str = "") -> None:
        """Give the rate slot and the lease back: the session never became ready. Idempotent."""
        ...

    async def renew(self, user_id: str, session_id: str, holder: str = "") -> bool:
        """Extend the lease by `lease_seconds`; take it again, without checking the limit, if it expired.

        False, and no change, if another connection has become the holder: the session must end.
        """
        ...

    async def end(self, user_id: str, session_id: str, holder: str = "") -> None:
        """Give back the lease alone: the session is over, and its rate slot stays taken. Idempotent.

        No effect if another connection has become the holder.
        """
        ...

    async def reset(self, user_id: str) -> None:
        """Open all of a user's rate slots, for administrators. Leases of open sessions stay."""
        ...

    async def rollout(self) -> Rollout:
        """The rollout document in force. Every admission calls this, so a remote store returns a recent copy."""
        ...

    async def replace_rollout(self, proposed: Rollout) -> Rollout | None:
        """Put `proposed` in force if its `version` is still the one in force; returns it with the next version.

        None, and no change, after a concurrent update.
        """
        ...

    async def wait_rollout_change(self, known: Rollout) -> Rollout:
        """Wait until the document in force is not `known`, on any instance, then return it."""
        ...

    async def put_record(self, record: SessionRecord) -> None:
        """Store `record` for an hour, in place of one of the same session with a lower revision.

        Ignored if a revision as high is stored, if another instance holds the session by now, and for sessions that
        were open when their user's records were deleted. `VOICE_STORE_TRANSCRIPTS=false` leaves the text out. An
        unavailable store gets it after recovery.
        """
        ...

    async def record(self, user_id: str, session_id: str) -> SessionRecord | None:
        """The user's record of that session, or None. Raises `StateUnavailable` if others may have it."""
        ...

    async def request(self, instance: str, request: InstanceRequest) -> bool:
        """Send a request to another instance, which gets it within about 0.25 s; False if that instance is gone."""
        ...

    async def wait_request(self) -> InstanceRequest:
        """Wait until another instance sends this one a request; the caller must carry it out."""
        ...

    async def delete_records(self, user_id: str) -> int:
        """Delete a user's records and block those of the user's open sessions; returns the number deleted."""
        ...

    async def add_spent(self, day: str, micro_usd: int, by_user: Mapping[str, int] | None = None) -> int:
        """Add millionths of a US dollar to what all instances spent on `day` (ISO date, UTC); returns the sum.

        `by_user` splits the amount by user hash; beyond 10,000 users a day the rest counts as `OTHERS`. While the store
        is unavailable the sum is this instance's own plus the last known sum of the others. Two days are stored.
        """
        ...

    async def spent(self, day: str) -> int:
        """What all instances spent on `day`, in millionths of a US dollar."""
        ...

    async def spenders(self, day: str, count: int, user: str | None = None) -> Spenders:
        """The `count` users who spent most on `day`, on all instances, and what `user` spent.

        A sum may lack what an instance has not reported yet. While the store is unavailable sums are this instance's.
        """
        ...

    async def announce(self, info: InstanceInfo) -> tuple[InstanceInfo, ...]:
        """Announce this process for 30 s; returns all instances, or this one alone without the store. Never raises."""
        ...

    async def instances(self) -> tuple[InstanceInfo, ...]:
        """All announced instances, oldest first. Never raises."""
        ...

    async def withdraw(self) -> None:
        """Withdraw the announcement of this process. Never raises."""
        ...

    @property
    def shares(self) -> BudgetShares:
        """The budgets of days, divided between instances."""
        ...

    @property
    def expected_spend(self) -> ExpectedSpend:
        """What instances expect to bill, counted if they are killed."""
        ...

    @property
    def directory(self) -> SessionDirectory:
        """The live sessions of all instances."""
        ...

    @property
    def lost_sessions(self) -> LostSessions:
        """Sessions whose instance was killed."""
        ...

    @property
    def instance(self) -> str:
        """The id of this process among those that share the state; a restart gets another one."""
        ...

    @property
    def health(self) -> StateHealth:
        """The store as of its last check, at most 10 s ago; makes no call."""
        ...
