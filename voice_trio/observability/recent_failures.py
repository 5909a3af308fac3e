"""What failed within the last minute, by kind: a service may say that it is ready, and fail at every use."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Callable

SEARCH: Final = "search"
TRANSCRIPTION: Final = "transcription"
RESPONSE: Final = "response"
UPSTREAM: Final = "upstream"


class RecentFailures:
    """Counts uses by kind; `clock` is in seconds."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._uses: dict[str, deque[tuple[float, bool]]] = {
            kind: deque(maxlen=limits.RECENT_USES_MAX) for kind in (SEARCH, TRANSCRIPTION, RESPONSE, UPSTREAM)
        }

    def note(self, kind: str, *, failed: bool) -> None:
        """Count a use."""
        self._uses[kind].append((self._clock(), failed))

    def failing(self) -> list[str]:
        """The kinds of which at least half of the last minute's uses failed."""
        since = self._clock() - limits.MINUTE_SECONDS
        recent = {kind: [failed for at, failed in uses if at > since] for kind, uses in self._uses.items()}
        return [kind for kind, failures in recent.items() if failures and 2 * sum(failures) >= len(failures)]
