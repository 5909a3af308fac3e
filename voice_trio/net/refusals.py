"""The errors of a WebSocket that could not be opened.

They show only the code of a response: its message may quote keys.
"""

from __future__ import annotations

import json
from typing import Any

from voice_trio.conversation.policy import FATAL_CODES
from voice_trio.errors import ModelRefused, ModelUnavailable

REFUSED_STATUSES = frozenset({400, 401, 403, 404})


def refusal_error(status: int, body: bytes | None) -> ModelUnavailable:
    """The error for an HTTP response in place of the upgrade."""
    code = _error_code(body)
    reason = f"refused with HTTP {status}" + (f" {code}" if code else "")
    if status in REFUSED_STATUSES or code in FATAL_CODES:
        return ModelRefused(reason, may_pass=status != 401 and code not in FATAL_CODES)
    return ModelUnavailable(reason)


def connect_error(host: str, error: BaseException) -> ModelUnavailable:
    """The error for a connection that could not be made; of several addresses it names the last one's."""
    return ModelUnavailable(f"no connection to {host}: {_first_line(leaf_errors(error.__cause__ or error)[-1])}")


def tls_error(host: str, error: BaseException) -> ModelUnavailable:
    """The error for a TLS handshake that failed."""
    return ModelUnavailable(f"no TLS with {host}: {_first_line(error)}")


def leaf_errors(error: BaseException) -> list[BaseException]:
    """The errors in a group and its inner groups; of any other error, itself."""
    if isinstance(error, BaseExceptionGroup):
        return [leaf for inner in error.exceptions for leaf in leaf_errors(inner)]
    return [error]


def _error_code(body: bytes | None) -> str:
    try:
        answer: Any = json.loads(body or b"")
        code = answer["error"]["code"]
    except (ValueError, LookupError, TypeError, RecursionError):
        return ""
    return code[:64] if isinstance(code, str) and code.isascii() and code.isprintable() else ""


def _first_line(error: BaseException) -> str:
    """The first line of an error's text, at most 200 characters."""
    return (str(error) or type(error).__name__).splitlines()[0][:200]
