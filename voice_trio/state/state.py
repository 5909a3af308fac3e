"""What limits remember: the protocol that the in-memory twin and a shared store both fill, held to the same tests."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.settings import Limits
    from voice_trio.state.instance_registry import InstanceInfo
    from voice_trio.state.rollout import Rollout
    from voice_trio.state.session_record import SessionRecord

WINDOW_SECONDS = 3600.0
"""The window of MAX_SESSIONS_PER_USER_PER_HOUR."""
LEASE_SECONDS = 30.0
"""How long a session counts as open without having said so: a killed process frees its users' places within this."""
LEASE_RENEW_SECONDS = 10.0
"""How often a session renews its lease: two renewals may get lost."""
USERS_REMEMBERED = 10_000
"""Users whose spending is kept apart, by day; what further users spend is added up under `OTHERS`."""
OTHERS = "(others)"


@dataclass(frozen=True, slots=True)
class Quotas:
    """What one user may have: sessions begun within any window, and sessions open at a time."""

    sessions_per_window: int
    concurrent: int
    window_seconds: float = WINDOW_SECONDS
    lease_seconds: float = LEASE_SECONDS

    @classmethod
    def of(cls, limits: Limits) -> Quotas:
        """As the settings state them."""
        return cls(limits.sessions_per_hour, limits.concurrent_per_user)


class Limit(Enum):
    """Which limit refused."""

    RATE = "rate"
    """Too many sessions begun within the window."""
    CONCURRENCY = "concurrency"
    """Too many sessions open at once."""


@dataclass(frozen=True, slots=True)
class Granted:
    """The session holds a rate slot and a lease."""


@dataclass(frozen=True, slots=True)
class Refused:
    """Nothing was taken. `retry_after` is seconds until the next rate slot opens; None where no time can be told."""

    limit: Limit
    retry_after: float | None = None


@dataclass(frozen=True, slots=True)
class StateHealth:
    """How a shared store was found when it was last looked at; without one everything is False or None.

    `url` has its password masked. `fault` names what is wrong in a few words, None when nothing is.
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
    """Who spent most on a day, in millionths of a US dollar by user hash, and what one of them spent."""

    top: tuple[tuple[str, int], ...] = ()
    asked_for: int = 0


class State(Protocol):
    """Decisions about one user are atomic: no interleaving of calls, on any instance, grants more than the quotas.

    Every method raises `StateUnavailable` when the store does not answer, and is all or nothing when cancelled.
    """

    async def admit(self, user_id: str, session_id: str) -> Granted | Refused:
        """Take a rate slot and a lease, or neither. The rate is looked at first.

        Idempotent: a session that already holds its slot is granted again and takes no second one. The window slides:
        a slot taken at t opens again at exactly t + `window_seconds`.
        """
        ...

    async def release(self, user_id: str, session_id: str) -> None:
        """Give the rate slot and the lease back: the session never became ready. Idempotent."""
        ...

    async def renew(self, user_id: str, session_id: str) -> None:
        """Keep the lease for another `lease_seconds`; takes it again, without a look at the limit, if it had lapsed."""
        ...

    async def end(self, user_id: str, session_id: str) -> None:
        """Give only the lease back: the session is over, and its rate slot stays taken. Idempotent."""
        ...

    async def reset(self, user_id: str) -> None:
        """Open all of a user's rate slots, as an administrator may. Leases of open sessions stay."""
        ...

    async def rollout(self) -> Rollout:
        """The rollout document in force. Asked at every admission, so a remote store answers from a recent copy."""
        ...

    async def replace_rollout(self, wanted: Rollout) -> Rollout | None:
        """Put `wanted` in force if its `version` is still the one in force; what is returned has the next version.

        None, and nothing changed, when somebody else was faster.
        """
        ...

    async def wait_rollout_change(self, known: Rollout) -> Rollout:
        """Return the document in force as soon as it is another than `known`, whoever changed it."""
        ...

    async def put_record(self, record: SessionRecord) -> None:
        """Keep `record` for an hour from now, in place of one of the same session with a lower revision.

        Ignored when a revision as high is there already, and for sessions that were open when their user's records
        were deleted. Words are left out when the settings say so. A store that is away gets it when it is back.
        """
        ...

    async def record(self, user_id: str, session_id: str) -> SessionRecord | None:
        """The user's record of that session, if there is one."""
        ...

    async def take_over(self, record: SessionRecord) -> SessionRecord:
        """Have the instance that holds this session let it go, if one does and lives; returns the record after that.

        Takes at most about 2 s, and no time for a session that has ended or whose instance is gone.
        """
        ...

    async def wait_taken_over(self) -> str:
        """Return the id of a session, once another instance wants to go on with it: it must be let go here."""
        ...

    async def delete_records(self, user_id: str) -> int:
        """Delete all records of a user now, and keep none of the sessions they have open; returns how many went."""
        ...

    async def add_spent(self, day: str, micro_usd: int, by_user: Mapping[str, int] | None = None) -> int:
        """Add millionths of a US dollar to what all instances spent on `day` (ISO date, UTC); returns the sum.

        `by_user` says whose they are, by their hashes; beyond 10,000 users a day the rest is counted as `OTHERS`.
        While the store is away the sum is what was last known of the others plus what this instance spent. Days are
        forgotten after two.
        """
        ...

    async def spent(self, day: str) -> int:
        """What all instances spent on `day`, in millionths of a US dollar."""
        ...

    async def spenders(self, day: str, count: int, user: str | None = None) -> Spenders:
        """The `count` users who spent most on `day`, on all instances, and what `user` spent.

        A sum may be behind by what an instance has not told yet; while the store is away they are this instance's.
        """
        ...

    async def announce(self, presence: InstanceInfo) -> tuple[InstanceInfo, ...]:
        """Say that this process is there, for 30 s; returns who is. Never raises: without the store, it alone is."""
        ...

    async def present(self) -> tuple[InstanceInfo, ...]:
        """Who is there, oldest first. Never raises."""
        ...

    async def withdraw(self) -> None:
        """This process ends; never raises."""
        ...

    @property
    def instance(self) -> str:
        """This process among those that share the state: another one after every start."""
        ...

    @property
    def health(self) -> StateHealth:
        """What is known of the store now; never older than 10 s. Does not ask it."""
        ...
