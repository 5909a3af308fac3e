"""The configuration of one session, fixed when it is admitted."""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

from voice_trio import limits
from voice_trio.conversation.policy import Policy
from voice_trio.settings import SAFE_CLIENT_SETTINGS
from voice_trio.speech.choose import make_detector
from voice_trio.upstreams.openai import OPENAI

if TYPE_CHECKING:
    from voice_trio.conversation.turn.history import Said
    from voice_trio.protocols.realtime import RealtimeConfig
    from voice_trio.speech.detector import VoiceActivityDetector
    from voice_trio.upstreams.profile import UpstreamProfile

Tool: TypeAlias = Callable[[str], Awaitable[str]]
"""Takes the arguments as the model's JSON text and returns the JSON text that the model will read."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How often to try to connect. The pause between attempts grows by `backoff_factor`, less up to half of it.

    Without `attempts_max` attempts go on until the caller's scope ends them.
    """

    attempts_max: int | None = 3
    attempt_seconds_max: float = limits.ATTEMPT_SECONDS_MAX
    backoff_seconds: float = 0.5
    backoff_factor: float = 2.0
    backoff_seconds_max: float = math.inf
    was_accepted: bool = False
    """Whether the upstream has accepted the same session before, so that some refusals may pass."""


@dataclass(frozen=True, slots=True)
class PassthroughConfig:
    """What a client of OpenAI's protocol may set of its session (names in `CLIENT_SETTINGS`), and its preset."""

    allowed: frozenset[str] = frozenset(SAFE_CLIENT_SETTINGS)
    preset: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class SessionConfig:
    """Times in seconds."""

    session_id: str
    model: RealtimeConfig
    upstream: UpstreamProfile = OPENAI
    user: str = ""
    """Hashed: logs name no people."""
    plan: str = ""
    connected_before_seconds: float = 0.0
    """How long a session that is resumed was connected before."""
    cost_before_usd: float = 0.0
    """What it cost before."""
    resume_token: str = field(default="", repr=False)
    history: Sequence[Said] = ()
    """What was said before, in a session that is resumed."""
    upstream_session_id: str = ""
    """The upstream's own id of the session before, in a session that is resumed; empty if it keeps none."""
    new_detector: Callable[..., VoiceActivityDetector] = make_detector
    """Makes what finds speech, where the upstream's own detection must be off; with the settings of `make_detector`."""
    id_prefix: str = "vt_"
    """Of all ids that the gateway gives to items and events; a resumed session must not give one twice."""
    duration_seconds: float = 600.0
    idle_seconds: float = 120.0
    search_limit: int = 5
    search_seconds_max: float = limits.SEARCH_SECONDS_MAX
    policy: Policy = field(default_factory=Policy)
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    is_resumed: bool = False
    """Whether its first upstream takes the place of a lost one, and is looked for as long."""
    recovery_seconds: float = limits.RECOVERY_SECONDS
    """How long a lost upstream is looked for."""
    tools: Mapping[str, Tool] = field(default_factory=dict)
    show_passages: bool = True
    """Whether a client of the voice protocol may open the passages that the model was given."""
    metrics: bool = False
    """Whether the client asked for `turn.metrics`."""
    passthrough: PassthroughConfig | None = None
    """For a client that speaks OpenAI's own protocol."""
