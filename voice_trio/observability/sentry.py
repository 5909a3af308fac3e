"""Errors and slow turns to Sentry, when SENTRY_DSN is set. Without it the library is never loaded.

It sends every log line of level error with its exception, by session, and one turn in ten as a trace. It never sends
spoken text, tokens, local variables, or the texts of foreign exceptions, which may quote anything. A user is a hash.
The library has no support for Trio: its scopes are context variables, which a task inherits from its parent. So each
session gets an isolation scope before its tasks start. A thread sends; `flush_reports` blocks, and is called after
`trio.run`.
"""

from __future__ import annotations

import atexit
import logging
import sys
import time
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Protocol

from voice_trio import limits
from voice_trio.errors import VoiceTrioError
from voice_trio.observability.logs import redact
from voice_trio.observability.turn_spans import spans_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from sentry_sdk.types import Event, Hint

    from voice_trio.conversation.turn.record import TurnRecord
    from voice_trio.settings import Observability

TRACED_TURNS = 0.1
TEST_MESSAGE = "voice-trio check: Sentry is reached"

_NEVER_SENT = ("request", "breadcrumbs", "extra", "modules")


class Reports(Protocol):
    """The receiver of errors and traces."""

    def session(self, session_id: str, user: str) -> AbstractContextManager[None]:
        """Assign the events of a block, and of tasks started there, to a session; `user` is a hash."""
        ...

    def trace(self, record: TurnRecord) -> None:
        """A turn is over; its stages are on Trio's clock."""
        ...

    def close(self) -> None:
        """Stop reporting; does not wait."""
        ...


class NoReports:
    """Reports nothing."""

    def session(self, session_id: str, user: str) -> AbstractContextManager[None]:
        return nullcontext()

    def trace(self, record: TurnRecord) -> None:
        pass

    def close(self) -> None:
        pass


def start_reports(settings: Observability, *, model: str = "", traced: float = TRACED_TURNS) -> Reports:
    """Start reports to Sentry if SENTRY_DSN is set; else reports that do nothing."""
    if settings.sentry_dsn is None:
        return NoReports()
    import sentry_sdk  # imported only if used: the import is slow

    sentry_sdk.init(**_options(settings), traces_sample_rate=traced)
    atexit.register(flush_reports)  # for servers that this package does not end
    return SentryReports(model)


def flush_reports() -> None:
    """Send what is queued, for at most 2 s. It blocks: never call it while Trio runs."""
    import sentry_sdk

    sentry_sdk.flush(timeout=limits.FLUSH_SECONDS_MAX)


def send_test_event(settings: Observability) -> tuple[bool, str]:
    """Send a test event: (accepted, text for the operator). Blocks for at most 10 s."""
    import sentry_sdk
    from sentry_sdk.transport import HttpTransport

    losses: list[str] = []

    class Transport(HttpTransport):
        def on_dropped_event(self, reason: str) -> None:
            losses.append(reason)

    client = sentry_sdk.Client(**_options(settings), transport=Transport)
    event_id = client.capture_event({"message": TEST_MESSAGE, "level": "info"})
    began_at = time.monotonic()
    client.close(timeout=limits.SENTRY_TEST_SECONDS_MAX)
    if time.monotonic() - began_at >= limits.SENTRY_TEST_SECONDS_MAX:
        return False, f"no answer within {limits.SENTRY_TEST_SECONDS_MAX:g} s"
    if losses or event_id is None:
        return False, f"not taken: {', '.join(dict.fromkeys(losses)) or 'no event was made'}"
    return True, f"took event {event_id}"


class SentryReports:
    """Reports to Sentry: log lines of level error, and turns through `trace`."""

    def __init__(self, model: str = "") -> None:
        self._model = model
        self._listener = _ErrorListener()
        logging.getLogger().addHandler(self._listener)

    @contextmanager
    def session(self, session_id: str, user: str) -> Iterator[None]:
        """Open an isolation scope for one session."""
        import sentry_sdk

        with sentry_sdk.isolation_scope() as scope:
            scope.set_tag("session_id", session_id)
            scope.set_tag("model", self._model)
            scope.set_user({"id": user})
            yield

    def trace(self, record: TurnRecord) -> None:
        """A turn as a transaction with a span for each stage; the sampling of the library decides which are sent."""
        import sentry_sdk

        spans = spans_of(record)
        if spans is None:
            return
        turn = sentry_sdk.start_transaction(op="voice.turn", name="turn", start_timestamp=_wall_time(spans.begins))
        turn.set_tag("status", record.status)
        turn.set_tag("retrieval", record.outcome.value if record.outcome else "none")
        for name, begins, ends in spans.parts:
            span = turn.start_child(op="voice.stage", name=name, start_timestamp=_wall_time(begins))
            span.finish(end_timestamp=_wall_time(ends))
        turn.finish(end_timestamp=_wall_time(spans.ends))

    def close(self) -> None:
        """Stop reporting; `flush_reports` sends what is queued."""
        logging.getLogger().removeHandler(self._listener)


class _ErrorListener(logging.Handler):
    """Sends every log line of level error as an event, in the scope of the task that logged it."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(logging.ERROR)
        self._clock = clock
        self._minute = 0
        self._sent = 0

    def emit(self, record: logging.LogRecord) -> None:
        """Never raises: a failed report must not cause a second error."""
        if record.name.startswith(("sentry_sdk", "urllib3")) or not self._may_send():
            return
        try:
            self._send(record)
        except Exception:
            self.handleError(record)

    def _send(self, record: logging.LogRecord) -> None:
        import sentry_sdk

        line: dict[str, Any] = record.msg if isinstance(record.msg, dict) else {"event": record.getMessage()}
        name = str(line.get("event", "error"))[:200]
        with sentry_sdk.new_scope() as scope:
            scope.set_tag("stage", record.name.removeprefix("voice_trio."))
            scope.set_tag("event", name if isinstance(record.msg, dict) else record.name)
            for tag in ("session_id", "reason", "code"):
                if isinstance(line.get(tag), str):
                    scope.set_tag(tag, redact(line[tag])[:200])
            error = _exception_of(line, record)
            if error is not None:
                scope.capture_exception(error)
            else:
                scope.capture_message(name, level="error")

    def _may_send(self) -> bool:
        minute = int(self._clock() // 60)
        if minute != self._minute:
            self._minute, self._sent = minute, 0
        self._sent += 1
        return self._sent <= limits.SENTRY_EVENTS_PER_MINUTE


def _options(settings: Observability) -> dict[str, Any]:
    return {
        "dsn": settings.sentry_dsn.get_secret_value() if settings.sentry_dsn else None,
        "environment": settings.sentry_environment,
        "release": f"voice-trio@{settings.app_version}",
        # Integrations patch frameworks and read requests; this module reports explicitly.
        "default_integrations": False,
        "auto_enabling_integrations": False,
        "include_local_variables": False,
        "max_breadcrumbs": 0,
        "auto_session_tracking": False,
        "before_send": _without_secrets,
        "before_send_transaction": _without_extras,
        "propagate_traces": False,
    }


def _without_secrets(event: Event, _hint: Hint) -> Event:
    values = (event.get("exception") or {}).get("values") or []
    for value in values:
        is_ours = str(value.get("module", "")).startswith(VoiceTrioError.__module__)
        value["value"] = redact(str(value.get("value", "")))[:300] if is_ours else ""
    return _without_extras(event, _hint)


def _without_extras(event: Event, _hint: Hint) -> Event:
    for name in _NEVER_SENT:
        event.pop(name, None)  # type: ignore[misc]  # a TypedDict without required keys
    return event


def _exception_of(line: dict[str, Any], record: logging.LogRecord) -> BaseException | None:
    given = line.get("exc_info") or record.exc_info
    if given is True:
        return sys.exc_info()[1]
    error = given[1] if isinstance(given, tuple) else given
    return error if isinstance(error, BaseException) else None


def _wall_time(unix: float) -> datetime:
    return datetime.fromtimestamp(unix, UTC)
