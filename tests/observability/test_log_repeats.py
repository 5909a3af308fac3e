"""How often one kind of line is written: 30 times a minute, with a count of the others."""

from __future__ import annotations

import io
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
import structlog

from voice_trio import limits
from voice_trio.observability.log_repeats import RepeatLimit
from voice_trio.observability.logs import configure_logs, suppressed_lines
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Iterator

MAX = limits.LOG_REPEATS_MAX


class Log:
    """A log on a clock that the test sets."""

    def __init__(self) -> None:
        self.now = 0.0
        self._stream = io.StringIO()
        configure_logs(load_settings({"LOG_FORMAT": "json"}).observability, self._stream)
        logging.getLogger().handlers[0].filters[:] = [RepeatLimit(lambda: self.now)]
        self.ours = structlog.get_logger("ours")

    def lines(self, event: str) -> list[dict[str, Any]]:
        every = [json.loads(line) for line in self._stream.getvalue().splitlines()]
        return [line for line in every if line["event"] == event]


@pytest.fixture
def log() -> Iterator[Log]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield Log()
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()


def test_a_flood_of_one_kind_is_30_lines_and_a_count_F61(log: Log) -> None:
    for _ in range(20_000):
        log.ours.warning("upstream_message_skipped", session_id="s1", reason="not JSON")
    assert len(log.lines("upstream_message_skipped")) == MAX
    assert suppressed_lines() == 20_000 - MAX
    log.now = 61
    log.ours.info("serving")
    (report,) = log.lines("log_lines_suppressed")
    assert (report["of"], report["session_id"], report["count"]) == ("upstream_message_skipped", "s1", 20_000 - MAX)
    log.ours.warning("upstream_message_skipped", session_id="s1")
    assert len(log.lines("upstream_message_skipped")) == MAX + 1


@pytest.mark.parametrize("field", ["session_id", "user", "client", "code"])
def test_a_flood_of_one_hides_no_line_of_another_F61(log: Log, field: str) -> None:
    for _ in range(100):
        log.ours.warning("odd", **{field: "1"})
    log.ours.warning("odd", **{field: "2"})
    log.ours.warning("other", **{field: "1"})
    assert [line[field] for line in log.lines("odd")] == ["1"] * MAX + ["2"]
    assert log.lines("other")


def test_lines_of_a_library_are_counted_by_their_text_without_its_values_F61(log: Log) -> None:
    for number in range(100):
        logging.getLogger("theirs").error("cannot parse %d", number)
    logging.getLogger("theirs").error("closed")
    assert len([line for number in range(100) for line in log.lines(f"cannot parse {number}")]) == MAX
    assert log.lines("closed")


def test_turns_and_ends_of_a_session_always_pass(log: Log) -> None:
    for _ in range(100):
        log.ours.info("turn", session_id="s1")
    assert len(log.lines("turn")) == 100


def test_below_the_bound_nothing_is_reported(log: Log) -> None:
    for log.now in range(0, 300, 10):
        log.ours.warning("odd")
    assert len(log.lines("odd")) == 30
    assert not log.lines("log_lines_suppressed")


def test_the_number_of_kinds_is_bounded_F61(log: Log) -> None:
    repeats = logging.getLogger().handlers[0].filters[0]
    assert isinstance(repeats, RepeatLimit)
    for number in range(limits.LOG_KINDS_MAX + 500):
        record = logging.LogRecord("ours", logging.WARNING, "", 0, {"event": "odd", "user": str(number)}, None, None)
        assert repeats.filter(record)
    assert len(repeats._windows) <= limits.LOG_KINDS_MAX
