"""Which users are included, that they stay included, and the errors for a wrong document."""

from __future__ import annotations

import math
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.errors import BadMessage
from voice_trio.settings import load_settings
from voice_trio.state.rollout import (
    Rollout,
    decode_rollout,
    encode_rollout,
    first_rollout,
    parse_rollout,
    percent_position,
    rollout_as_json,
)

DOCUMENT: dict[str, Any] = {
    "enabled": True,
    "percent": 25,
    "beta_users": ["ann@example.com", "17"],
    "plans": ["Elite"],
    "message": "soon",
    "end_sessions": False,
    "barred": ["0f" * 16],
    "version": 3,
}


def rollout(**changes: Any) -> Rollout:
    return parse_rollout(DOCUMENT | changes)


@given(st.text(min_size=1), st.floats(0, 100), st.floats(0, 100))
def test_raising_the_percentage_keeps_everyone_in(user: str, one: float, other: float) -> None:
    lower, higher = sorted((one, other))

    if rollout(percent=lower).includes_user(user, ""):
        assert rollout(percent=higher).includes_user(user, "")


@given(st.text(min_size=1))
def test_nobody_is_in_at_0_and_everybody_at_100(user: str) -> None:
    assert not rollout(percent=0, beta_users=[]).includes_user(user, "")
    assert rollout(percent=100, beta_users=[]).includes_user(user, "")


@pytest.mark.parametrize("percent", [1, 10, 37.5, 50, 90])
def test_about_as_many_are_in_as_the_percentage_says(percent: float) -> None:
    document = rollout(percent=percent)
    users = 20_000
    inside = sum(document.includes_user(f"user-{number}", "") for number in range(users))

    # Four standard deviations of a fair draw; the hash is fixed, so this never flickers.
    share = percent / 100
    assert abs(inside - users * share) < 4 * math.sqrt(users * share * (1 - share))


def test_a_place_is_the_same_for_ever() -> None:
    assert percent_position("user-1") == pytest.approx(94.33518645819277, abs=1e-9)


def test_beta_users_are_in_by_id_or_email_at_any_percentage() -> None:
    document = rollout(percent=0)

    assert document.includes_user("17", "")
    assert document.includes_user("x", "Ann@Example.com")
    assert not document.includes_user("x", "")


def test_plans_are_compared_in_any_case() -> None:
    assert rollout().includes_plan("ELITE")
    assert not rollout().includes_plan("free")
    assert not rollout().includes_plan("")


def test_a_document_goes_out_as_it_came_in() -> None:
    assert rollout_as_json(rollout()) == DOCUMENT


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("enabled", "yes"),
        ("enabled", 1),
        ("percent", 101),
        ("percent", -0.1),
        ("percent", True),
        ("percent", "50"),
        ("percent", math.nan),
        ("percent", math.inf),
        ("beta_users", "ann"),
        ("beta_users", [1]),
        ("beta_users", [""]),
        ("beta_users", ["x"] * 10_001),
        ("plans", None),
        ("plans", ["x" * 257]),
        ("message", 5),
        ("message", "x" * 1001),
        ("version", -1),
        ("version", 1.5),
        ("version", 2**53),
        ("colour", "red"),
        ("barred", "0f" * 16),
        ("barred", ["ann"]),
        ("barred", ["0F" * 16]),
        ("barred", ["0f" * 16 + "\n"]),
        ("barred", ["0f" * 17]),
        ("barred", ["0f" * 16] * 10_001),
    ],
)
def test_a_wrong_field_is_named(field: str, value: object) -> None:
    with pytest.raises(BadMessage, match=field):
        parse_rollout(DOCUMENT | {field: value})


@pytest.mark.parametrize("field", ["enabled", "percent", "beta_users", "plans", "version"])
def test_a_missing_field_is_named(field: str) -> None:
    with pytest.raises(BadMessage, match=field):
        parse_rollout({name: value for name, value in DOCUMENT.items() if name != field})


def test_a_document_without_barred_users_stays_valid_and_is_stored_without_them_F18() -> None:
    old = {name: value for name, value in DOCUMENT.items() if name != "barred"}
    assert parse_rollout(old).barred == ()
    assert msgspec.json.decode(encode_rollout(parse_rollout(old), {})) == old  # an earlier version reads it


def test_a_stored_document_of_a_later_version_is_read_and_keeps_its_fields_F18() -> None:
    later = DOCUMENT | {"colour": "red", "shape": {"round": True}}
    document, unknown = decode_rollout(msgspec.json.encode(later))
    assert document == rollout()
    assert msgspec.json.decode(encode_rollout(document, unknown)) == later


@pytest.mark.parametrize("data", [b"", b"[]", b"null", b'{"enabled": 1}', b"\xff", b"[" * 100_000])
def test_a_stored_document_that_is_none_is_refused_F18(data: bytes) -> None:
    with pytest.raises(BadMessage, match="rollout"):
        decode_rollout(data)


@pytest.mark.parametrize("document", [None, [], "x", 3])
def test_what_is_no_document_is_refused(document: object) -> None:
    with pytest.raises(BadMessage, match="rollout: Expected `object`"):
        parse_rollout(document)


def test_the_first_document_comes_from_the_settings() -> None:
    settings = load_settings(
        {"VOICE_BETA_USERS": "ann", "VOICE_ROLLOUT_PERCENT": "12.5", "VOICE_ALLOWED_PLANS": "Gold"}
    )

    first = first_rollout(settings.access)

    assert first == Rollout(enabled=True, percent=12.5, beta_users=("ann",), plans=("Gold",), version=0)
    assert parse_rollout(rollout_as_json(first)) == first


def test_a_document_cannot_be_changed_in_place() -> None:
    with pytest.raises(AttributeError):
        rollout().percent = 100  # type: ignore[misc]  # that is the point
    assert msgspec.structs.replace(rollout(), percent=100).percent == 100
