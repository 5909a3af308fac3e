"""Small parts of a session, each alone: kept turns, the source of a transcript, warnings of usage."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from tests.support.budget_fixture import Budgets
from tests.support.turn_records import turn
from voice_trio import limits
from voice_trio.conversation import commands
from voice_trio.session.sidecar.transcript_source import ITEMS_REMEMBERED, TranscriptSource, TranscriptSources
from voice_trio.session.telemetry.finished_turns import FinishedTurns
from voice_trio.session.telemetry.record_writer import history_of
from voice_trio.state.session_record import RecordedItem, RecordedTurn, SessionRecord

if TYPE_CHECKING:
    import pytest

NEW = SessionRecord(session_id="vs_1", user_id="ada", instance="", started=1.0, duration_seconds=600.0)


def item(item_id: str, text: str) -> RecordedItem:
    return RecordedItem(item_id=item_id, text=text)


def test_a_finished_turn_keeps_its_words_and_its_status_and_a_joined_one_is_none() -> None:
    before = RecordedTurn(said=(item("u0", "before"),), heard=(), status="ended")
    turns = FinishedTurns(SessionRecord(**{**as_fields(NEW), "turns": (before,), "turn_count": 5}))
    assert (turns.count, list(turns)) == (5, [before])
    turns.add(turn("joined"))
    spoken = (("u1", " hello "), ("u2", ""), ("u3", "  "), ("u4", "you"))
    turns.add(replace(turn("cancelled"), said_items=spoken, heard_items=(("a1", "x" * 40_000), ("a2", ""))))
    said = (item("u1", "hello"), item("u4", "you"))
    kept = RecordedTurn(said=said, heard=(item("a1", "x" * limits.RECORD_ITEM_CHARACTERS_MAX),), status="cancelled")
    assert (turns.count, list(turns)) == (6, [before, kept])


def as_fields(record: SessionRecord) -> dict[str, Any]:
    return {name: getattr(record, name) for name in record.__struct_fields__}


def test_a_final_transcript_takes_the_place_of_the_words_before_and_after_the_turn_is_over() -> None:
    turns = FinishedTurns(NEW)
    turns.correct("u1", " hens ")
    turns.add(replace(turn(), said_items=(("u1", "hence"), ("u2", "and")), heard_items=(("a1", "yes"),)))
    turns.add(replace(turn(), said_items=(("u3", "more"),), heard_items=()))
    turns.correct("u2", "ants")
    turns.correct("u4", "nothing")
    assert list(turns) == [
        RecordedTurn(said=(item("u1", "hens"), item("u2", "ants")), heard=(item("a1", "yes"),)),
        RecordedTurn(said=(item("u3", "more"),)),
    ]
    turns.correct("u3", "")
    assert [len(each.said) for each in turns] == [2, 0]


def test_beyond_its_size_a_record_loses_its_oldest_turns_but_never_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "RECORD_BYTES_MAX", 3 * 100)
    turns = FinishedTurns(NEW)
    for number in range(4):  # 32 bytes around each item, and 2 of its id
        words = ((f"u{number}", "x" * 20), (f"v{number}", "x" * 2))
        turns.add(replace(turn(), said_items=words, heard_items=()))
        assert len(list(turns)) == min(3, number + 1)
    turns.add(replace(turn(), said_items=(("u5", "x" * 32),), heard_items=(("a5", "x" * 33),)))
    assert [each.said[0].item_id for each in turns] == ["u3", "u5"]
    turns.add(replace(turn(), said_items=(("u6", "x" * 900),), heard_items=()))
    assert [each.said[0].item_id for each in turns] == ["u6"]
    assert turns.count == 6


def test_a_stored_session_is_told_item_by_item_in_its_order() -> None:
    first = RecordedTurn(said=(item("u1", "one"), item("u2", "two")), heard=(item("a1", "three"),))
    second = RecordedTurn(said=(item("u3", "four"),))
    record = SessionRecord(**{**as_fields(NEW), "turns": (first, second)})
    assert [(said.item_id, said.role, said.text) for said in history_of(record)] == [
        ("u1", "user", "one"),
        ("u2", "user", "two"),
        ("a1", "assistant", "three"),
        ("u3", "user", "four"),
    ]


def test_the_first_source_gives_all_deltas_and_after_the_end_only_the_conversation_does() -> None:
    sources = TranscriptSources()
    conversation, sidecar = TranscriptSource.CONVERSATION, TranscriptSource.SIDECAR
    for first, other in ((conversation, sidecar), (sidecar, conversation)):
        told = [sources.admits_delta(first.name, source) for source in (first, other, first)]
        assert told == [True, False, True]
    assert [sources.finish("new"), sources.finish("new"), sources.finish("SIDECAR")] == [True, False, True]
    assert not sources.admits_delta("SIDECAR", sidecar)
    assert not sources.admits_delta("new", sidecar)
    assert sources.admits_delta("new", conversation)
    for number in range(ITEMS_REMEMBERED):
        sources.finish(f"i{number}")
    assert sources.finish("new")  # it is forgotten


def test_each_kind_of_warning_is_logged_once_a_session_with_what_it_was_for(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bill = Budgets().open_bill("ann")
    for number in range(2):
        usage = {"input_tokens": "many", "output_tokens": -1}
        bill.on_command(commands.CountUsage("response", f"r{number}", usage), 0.0)
    bill.on_command(commands.CountUsage("sidecar", "s1", {"seconds": -1}), 0.0)
    lines = [line for line in "".join(capsys.readouterr()).splitlines() if "usage_warning" in line]
    assert len(lines) == 2
    for line, code in zip(lines, ("usage_malformed", "usage_negative"), strict=True):
        assert code in line
        assert "gpt-realtime" in line
