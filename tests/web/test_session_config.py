"""Settings and a user become a session's terms."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tests.support.gateway_fixture import settings
from voice_trio.admission.grant import Capacity, SessionGrant
from voice_trio.admission.session_holders import SessionHolders
from voice_trio.auth.signed_tokens import ResumeTokens
from voice_trio.auth.tokens import User
from voice_trio.state.memory_state import MemoryState
from voice_trio.state.rollout import first_rollout
from voice_trio.state.session_record import RecordedItem, RecordedTurn, SessionRecord
from voice_trio.state.state import Quotas
from voice_trio.web.session_config import record_for
from voice_trio.web.session_config import session_config_for as terms_for_admitted

if TYPE_CHECKING:
    from voice_trio.session.config import SessionConfig
    from voice_trio.settings import Settings


def admitted(user: User, resumed: SessionRecord | None = None) -> SessionGrant:
    configured = settings()
    state = MemoryState(Quotas.of(configured.limits), first_rollout(configured.access), clock=lambda: 0.0)
    holder = SessionHolders(state.instance).enter("vs_1")
    return SessionGrant(user, user.plan, "vs_1", holder, state, Capacity(1), resumed)


def terms_for(user: User, _session_id: str, configured: Settings) -> SessionConfig:
    return terms_for_admitted(admitted(user), configured)


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


def test_passages_are_shown_unless_the_data_owner_keeps_them_back() -> None:
    assert terms_for(User(id="a"), "s", settings()).show_passages
    assert not terms_for(User(id="a"), "s", settings(VOICE_SHOW_PASSAGES="false")).show_passages


def test_noise_reduction_can_be_off() -> None:
    assert terms_for(User(id="a"), "s", settings(VOICE_NOISE_REDUCTION="off")).model.noise_reduction is None


def test_a_session_gets_a_resume_token_that_is_bound_to_it_and_to_its_user() -> None:
    terms = terms_for(User(id="ada"), "vs_1", settings())
    assert ResumeTokens(settings().signing_secret).read(terms.resume_token, "ada") == "vs_1"


def test_a_resumed_session_has_its_history_and_what_is_left_of_its_time() -> None:
    turn = RecordedTurn(
        said=(RecordedItem(item_id="i1", text="Hello?"),), heard=(RecordedItem(item_id="i2", text="Hello."),)
    )
    record = SessionRecord(
        session_id="vs_1",
        user_id="ada",
        instance="a",
        started=0.0,
        duration_seconds=600,
        connected_seconds=540,
        turns=(turn, turn),
        revision=4,
    )
    terms = terms_for_admitted(admitted(User(id="ada"), record), settings())
    assert [(said.role, said.item_id, said.text) for said in terms.history] == [
        ("user", "i1", "Hello?"),
        ("assistant", "i2", "Hello."),
    ]
    assert terms.duration_seconds == 60.0
    assert terms.id_prefix == "vt_r4_"
    assert record_for(admitted(User(id="ada"), record), settings()) is record
