"""Every refusal by the contract's words, and the memory that moves repeated ones to the handshake."""

from __future__ import annotations

import hashlib
import math
import secrets
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from voice_trio.admission.recent_events import RecentEvents

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

CLOSE_REASON_BYTES_MAX = 123
"""RFC 6455 §5.5: a control frame carries 125 bytes, two of which are the code."""
REPEATED_FROM = 3
REPEATED_WITHIN_SECONDS = 60.0
_LATER_CODES = frozenset(
    {
        *("rate_limited", "too_many_sessions", "at_capacity", "draining", "plan_unverified", "upstream_unavailable"),
        "budget_exhausted",
    }
)


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a client does not get a session, in every spelling in which it may have to be told.

    `code`, `message` and `retry_after` (whole seconds) go into the `error` event, `close_code` and `reason` into the
    close. `http_status` is for protocols that refuse before the upgrade. `at_handshake` says that this one must come
    as an HTTP answer on the voice protocol too: then with `handshake_status` and `Retry-After: retry_after`.
    """

    code: str
    close_code: int
    reason: str
    message: str
    http_status: int
    retry_after: int | None = None
    at_handshake: bool = False

    @property
    def handshake_status(self) -> int:
        """429 where trying later may help, else 403."""
        return 429 if self.code in _LATER_CODES else 403


def feature_disabled(message: str = "") -> Refusal:
    """The switch is off, in the environment or in the live document, whose `message` is passed on."""
    told = message or "Voice is not available at the moment."
    return Refusal("feature_disabled", 1008, "Voice realtime feature disabled", told, 403)


def token_invalid(what: str) -> Refusal:
    """The token is missing or `what` is wrong with it."""
    return Refusal("token_invalid", 1008, "Token missing or invalid", _sentence(what), 401)


def token_uncheckable(retry_after: float) -> Refusal:
    """The keys could not be fetched; the client's token may well be right."""
    return replace(
        token_invalid("the token could not be checked just now"), http_status=503, retry_after=_whole(retry_after)
    )


def plan_required(plans: Sequence[str]) -> Refusal:
    """The user's plan does not include voice."""
    reason = f"Voice is reserved for plans {', '.join(plans)}"
    return Refusal("plan_required", 4003, _fitting(reason), f"{reason}.", 403)


def plan_unverified() -> Refusal:
    """The plan service did not answer, or not sensibly."""
    told = "Your plan could not be verified just now. Please try again."
    return Refusal("plan_unverified", 1011, "Plan verification failed", told, 503)


def not_in_rollout(message: str = "") -> Refusal:
    """The user is neither on the beta list nor within the percentage; the live document's `message` is passed on."""
    told = message or "Voice is being introduced step by step and is not available for your account yet."
    return Refusal("not_in_rollout", 1008, "Feature not available for your account", told, 403)


def rate_limited(sessions_per_hour: int, retry_after: float) -> Refusal:
    """All of the user's rate slots are taken; the next opens in `retry_after` seconds."""
    reason = f"Rate limit exceeded ({sessions_per_hour} sessions/hour max)"
    told = f"At most {sessions_per_hour} voice sessions can be started in an hour. Please try again later."
    return Refusal("rate_limited", 1008, reason, told, 429, _whole(retry_after))


def too_many_attempts(attempts_per_minute: int, retry_after: float) -> Refusal:
    """The user, or the address with failing tokens, knocks too often."""
    reason = f"Rate limit exceeded ({attempts_per_minute} attempts/minute max)"
    return Refusal("rate_limited", 1008, reason, "Too many attempts. Please wait.", 429, _whole(retry_after))


def refused_repeatedly(retry_after: float) -> Refusal:
    """Callers from this address, who show their token only after the upgrade, were refused over and over."""
    reason = "Rate limit exceeded (refused repeatedly)"
    told = "Too many refused attempts. Please wait."
    return Refusal("rate_limited", 1008, reason, told, 429, _whole(retry_after), at_handshake=True)


def too_many_sessions(concurrent: int) -> Refusal:
    """The user has as many sessions open as they may."""
    told = f"At most {concurrent} voice sessions can be open at a time. Please end one first."
    return Refusal("too_many_sessions", 1008, "Too many concurrent sessions", told, 429)


def at_capacity() -> Refusal:
    """This process holds as many sessions as it may, or the limits cannot be looked up."""
    return Refusal("at_capacity", 1013, "At capacity", "All lines are busy. Please try again in a moment.", 503)


def draining() -> Refusal:
    """This process is about to end; another one, or the next, will do."""
    return Refusal("draining", 1012, "Server restarting, resume", "The server is restarting. Please reconnect.", 503)


def budget_exhausted(retry_after: float) -> Refusal:
    """The day's budget is spent; the next one begins in `retry_after` seconds, at midnight UTC."""
    told = "Today's budget for voice is used up. Please come back tomorrow."
    return Refusal("budget_exhausted", 4002, "Budget exhausted", told, 429, _whole(retry_after))


def no_resume() -> Refusal:
    """The session has ended for good, its record is gone, or the resume token is another user's."""
    return Refusal("resume_invalid", 1008, "Resume not possible", "This session cannot be resumed.", 403)


def upstream_unavailable() -> Refusal:
    """The model cannot be reached, refuses our key, or none is configured."""
    told = "The assistant cannot be reached just now. Please try again."
    return Refusal("upstream_unavailable", 1011, "OpenAI connection failed", told, 503)


class RefusalMemory:
    """Notices callers that are refused over and over, by hashes of what they show; never keeps a token.

    Two refusals within a minute come as a close with a reason that a person can read; the third and later ones must
    come at the handshake, because many clients reconnect after every close but not after an HTTP refusal.
    """

    def __init__(self) -> None:
        self._recent = RecentEvents(limit=REPEATED_FROM - 1, window_seconds=REPEATED_WITHIN_SECONDS)
        # Hashes made with a key of this process alone: a memory dump says nothing about tokens elsewhere.
        self._pepper = secrets.token_bytes(16)

    def remember(self, refusal: Refusal, shown: Iterable[tuple[str, str]]) -> Refusal:
        """Note `refusal` of a caller who showed (kind, value) pairs; what is returned knows if it is a repeated one."""
        keys = [self._key(kind, value) for kind, value in shown]
        is_repeated = any(self._recent.wait_seconds(key) > 0 for key in keys)
        for key in keys:
            self._recent.note(key)
        if not is_repeated:
            return refusal
        wait = max(self._recent.wait_seconds(key) for key in keys)
        return replace(refusal, at_handshake=True, retry_after=refusal.retry_after or _whole(wait))

    def wait_seconds(self, kind: str, value: str) -> float:
        """Seconds for which one more refusal of this caller would be a repeated one; 0 when it would not."""
        return self._recent.wait_seconds(self._key(kind, value))

    def _key(self, kind: str, value: str) -> bytes:
        text = f"{kind} {value}".encode("utf-8", "surrogatepass")
        return hashlib.blake2b(text, key=self._pepper, digest_size=16).digest()


def _fitting(reason: str) -> str:
    """`reason` cut to what a close frame holds, at a character's border."""
    encoded = reason.encode()
    if len(encoded) <= CLOSE_REASON_BYTES_MAX:
        return reason
    return encoded[: CLOSE_REASON_BYTES_MAX - 3].decode(errors="ignore") + "…"


def _sentence(text: str) -> str:
    return text[:1].upper() + text[1:] + "."


def _whole(seconds: float) -> int:
    return max(1, math.ceil(seconds))
