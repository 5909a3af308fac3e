"""docs/reference says what the code has: commands, metrics and log events (F57)."""

from __future__ import annotations

import re

import pytest

from tests.support.reference_logs import MORE_FIELDS, PAGE, log_events, with_rows
from tests.support.reference_pages import FOLDER, HINT, MAKERS, page_text
from voice_trio.billing.prices import Cost
from voice_trio.conversation.turn.record import TurnRecord
from voice_trio.session.summary import Summary
from voice_trio.session.telemetry.turn_reports import turn_fields


@pytest.mark.parametrize("name", MAKERS)
def test_a_generated_page_is_up_to_date_F57(name: str) -> None:
    assert page_text(name) == (FOLDER / name).read_text("utf-8"), HINT


def test_every_log_event_is_in_the_page_with_its_level_and_fields_F57() -> None:
    page = PAGE.read_text("utf-8")
    assert with_rows(page) == page, f"{HINT}, and write the meaning of new events"


def test_every_log_event_has_a_meaning_F57() -> None:
    assert re.findall(r"^\| `(\w+)` .*\| (?:TODO)? *\|$", PAGE.read_text("utf-8"), re.MULTILINE) == []


def test_fields_that_come_from_a_mapping_are_those_of_the_code_F57() -> None:
    record = TurnRecord(1, False, "", "", "completed", None, False, 0, 0, (), 0, 0)
    assert set(MORE_FIELDS["turn"]) == set(turn_fields(record, Cost()))
    assert set(MORE_FIELDS["session_ended"]) == set(Summary(session_id="s").log_fields())
    assert set(MORE_FIELDS) <= set(log_events())
