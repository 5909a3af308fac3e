"""Bounds how often one kind of log line is written, so that a peer that misbehaves does not fill the log."""

from __future__ import annotations

import logging
import time
from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

import structlog

from voice_trio import limits

if TYPE_CHECKING:
    from collections.abc import Callable

log = structlog.get_logger(__name__)

Kind: TypeAlias = tuple[object, ...]

# With the event they make a kind: what one session, user or address causes must not hide what another one does.
_DISTINGUISHED_BY = ("session_id", "user", "client", "address", "code", "task")


@dataclass(slots=True)
class _KindWindow:
    ends_at: float
    event: str
    session_id: object
    written: int = 0
    suppressed: int = 0


class RepeatLimit(logging.Filter):
    """Lets `LOG_REPEATS_MAX` lines of one kind pass in a minute; the others are counted.

    A kind is the event, or a library's message without its values, with its session, user, address and code. Turns and
    ends of sessions always pass. After the minute one line `log_lines_suppressed` has the count.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__()
        self.suppressed = 0
        """How many lines were suppressed since the start."""
        self._clock = clock
        self._lock = Lock()
        self._windows: OrderedDict[Kind, _KindWindow] = OrderedDict()  # by their ends

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether `record` is written; also reports what was suppressed in minutes that are over."""
        fields: dict[str, Any] = record.msg if isinstance(record.msg, dict) else {"event": record.msg}
        if ("session_id" in fields and record.levelno == logging.INFO) or record.name == __name__:
            return True
        with self._lock:
            now = self._clock()
            over = self._close_windows(now)
            passes = self._passes(fields, record.name, now)
        for window in over:
            log.warning("log_lines_suppressed", of=window.event, session_id=window.session_id, count=window.suppressed)
        return passes

    def _passes(self, fields: dict[str, Any], logger: str, now: float) -> bool:
        event = str(fields.get("event"))
        kind = (logger, event, *(str(fields.get(name)) for name in _DISTINGUISHED_BY))
        window = self._windows.get(kind)
        if window is None:
            window = self._windows[kind] = _KindWindow(now + limits.MINUTE_SECONDS, event, fields.get("session_id"))
        if window.written < limits.LOG_REPEATS_MAX:
            window.written += 1
            return True
        window.suppressed += 1
        self.suppressed += 1
        return False

    def _close_windows(self, now: float) -> list[_KindWindow]:
        """Remove windows that are over, or too many; returns those with lines to report."""
        closed = []
        while self._windows:
            kind, window = next(iter(self._windows.items()))
            if window.ends_at > now and len(self._windows) < limits.LOG_KINDS_MAX:
                break
            del self._windows[kind]
            if window.suppressed:
                closed.append(window)
        return closed
