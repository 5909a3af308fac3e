"""Half an emoji, and other texts that are no Unicode, are read and written with U+FFFD (F21)."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.protocols import json_text

HALVES = [r"\ud83d", r"\uDE00", r"\udE00", r"\ud83dx", r"\ud83d\ud83d"]


@pytest.mark.parametrize("half", HALVES)
def test_a_lone_surrogate_is_replaced_F21(half: str) -> None:
    text = json_text.decode(f'{{"a":"before {half} after"}}')["a"]
    assert text.startswith("before \ufffd")
    assert text.endswith(" after")


@pytest.mark.parametrize(
    "frame",
    [
        r'{"a":"\ud83d\ude00 \uD83D\uDE00 \u00e9 \\ud83d \\\\ud83d \" \n"}',
        '{"a":"😀 é"}',
        '{"a":"plain"}',
    ],
)
def test_well_formed_text_is_left_as_it_is_F21(frame: str) -> None:
    assert json_text.well_formed(frame) == frame


def test_a_surrogate_behind_an_escaped_backslash_is_replaced_and_one_that_is_text_is_not_F21() -> None:
    assert json_text.decode(r'"\\\ud83d"') == "\\\ufffd"
    assert json_text.decode(r'"\\ud83d \ud83d"') == r"\ud83d" + " \ufffd"


def test_surrogates_and_bytes_that_stand_in_the_frame_itself_are_replaced_F21() -> None:
    assert json_text.decode('"a\ud83d"') == "a\ufffd"
    assert json_text.decode('"\ud83d\ude00"') == "😀"
    assert json_text.decode(b'"a\xff"') == "a\ufffd"


def test_keys_are_read_with_replacement_too_F21() -> None:
    assert json_text.decode(r'{"a\ud83d":1}') == {"a\ufffd": 1}


@pytest.mark.parametrize("frame", ["", "{", r'{"a":"\ud83d"', "nonsense", "[" * 100_000])
def test_what_is_no_json_stays_unreadable_F21(frame: str) -> None:
    with pytest.raises(json_text.UNREADABLE):
        json_text.decode(frame)


def test_a_lone_surrogate_is_written_with_replacement_F21() -> None:
    assert json_text.encode({"a": "😀 \ud83d", "b\ude00": [1, None]}) == (
        r'{"a":"\ud83d\ude00 \ufffd","b\ufffd":[1,null]}'
    )


ANY_TEXT = st.text(st.one_of(st.characters(), st.characters(categories=["Cs"])))


@given(st.recursive(ANY_TEXT, lambda inner: st.lists(inner) | st.dictionaries(ANY_TEXT, inner), max_leaves=10))
def test_whatever_a_text_holds_it_is_written_and_read_again_F21(value: object) -> None:
    for frame in (json_text.encode(value), json_text.well_formed(json.dumps(value))):
        msgspec.json.decode(frame)
        frame.encode()
    assert isinstance(json_text.decode(json.dumps(value, ensure_ascii=False)), type(value))
