"""Refusals in OpenAI's words: clients written for OpenAI decide by type and code whether to try again."""

from __future__ import annotations

import json

import pytest

from voice_trio.protocols.openai_client import refusal_json


@pytest.mark.parametrize(
    ("code", "status", "kind", "told"),
    [
        ("token_invalid", 401, "invalid_request_error", "invalid_api_key"),
        ("token_invalid", 503, "server_error", "server_error"),
        ("plan_required", 403, "invalid_request_error", "plan_required"),
        ("feature_disabled", 403, "invalid_request_error", "feature_disabled"),
        ("rate_limited", 429, "rate_limit_exceeded", "rate_limit_exceeded"),
        ("too_many_sessions", 429, "rate_limit_exceeded", "rate_limit_exceeded"),
        ("budget_exhausted", 429, "insufficient_quota", "insufficient_quota"),
        ("at_capacity", 503, "server_error", "at_capacity"),
        ("invalid_value", 400, "invalid_request_error", "invalid_value"),
    ],
)
def test_a_refusal_says_what_openai_would_say(code: str, status: int, kind: str, told: str) -> None:
    error = json.loads(refusal_json(code, "No.", status))["error"]
    assert error == {"message": "No.", "type": kind, "param": None, "code": told}


def test_the_part_at_fault_is_named() -> None:
    assert json.loads(refusal_json("invalid_value", "No.", 400, "session.type"))["error"]["param"] == "session.type"
