"""Settings and a user become a session's terms."""

from __future__ import annotations

from tests.web.gateway import settings
from voice_trio.services.tokens import User
from voice_trio.web.terms import terms_for


def test_the_servers_settings_hold_where_the_user_has_none() -> None:
    terms = terms_for(
        User(id="ada"),
        "vs_1",
        settings(VOICE_NAME="cedar", VOICE_SPEED="1.1", RAG_WAIT_MS="150", MAX_SESSION_DURATION="60"),
    )
    assert (terms.model.voice, terms.model.speed, terms.policy.speed) == ("cedar", 1.1, 1.1)
    assert (terms.policy.wait_seconds_max, terms.duration_seconds) == (0.15, 60.0)
    assert terms.model.noise_reduction == "near_field"


def test_the_users_voice_and_speed_win() -> None:
    terms = terms_for(User(id="ada", voice="sage", voice_speed=0.5), "vs_1", settings())
    assert (terms.model.voice, terms.model.speed, terms.policy.speed) == ("sage", 0.5, 0.5)


def test_the_user_is_named_by_a_hash_only() -> None:
    terms = terms_for(User(id="ada"), "vs_1", settings())
    assert len(terms.user) == 32
    assert "ada" not in repr(terms)


def test_noise_reduction_can_be_off() -> None:
    assert terms_for(User(id="a"), "s", settings(VOICE_NOISE_REDUCTION="off")).model.noise_reduction is None
