"""What a session is told at its beginning, once admission has said yes. Nothing here changes while it lives."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from voice_trio.conversation.policy import Policy
from voice_trio.session.upstream.connect import RetryPolicy
from voice_trio.settings import SAFE_CLIENT_SETTINGS

if TYPE_CHECKING:
    from voice_trio.conversation.turn.history import Said
    from voice_trio.protocols.realtime import RealtimeConfig

Tool: TypeAlias = Callable[[str], Awaitable[str]]
"""Takes the arguments as the model's JSON text and returns the JSON text the model will read."""


@dataclass(frozen=True, slots=True)
class PassthroughConfig:
    """What such a client may set of its session, by the names in `drop_in.ALL_WISHES`, and what it is preset to."""

    allowed: frozenset[str] = frozenset(SAFE_CLIENT_SETTINGS)
    preset: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Seconds, unless a name says otherwise."""

    session_id: str
    model: RealtimeConfig
    user: str = ""
    """Hashed: logs name no people."""
    resume_token: str = field(default="", repr=False)
    history: Sequence[Said] = ()
    """What was said before, in a session that is resumed."""
    id_prefix: str = "vt_"
    """Of all ids we give to items and events; a resumed session must not give one twice."""
    duration_seconds: float = 600.0
    idle_seconds: float = 120.0
    search_limit: int = 5
    search_seconds_max: float = 2.0
    policy: Policy = field(default_factory=Policy)
    persistence: RetryPolicy = field(default_factory=RetryPolicy)
    tools: Mapping[str, Tool] = field(default_factory=dict)
    metrics: bool = False
    """Whether the client asked to be told each turn's figures."""
    drop_in: PassthroughConfig | None = None
    """For a client that speaks OpenAI's own protocol."""
