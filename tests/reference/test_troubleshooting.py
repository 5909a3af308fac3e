"""What docs/how-to/troubleshoot.md quotes is what the gateway says (F57)."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import trio
from click.testing import CliRunner

from voice_trio.admission import refusals
from voice_trio.auth.tokens import TokenVerifier, User, issue_token
from voice_trio.cli import main
from voice_trio.errors import TokenInvalid
from voice_trio.protocols.voice.server_events import ERROR_CODES
from voice_trio.settings import load_settings

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "how-to" / "troubleshoot.md").read_text("utf-8")
OURS, OTHERS = (
    load_settings({"JWT_SECRET": secret}).tokens
    for secret in ("8d41f09bc27ae6350f71d94c2eb86a53", "27c5ab108fe94d6371b0dc59a2f8e634")
)


def unquoted(text: str) -> str:
    return re.sub(r"\s+", " ", text)


@pytest.mark.parametrize(
    "token", ["nonsense", issue_token(OTHERS, User("ann")), issue_token(OURS, User("ann"), seconds_valid=-60.0)]
)
def test_the_reasons_of_wrong_tokens_are_quoted_F57(token: str) -> None:
    with pytest.raises(TokenInvalid) as refused:
        trio.run(TokenVerifier(OURS).verify, token)
    assert f"| `{refusals.token_invalid(str(refused.value)).message}` |" in TEXT


def test_what_check_says_without_redis_and_sentry_is_quoted_F57(tmp_path: Path) -> None:
    closed = "127.0.0.1:1"
    environ = {
        "OPENAI_REALTIME_URL": f"ws://{closed}/v1/realtime",
        "REDIS_URL": f"redis://{closed}/0",
        "SENTRY_DSN": "",
        "KNOWLEDGE_PATH": str(tmp_path / "none"),
    }
    told = unquoted(CliRunner().invoke(main, ["check", "--sentry"], env=environ).output)
    assert f"FAILED redis redis://{closed}/0: unreachable" in told
    assert "FAILED redis redis://127.0.0.1:6379/0: unreachable" in unquoted(TEXT)
    assert "FAILED sentry SENTRY_DSN is not set" in told
    assert "`FAILED sentry SENTRY_DSN is not set`" in TEXT


def test_the_codes_that_the_page_names_exist_F57() -> None:
    named = set(re.findall(r"`(token_invalid|plan_required|plan_unverified|resume_invalid|not_allowed)`", TEXT))
    assert len(named) == 5
    assert named <= set(ERROR_CODES)
