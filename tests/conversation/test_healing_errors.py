"""Errors of the upstream that heal by themselves are none for a user, however the upstream words them (F22)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.support.conversation_fixture import ConversationDriver, PassthroughScene, Scene
from voice_trio.conversation import commands, events
from voice_trio.conversation.passthrough import requests
from voice_trio.conversation.policy import RESPONSE_ATTEMPTS_MAX, Policy
from voice_trio.conversation.upstream_errors import ErrorKind, kind_of

if TYPE_CHECKING:
    from collections.abc import Callable

Driver: TypeAlias = ConversationDriver[Any]
BOTH = pytest.mark.parametrize("make", [Scene, PassthroughScene], ids=["managed", "passthrough"])
EVENT_IDS = pytest.mark.parametrize("event_id", [None, "", "evt_of_the_server"])
ALREADY_ACTIVE = "conversation_already_has_active_response"


def told(scene: Driver) -> list[object]:
    """Every error that the client got."""
    kinds = (commands.ErrorNotice, commands.RequestRefused, commands.UpstreamErrorForwarded, events.UpstreamError)
    return [event for kind in kinds for event in scene.to_client(kind)]


@BOTH
@EVENT_IDS
@pytest.mark.parametrize(
    ("code", "message"),
    [
        (ALREADY_ACTIVE, ""),
        ("invalid_request_error", "Conversation already has an active response in progress: resp_1."),
        ("response_already_active", ""),
        ("unknown", "Another active response is in progress"),
    ],
)
def test_a_response_refused_because_one_is_active_is_asked_for_again_without_an_error_F22(
    make: Callable[[], Driver], event_id: str | None, code: str, message: str
) -> None:
    scene = make()
    scene.ask()
    scene.feed(events.UpstreamError(code, message, event_id))
    assert len(scene.creates()) == 1
    scene.wait(1)
    scene.done("unknown to us")
    assert scene.created_at() == [0.0, 1.0]
    scene.done(scene.begin_response(audio_ms=500)[0])
    assert told(scene) == []


@BOTH
def test_the_unknown_response_is_waited_for_three_seconds_at_most_F22(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    scene.feed(events.UpstreamError(ALREADY_ACTIVE))
    scene.wait(10)
    assert scene.created_at() == [0.0, Policy().done_seconds_max]
    assert told(scene) == []


@BOTH
def test_a_response_that_is_refused_again_and_again_is_an_error_F22(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    for _ in range(RESPONSE_ATTEMPTS_MAX):
        scene.feed(events.UpstreamError(ALREADY_ACTIVE))
        scene.wait(Policy().done_seconds_max)
    assert len(scene.creates()) == RESPONSE_ATTEMPTS_MAX
    assert len(told(scene)) == 1


@BOTH
@EVENT_IDS
@pytest.mark.parametrize(
    "error",
    [
        events.UpstreamError("response_cancel_not_active", "Cancellation failed: no active response found"),
        events.UpstreamError("invalid_request_error", "Cancellation failed: no active response found"),
        events.UpstreamError("item_truncate_invalid_item_id", "Item with item_id not found: answer_2"),
        events.UpstreamError("invalid_value", "Audio content of 500ms is already shorter than 900ms"),
        events.UpstreamError("invalid_value", "Only model output audio messages can be truncated"),
        events.UpstreamError("item_delete_invalid_item_id", "Item with id 'x' does not exist."),
        events.UpstreamError(ALREADY_ACTIVE),
    ],
)
def test_an_error_that_heals_itself_is_none_for_the_user_F22(
    make: Callable[[], Driver], event_id: str | None, error: events.UpstreamError
) -> None:
    scene = make()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=5000)
    scene.wait(1)
    second = scene.speak("and how long does that take for ducks")
    scene.done(response, "cancelled")
    scene.commit(second)
    scene.wait(1)
    scene.begin_response(audio_ms=500)
    for _ in range(2):
        scene.feed(events.UpstreamError(error.code, error.message, event_id))
    assert told(scene) == []


@BOTH
def test_a_second_error_about_one_event_of_ours_is_none_for_the_user_F22(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    tag = scene.creates()[0].event_id
    scene.begin_response(audio_ms=500)
    for _ in range(2):
        scene.feed(events.UpstreamError("strange", event_id=tag))
    assert [error for error in told(scene) if not isinstance(error, events.UpstreamError)] == []


@BOTH
def test_an_error_that_does_not_heal_is_told_F22(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    scene.begin_response(audio_ms=500)
    scene.feed(events.UpstreamError("server_error", "The server had an error while processing your request."))
    assert len(told(scene)) == 1


def test_a_client_learns_that_its_own_request_met_an_active_response_F22() -> None:
    scene = PassthroughScene()
    scene.feed(requests.ResponseRequested(event_id="mine"))
    scene.feed(events.UpstreamError(ALREADY_ACTIVE))
    assert told(scene) == [commands.UpstreamErrorForwarded(events.UpstreamError(ALREADY_ACTIVE), "mine")]


def test_a_client_learns_that_its_own_cancel_had_nothing_to_cancel_F22() -> None:
    scene = PassthroughScene()
    scene.feed(requests.ResponseCancelRequested(event_id="mine"))
    error = events.UpstreamError("response_cancel_not_active")
    scene.feed(error)
    assert told(scene) == [commands.UpstreamErrorForwarded(error, "mine")]


def test_a_client_learns_that_its_own_truncation_was_refused_and_nothing_of_ours_F22() -> None:
    scene = PassthroughScene()
    error = events.UpstreamError("item_truncate_invalid_item_id")
    scene.feed(requests.ItemTruncateRequested("theirs", 0, 100, event_id="mine"))
    scene.feed(error)
    scene.feed(error)
    assert told(scene) == [commands.UpstreamErrorForwarded(error, "mine")]


@pytest.mark.parametrize(
    "error",
    [
        events.UpstreamError("server_error", "The server had an error"),
        events.UpstreamError("invalid_value", "Invalid value: 'x'. Supported values are: 'y'."),
        events.UpstreamError(
            "input_audio_buffer_commit_empty", "Error committing input audio buffer: buffer too small."
        ),
        events.UpstreamError("rate_limit_exceeded", "Rate limit reached for the active project."),
        events.UpstreamError("unknown"),
    ],
)
def test_other_errors_are_none_of_these_F22(error: events.UpstreamError) -> None:
    assert kind_of(error) is ErrorKind.OTHER
