"""Logs by structlog: JSON lines in production, pretty on a terminal; every library's log lines in the same form.

No log call may contain a secret. As a second line of defence the last processor redacts what looks like one: a token in
a URL, or a bearer in the text of an exception.
"""

from __future__ import annotations

import logging
import re
import sys
from typing import TYPE_CHECKING, Any, TextIO

import structlog

if TYPE_CHECKING:
    from collections.abc import MutableMapping

    from structlog.typing import Processor

    from voice_trio.settings import Observability

REDACTED = "[secret]"
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


def redact(text: str) -> str:
    """`text` with everything that looks like a token or a key replaced by `REDACTED`."""
    return _SECRET.sub(REDACTED, text)


def without_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor that redacts every text of a line, two levels deep."""
    for name, value in event.items():
        if isinstance(value, str):
            event[name] = redact(value)
        elif isinstance(value, dict):
            event[name] = {key: redact(inner) if isinstance(inner, str) else inner for key, inner in value.items()}
        elif isinstance(value, BaseException):
            event[name] = redact(repr(value))
    return event


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
