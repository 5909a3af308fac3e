"""The names of all keys in Redis.

Keys begin with `voice:` and have a TTL. Keys of one user lie in one hash slot, `voice:{user}:…`. There the user is a
hash, so that key names do not identify a person.

    voice:{user}:slots      sorted set  session → when its rate slot was taken
    voice:{user}:leases     sorted set  session → when its lease expires
    voice:{user}:holder:ID  string      since when a connection holds the session, and its name
    voice:{user}:reset      string      when an administrator opened all slots
    voice:{user}:record:ID  hash        revision, started, json
    voice:{user}:records    sorted set  session → when its record expires
    voice:{user}:deleted    string      when the user's records were deleted
    voice:{i:ID}:alive      string      written while instance ID runs
    voice:{i:ID}:asked      set         requests of other instances: verb, session, holder
    voice:{spent:DAY}       hash        instance → millionths of a dollar
    voice:{spent:DAY}:users sorted set  user (hashed) → the same, of all instances
    voice:{spent:DAY}:by:ID hash        user → the same, as instance ID last reported it
    voice:{spent:DAY}:share:SCOPE  hash  instance → used, reserved, ceiling, weight, observed, end of its lease
    voice:{spent:DAY}:…         `expected_spend` has the keys of what is expected
    voice:{instances}:seen  sorted set  instance → when it last announced itself
    voice:{instances}:told  hash        instance → json
    voice:rollout           hash        version, json, complete (from when Redis decides)
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

PREFIX = "voice:"


@dataclass(frozen=True, slots=True)
class UserKeys:
    """The keys of one user."""

    user_id: str
    base: str = field(init=False)

    def __post_init__(self) -> None:
        name = hashlib.sha256(self.user_id.encode("utf-8", "surrogatepass")).hexdigest()[:32]
        object.__setattr__(self, "base", f"{PREFIX}{{{name}}}:")

    @property
    def slots(self) -> str:
        return f"{self.base}slots"

    @property
    def leases(self) -> str:
        return f"{self.base}leases"

    @property
    def reset(self) -> str:
        return f"{self.base}reset"

    @property
    def records(self) -> str:
        return f"{self.base}records"

    @property
    def deleted(self) -> str:
        return f"{self.base}deleted"

    @property
    def record_base(self) -> str:
        return f"{self.base}record:"

    def record(self, session_id: str) -> str:
        return f"{self.record_base}{session_id}"

    @property
    def holder_base(self) -> str:
        return f"{self.base}holder:"

    def holder(self, session_id: str) -> str:
        return f"{self.holder_base}{session_id}"


def alive_key(instance: str) -> str:
    """Exists while the instance runs."""
    return f"{PREFIX}{{i:{instance}}}:alive"


def request_keys(instance: str) -> list[str]:
    """Of an instance: its `alive_key`, and the requests of others to it; in one hash slot."""
    return [alive_key(instance), f"{PREFIX}{{i:{instance}}}:asked"]


ROLLOUT_KEY = f"{PREFIX}rollout"


INSTANCES_KEYS = [f"{PREFIX}{{instances}}:seen", f"{PREFIX}{{instances}}:told"]


def share_key(day: str, scope: str) -> str:
    """The shares of one budget; in the hash slot of the day's spending, so that one call renews several."""
    return f"{PREFIX}{{spent:{day}}}:share:{scope}"


def spent_keys(day: str, instance: str) -> list[str]:
    """Spending of one day: by instance, by user, and by user as this instance reported it."""
    base = f"{PREFIX}{{spent:{day}}}"
    return [base, f"{base}:users", f"{base}:by:{instance}"]
