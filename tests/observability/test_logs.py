"""Log lines: one form for everybody's, and no secrets in any of them."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from voice_trio.observability.logs import REDACTED, configure_logs, redact
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    stream = io.StringIO()
    configure_logs(load_settings({"LOG_FORMAT": "json"}).observability, stream)
    yield stream
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def last(stream: io.StringIO) -> dict[str, Any]:
    line: dict[str, Any] = json.loads(stream.getvalue().splitlines()[-1])
    return line


def test_our_lines_and_libraries_lines_have_one_form(lines: io.StringIO) -> None:
    structlog.get_logger("ours").info("session_ended", turns=3)
    ours = last(lines)
    logging.getLogger("theirs").warning("it %s", "happened")
    theirs = last(lines)
    assert (ours["event"], ours["turns"], ours["level"], ours["logger"]) == ("session_ended", 3, "info", "ours")
    assert (theirs["event"], theirs["level"], theirs["logger"]) == ("it happened", "warning", "theirs")
    assert ours["timestamp"].endswith("Z")


def test_levels_below_the_wanted_one_are_not_written(lines: io.StringIO) -> None:
    structlog.get_logger("ours").debug("detail")
    logging.getLogger("trio-websocket").info("sending …")
    assert lines.getvalue() == ""


def test_an_exception_is_told_with_its_traceback_and_without_its_secret(lines: io.StringIO) -> None:
    try:
        raise ValueError(f"cannot open wss://x/y?token={TOKEN}")
    except ValueError:
        structlog.get_logger("ours").exception("crashed")
    assert "Traceback" in last(lines)["exception"]
    assert TOKEN.split(".")[1] not in lines.getvalue()


@pytest.mark.parametrize(
    "text",
    [
        f"GET /v1/ws/voice?token={TOKEN}&x=1",
        f"Authorization: Bearer {TOKEN}",
        "Authorization: Bearer abcdefgh12345678",
        "?token=opaque-secret",
        "resume=opaque-secret",
        "Incorrect API key provided: sk-proj-abcdefgh12345678",
        "ek_abcdefgh12345678",
    ],
)
def test_what_looks_like_a_secret_is_blacked_out(text: str) -> None:
    shown = redact(text)
    assert REDACTED in shown
    for secret in (TOKEN.split(".")[1], "abcdefgh12345678", "opaque-secret"):
        assert secret not in shown


def test_harmless_text_stays(lines: io.StringIO) -> None:
    for text in ("max_tokens=5", "a token is missing", "task-based", "risk-free", "the bearer of news"):
        assert redact(text) == text


def test_no_text_of_another_server_makes_a_line_long(lines: io.StringIO) -> None:
    foreign = "x" * 5_000_000
    structlog.get_logger("ours").warning(
        "upstream_lost", reason=foreign, errors={foreign: foreign}, more=[foreign, 1], error=ValueError(foreign)
    )
    line = last(lines)
    assert line["reason"] == "x" * 1000 + "… (5000000 characters)"
    assert line["more"][1] == 1
    assert len(lines.getvalue()) < 7_000
    logging.getLogger("theirs").error(foreign)
    assert len(lines.getvalue()) < 9_000


def test_of_a_long_traceback_the_end_is_kept(lines: io.StringIO) -> None:
    try:
        raise ValueError("x" * 5_000_000 + " the end")
    except ValueError:
        structlog.get_logger("ours").exception("crashed")
    assert last(lines)["exception"].endswith(" the end")
    assert len(lines.getvalue()) < 17_000


def test_a_secret_at_the_place_of_the_cut_is_blacked_out_too(lines: io.StringIO) -> None:
    for before in range(930, 1010, 3):
        structlog.get_logger("ours").warning("odd", text="x" * before + f" {TOKEN} " + "x" * 20_000)
    assert not [secret for secret in TOKEN.split(".") if secret[:8] in lines.getvalue()]


def test_secrets_in_fields_and_inner_fields_are_blacked_out(lines: io.StringIO) -> None:
    structlog.get_logger("ours").warning("odd", url=f"ws://x?token={TOKEN}", more={"header": f"Bearer {TOKEN}"})
    assert TOKEN.split(".")[1] not in lines.getvalue()
