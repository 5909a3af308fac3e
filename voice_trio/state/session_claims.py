"""Which connection holds a session, over all instances, and what instances ask of each other.

A holder is one connection, named `INSTANCE.CONNECTION`. The name is a fencing token: what a connection renews or gives
back takes effect only while it is the holder. It is replaced by compare-and-set, so of several that try at once one
succeeds.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from enum import Enum


@dataclass(frozen=True, slots=True)
class HeldBy:
    """Another connection holds the session, and nothing was taken."""

    holder: str


class Verb(Enum):
    """What an instance is asked to do with a session of its own."""

    TAKE_OVER = "take_over"
    """End it if `holder` still holds it: another connection resumes it."""
    END = "end"
    """End it, whichever connection holds it: an operator ended it."""


@dataclass(frozen=True, slots=True)
class InstanceRequest:
    """A request of one instance to another. `holder` is empty for any."""

    verb: Verb
    session_id: str
    holder: str = ""


def new_holder(instance: str) -> str:
    """A name for a connection of `instance` that no other connection has."""
    return f"{instance}.{secrets.token_hex(4)}"


def instance_of(holder: str) -> str:
    """The instance of the connection that `holder` names."""
    return holder.partition(".")[0]
