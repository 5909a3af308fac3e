"""How a refusal is reported: one line of the log, so that a user's complaint can be answered, and a label of metrics.

A client that loops writes a few lines a minute, however fast it is. Refusals without a user may come from any number of
addresses, so all of them together are bounded too.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import structlog
from cachetools import FIFOCache

from voice_trio import limits
from voice_trio.admission.client_address import mask_address
from voice_trio.admission.refusals import RecentEvents

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.admission.refusals import Refusal
    from voice_trio.auth.tokens import User

log = structlog.get_logger(__name__)

UNKNOWN_PLAN, OTHER_PLAN = "unknown", "other"
"""The label without a verified user or plan, and for a plan that VOICE_ALLOWED_PLANS does not name."""
_ALL_UNKNOWN = "all that are refused without a user"


class RefusalLog:
    """Writes `refused`; `left_out` in a line counts the equal refusals of that user or address that have none."""

    def __init__(self) -> None:
        self._written = RecentEvents(limit=limits.REFUSALS_LOGGED_PER_MINUTE, window_seconds=limits.MINUTE_SECONDS)
        self._unknown = RecentEvents(
            limit=limits.UNKNOWN_REFUSALS_LOGGED_PER_MINUTE, window_seconds=limits.MINUTE_SECONDS
        )
        self._left_out: FIFOCache[tuple[str, str, str], int] = FIFOCache(limits.RECENT_KEYS_MAX)

    def write(self, refusal: Refusal, *, user: str | None, address: str, request: str, at_handshake: bool) -> None:
        """Write the line of `refusal`, unless there are too many of its kind; `user` is a hash, `request` the kind."""
        key = (user or address, refusal.code, request)
        if self._written.wait_seconds(key) or (user is None and self._unknown.wait_seconds(_ALL_UNKNOWN)):
            self._left_out[key] = self._left_out.get(key, 0) + 1
            return
        self._written.note(key)
        if user is None:
            self._unknown.note(_ALL_UNKNOWN)
        log.info(
            "refused",
            code=refusal.code,
            detail=refusal.message[: limits.LOG_DETAIL_CHARS_MAX],
            request=request,
            user=user,
            plan=refusal.user.plan[: limits.LOG_DETAIL_CHARS_MAX] if refusal.user else None,
            client=mask_address(address),
            at_handshake=at_handshake,
            repeated=refusal.is_repeated,
            retry_after=refusal.retry_after,
            resume_of=refusal.session_id or None,
            left_out=self._left_out.pop(key, 0),
            **refusal.facts,
        )


def plan_label(user: User | None, allowed: Sequence[str]) -> str:
    """The plan of `user` as a label of metrics, which may have few values."""
    if user is None or not user.plan:
        return UNKNOWN_PLAN
    plan = user.plan.casefold()
    names = (name.casefold() for name in allowed[: limits.PLANS_COUNTED_MAX])
    return plan if plan in names else OTHER_PLAN
