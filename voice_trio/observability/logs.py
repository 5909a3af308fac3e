"""Logs by structlog: JSON lines in production, pretty on a terminal; every library's log lines in the same form.

No log call may contain a secret. As a second line of defence the last processor redacts what looks like one: a token in
a URL, or a bearer in the text of an exception. It also bounds every text, because some of them come from other servers:
reasons of closes, codes of errors, exceptions of libraries. `log_stream` bounds what waits to be written, `log_repeats`
how often one kind of line is.
"""

from __future__ import annotations

import logging
import re
import sys
from contextvars import copy_context
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

import structlog

from voice_trio import limits
from voice_trio.observability.log_repeats import RepeatLimit
from voice_trio.observability.log_stream import QueuedStream

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import Processor

    from voice_trio.settings import Observability

REDACTED = "[secret]"
_TRACEBACKS = frozenset({"exception", "stack"})
# A JWT anywhere, a value named token or key in a URL, a bearer, an OpenAI-style key.
_SECRET = re.compile(
    r"eyJ[\w-]{5,}\.[\w-]*\.[\w-]*"
    r"|(?<=\btoken=)[^&\s\"']+"
    r"|(?<=\bresume=)[^&\s\"']+"
    r"|(?<=[Bb]earer )[\w.~+/=-]{8,}"
    r"|\b(?:sk|ek)[-_][\w-]{8,}"
)
# At level INFO or DEBUG these log URLs, headers or each frame.
_VERBOSE_LOGGERS = ("trio-websocket", "httpx", "httpcore", "httpx2", "httpcore2", "hpack", "quart.serving", "urllib3")


def configure_logs(settings: Observability, stream: TextIO | None = None) -> None:
    """Send this process's log to `stream` (standard error by default), as LOG_LEVEL and LOG_FORMAT say."""
    target = stream or sys.stderr
    is_pretty = settings.log_format == "pretty" or (settings.log_format == "auto" and target.isatty())
    level = logging.getLevelNamesMapping()[settings.log_level]
    handler = logging.StreamHandler(target)
    repeats = RepeatLimit()
    handler.addFilter(repeats)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=_SHARED,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *_last_steps(is_pretty, target)],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for name in _VERBOSE_LOGGERS:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        processors=[*_SHARED, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(level),
        cache_logger_on_first_use=False,
    )
    if isinstance(target, QueuedStream):
        # In the writer thread, with what is bound to the lines of this process.
        report = structlog.get_logger(__name__).warning
        target.on_dropped = partial(copy_context().run, report, "log_lines_dropped")


def suppressed_lines() -> int:
    """How many repeated lines of this process were not written since its start."""
    filters = [each for handler in logging.getLogger().handlers for each in handler.filters]
    return sum(each.suppressed for each in filters if isinstance(each, RepeatLimit))


def redact(text: str) -> str:
    """`text` with everything that looks like a token or a key replaced by `REDACTED`."""
    return _SECRET.sub(REDACTED, text)


def without_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that redacts and bounds every text of a line, two levels deep."""
    for name, value in event.items():
        event[name] = _traceback(value) if name in _TRACEBACKS and isinstance(value, str) else _clean(value)
    return event


def _clean(value: Any) -> Any:
    match value:
        case str():
            return _bounded(value)
        case dict():
            return {_key(key): _bounded(inner) if isinstance(inner, str) else inner for key, inner in value.items()}
        case list() | tuple():
            return [_bounded(inner) if isinstance(inner, str) else inner for inner in value]
        case BaseException():
            return _bounded(repr(value))
        case _:
            return value


def _key(key: Any) -> Any:
    return _bounded(key) if isinstance(key, str) else key


def _bounded(text: str) -> str:
    """`text` without secrets, cut. What is looked at is longer than any token, so that none is cut and then missed."""
    shown = redact(text[: limits.LOG_TEXT_CHARS_MAX + limits.TOKEN_CHARS_MAX])
    if len(text) <= limits.LOG_TEXT_CHARS_MAX:
        return shown
    return f"{shown[: limits.LOG_TEXT_CHARS_MAX]}… ({len(text)} characters)"


def _traceback(text: str) -> str:
    if len(text) <= limits.LOG_TRACEBACK_CHARS_MAX:
        return redact(text)
    cut = f"… ({len(text)} characters)"
    return (
        cut
        + redact(text[-limits.LOG_TRACEBACK_CHARS_MAX - limits.TOKEN_CHARS_MAX :])[-limits.LOG_TRACEBACK_CHARS_MAX :]
    )


_SHARED: list[Processor] = [
    structlog.contextvars.merge_contextvars,
    structlog.stdlib.add_log_level,
    structlog.stdlib.add_logger_name,
    structlog.stdlib.PositionalArgumentsFormatter(),
    structlog.processors.TimeStamper(fmt="iso", utc=True),
    structlog.processors.StackInfoRenderer(),
]


def _last_steps(is_pretty: bool, target: TextIO) -> list[Processor]:
    if is_pretty:
        plain = structlog.dev.plain_traceback
        renderer = structlog.dev.ConsoleRenderer(colors=target.isatty(), exception_formatter=plain)
        return [structlog.processors.format_exc_info, without_secrets, renderer]
    return [structlog.processors.format_exc_info, without_secrets, structlog.processors.JSONRenderer(default=str)]
