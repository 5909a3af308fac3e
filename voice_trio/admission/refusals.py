"""Every refusal in the contract's words, and the memory that moves repeated ones to the handshake."""

from __future__ import annotations

import hashlib
import math
import secrets
from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import trio
from cachetools import FIFOCache

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence

    from voice_trio.auth.tokens import User

UPSTREAM_UNAVAILABLE = "upstream_unavailable"
TAKEN_OVER = "taken_over"
BLAME_NO_CALLER = frozenset({UPSTREAM_UNAVAILABLE, TAKEN_OVER})
"""Refusals that are not remembered: an upstream's failure, and a newer connection of the same client."""
_LATER_CODES = frozenset(
    {
        *("rate_limited", "too_many_sessions", "at_capacity", "draining", "plan_unverified", UPSTREAM_UNAVAILABLE),
        "budget_exhausted",
    }
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a client gets no session, in the terms of each protocol.

    `code`, `message` and `retry_after` (whole seconds) go into the `error` event, `close_code` and `reason` into the
    close frame. `http_status` is for protocols that refuse before the upgrade. With `at_handshake` the voice protocol
    refuses there too, by an HTTP response with `handshake_status` and `Retry-After: retry_after`. If a repeated
    refusal comes after the upgrade, the close waits.
    """

    code: str
    close_code: int
    reason: str
    message: str
    http_status: int
    retry_after: int | None = None
    at_handshake: bool = False
    is_repeated: bool = False
    user: User | None = field(default=None, compare=False, repr=False)
    """Who was refused, for logs and metrics; None if no token said so."""
    session_id: str = field(default="", compare=False)
    """The session that was not resumed, for logs."""
    facts: Mapping[str, object] = field(default_factory=dict, compare=False)
    """What the decision rests on, for logs; says more than a client may know."""

    @property
    def handshake_status(self) -> int:
        """429 if a later attempt may succeed, else 403."""
        return 429 if self.code in _LATER_CODES or self.http_status >= 500 else 403

    def repeated(self, seconds: float) -> Refusal:
        """The same as a repeated refusal: at the handshake, and for the next `seconds` unless it has its own time."""
        wait = self.retry_after or _whole_seconds(seconds)
        return replace(self, at_handshake=True, is_repeated=True, retry_after=wait)


def feature_disabled(message: str = "") -> Refusal:
    """The feature is off, in the environment or in the rollout document, whose `message` is used if there is one."""
    text = message or "Voice is not available at the moment."
    return Refusal("feature_disabled", 1008, "Voice realtime feature disabled", text, 403)


def token_invalid(what: str) -> Refusal:
    """The token is missing or invalid, as `what` says."""
    return Refusal("token_invalid", 1008, "Token missing or invalid", _sentence(what), 401)


def not_administrator() -> Refusal:
    """The token is valid, but not an administrator's."""
    return Refusal("not_allowed", 1008, "Not allowed", "This needs an administrator's token.", 403)


def token_uncheckable(retry_after: float) -> Refusal:
    """The keys could not be fetched, so a valid token is refused too."""
    return replace(
        token_invalid("the token could not be checked just now"),
        http_status=503,
        retry_after=_whole_seconds(retry_after),
    )


def plan_required(plans: Sequence[str]) -> Refusal:
    """The user's plan does not include voice."""
    reason = f"Voice is reserved for plans {', '.join(plans)}"
    return Refusal("plan_required", 4003, _truncated(reason), f"{reason}.", 403)


def plan_unverified() -> Refusal:
    """The plan service sent no usable response."""
    text = "Your plan could not be verified just now. Please try again."
    return Refusal("plan_unverified", 1011, "Plan verification failed", text, 503)


def not_in_rollout(message: str = "") -> Refusal:
    """The user is neither a beta user nor within the percentage; the rollout's `message` is used if there is one."""
    text = message or "Voice is being introduced step by step and is not available for your account yet."
    return Refusal("not_in_rollout", 1008, "Feature not available for your account", text, 403)


def rate_limited(sessions_per_hour: int, retry_after: float) -> Refusal:
    """All rate slots of the user are taken; the next one is free in `retry_after` seconds."""
    reason = f"Rate limit exceeded ({sessions_per_hour} sessions/hour max)"
    text = f"At most {sessions_per_hour} voice sessions can be started in an hour. Please try again later."
    return Refusal("rate_limited", 1008, reason, text, 429, _whole_seconds(retry_after), facts={"cause": "sessions"})


def too_many_attempts(attempts_per_minute: int, retry_after: float, *, cause: str = "attempts") -> Refusal:
    """Too many attempts of one user; or, as `cause` then says, too many failed tokens from one address."""
    reason = f"Rate limit exceeded ({attempts_per_minute} attempts/minute max)"
    text, wait = "Too many attempts. Please wait.", _whole_seconds(retry_after)
    return Refusal("rate_limited", 1008, reason, text, 429, wait, facts={"cause": cause})


def too_many_sessions(concurrent: int) -> Refusal:
    """The user's concurrent sessions have reached their maximum."""
    text = f"At most {concurrent} voice sessions can be open at a time. Please end one first."
    return Refusal("too_many_sessions", 1008, "Too many concurrent sessions", text, 429)


def at_capacity() -> Refusal:
    """All places of this process are taken, it is overloaded, or the limits cannot be read."""
    return Refusal("at_capacity", 1013, "At capacity", "All lines are busy. Please try again in a moment.", 503)


def draining() -> Refusal:
    """This process is about to end; another process can serve the client."""
    return Refusal("draining", 1012, "Server restarting, resume", "The server is restarting. Please reconnect.", 503)


def budget_exhausted(retry_after: float) -> Refusal:
    """The daily budget is spent; the next day begins in `retry_after` seconds, at midnight UTC."""
    text = "Today's budget for voice is used up. Please come back tomorrow."
    return Refusal("budget_exhausted", 4002, "Budget exhausted", text, 429, _whole_seconds(retry_after))


def user_budget_exhausted(retry_after: float) -> Refusal:
    """The same of the user's own budget of the day."""
    text = "Your budget for voice is used up for today. Please come back tomorrow."
    return replace(budget_exhausted(retry_after), message=text, facts={"cause": "user budget"})


def no_resume(cause: str) -> Refusal:
    """The session has ended, its record has expired, or the resume token belongs to another user; for the log, which.

    The client does not learn it: it may have found the token of another user's session.
    """
    text = "This session cannot be resumed."
    return Refusal("resume_invalid", 1008, "Resume not possible", text, 403, facts={"cause": cause})


def taken_over() -> Refusal:
    """A newer connection resumes the same session, so this one gets nothing."""
    text = "This session goes on in another connection."
    return Refusal(TAKEN_OVER, 4001, "Resumed elsewhere", text, 409)


def upstream_unavailable(retry_after: float | None = None) -> Refusal:
    """The upstream cannot be reached, refuses our key, or is not configured; it is tried again in `retry_after` s."""
    text = "The assistant cannot be reached just now. Please try again."
    seconds = None if retry_after is None else _whole_seconds(retry_after)
    return Refusal(UPSTREAM_UNAVAILABLE, 1011, "OpenAI connection failed", text, 503, seconds)


class RefusalMemory:
    """Recognises tokens and users that are refused repeatedly, by hashes; never stores a token.

    The first two refusals within a minute are close frames with a readable reason. Later ones are HTTP responses at
    the handshake: many clients reconnect after each close frame, but not after an HTTP response. It changes the form
    of a refusal only: a client that would be admitted is never asked for here. Addresses are not remembered, because
    many users may share one (I13).
    """

    def __init__(self) -> None:
        self._recent = RecentEvents(limit=limits.REPEATED_REFUSALS - 1, window_seconds=limits.MINUTE_SECONDS)
        # The hash key belongs to this process alone: hashes in a memory dump match no token elsewhere.
        self._pepper = secrets.token_bytes(16)

    def remember(self, refusal: Refusal, identifiers: Iterable[tuple[str, str]]) -> Refusal:
        """Note `refusal` under each (kind, value) pair; returns it as a repeated one if it is."""
        keys = [self._key(kind, value) for kind, value in identifiers]
        is_repeated = any(self._recent.wait_seconds(key) > 0 for key in keys)
        for key in keys:
            self._recent.note(key)
        if not is_repeated:
            return refusal
        return refusal.repeated(max(self._recent.wait_seconds(key) for key in keys))

    def wait_seconds(self, kind: str, value: str) -> float:
        """Seconds during which another refusal of this client would be a repeated one; 0 if it would not be."""
        return self._recent.wait_seconds(self._key(kind, value))

    def _key(self, kind: str, value: str) -> bytes:
        text = f"{kind} {value}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._pepper, digest_size=16).digest()


class RecentEvents:
    """Counts events by key within a sliding window, in bounded memory; `wait_seconds` is above 0 from `limit` on."""

    def __init__(
        self,
        *,
        limit: int,
        window_seconds: float,
        keys_max: int = limits.RECENT_KEYS_MAX,
        clock: Callable[[], float] = trio.current_time,
    ) -> None:
        self._limit = limit
        self._window_seconds = window_seconds
        self._clock = clock
        self._times: FIFOCache[Hashable, deque[float]] = FIFOCache(keys_max)  # a key noted again is the newest

    def __len__(self) -> int:
        """Keys remembered now."""
        return len(self._times)

    def note(self, key: Hashable) -> None:
        """Count an event of `key` now."""
        times = self._times.get(key) or deque(maxlen=self._limit)
        times.append(self._clock())
        self._times[key] = times

    def wait_seconds(self, key: Hashable) -> float:
        """Seconds until the window holds fewer than `limit` events; 0 if it does already."""
        times = self._times.get(key)
        if times is None or len(times) < self._limit:
            return 0.0
        return max(0.0, times[0] + self._window_seconds - self._clock())


def _truncated(reason: str) -> str:
    """`reason`, cut at a character boundary to the length that a close frame allows."""
    encoded = reason.encode()
    if len(encoded) <= limits.CLOSE_REASON_BYTES_MAX:
        return reason
    return encoded[: limits.CLOSE_REASON_BYTES_MAX - 3].decode(errors="ignore") + "…"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _whole_seconds(seconds: float) -> int:
    return max(1, math.ceil(seconds))
