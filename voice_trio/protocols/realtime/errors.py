"""A refusal as OpenAI's HTTP API would word it, for clients that know only that. Pure: it knows codes, not reasons."""

from __future__ import annotations

import msgspec

_CODES = {
    "token_invalid": "invalid_api_key",
    "rate_limited": "rate_limit_exceeded",
    "too_many_sessions": "rate_limit_exceeded",
    "budget_exhausted": "insufficient_quota",
}
"""OpenAI's names for what happened, where it has one: clients decide by them whether to try again."""


def refusal_json(code: str, message: str, http_status: int, param: str | None = None) -> bytes:
    """The body of an answer with `http_status`: `{"error": {"message", "type", "param", "code"}}`.

    `code` is one of ours (docs/protocol.md, Errors) or already one of OpenAI's; `param` names the part of the
    request at fault.
    """
    kind, told = _said(code, http_status)
    return msgspec.json.encode({"error": {"message": message, "type": kind, "param": param, "code": told}})


def _said(code: str, http_status: int) -> tuple[str, str]:
    """OpenAI's `type` and `code`."""
    if http_status >= 500:
        # Nothing is wrong with the request, not even with a token that could not be checked just now.
        return "server_error", "server_error" if code in _CODES else code
    told = _CODES.get(code, code)
    if http_status == 429:
        return "insufficient_quota" if told == "insufficient_quota" else "rate_limit_exceeded", told
    return "invalid_request_error", told
