"""I14 in the pure core, under both policies: each `response.created` that the client gets has one `response.done`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pytest

from tests.support.conversation_fixture import ConversationDriver, PassthroughScene, Scene
from voice_trio.conversation import commands, events
from voice_trio.conversation.passthrough import requests
from voice_trio.conversation.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable

Driver: TypeAlias = ConversationDriver[Any]
BOTH = pytest.mark.parametrize("make", [Scene, PassthroughScene], ids=["managed", "passthrough"])


def ends(scene: Driver) -> list[tuple[str, str, str]]:
    """(id, status, reason) of each `response.done` that the client got."""
    return [(done.response_id, done.status, done.reason) for done in scene.to_client(events.ResponseDone)]


@BOTH
@pytest.mark.parametrize("audio_ms", [0.0, 30.0, 5000.0])
def test_a_response_that_is_lost_with_its_upstream_is_done_and_incomplete_F60(
    make: Callable[[], Driver], audio_ms: float
) -> None:
    scene = make()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=audio_ms)
    scene.feed(events.UpstreamLost())
    assert ends(scene) == [(response, "incomplete", "upstream_lost")]


@BOTH
def test_an_interrupted_response_that_is_lost_with_its_upstream_is_done_and_cancelled_F60(
    make: Callable[[], Driver],
) -> None:
    scene = make()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=5000)
    scene.speak("stop")
    scene.feed(events.UpstreamLost())
    assert ends(scene) == [(response, "cancelled", "turn_detected")]


@BOTH
def test_a_response_that_was_not_created_when_the_upstream_was_lost_has_no_end_F60(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    scene.feed(events.UpstreamLost())
    assert ends(scene) == []


@BOTH
def test_I14_a_response_that_stalls_is_done_and_incomplete_and_its_late_events_stay_hidden(
    make: Callable[[], Driver],
) -> None:
    scene = make()
    scene.ask()
    response, item = scene.begin_response(audio_ms=500)
    scene.wait(Policy().stall_seconds_max + 1)
    before = [command.event for command in scene.of(commands.SendToClient)]
    scene.feed(events.ResponseTranscriptDelta(response, item, " late"))
    scene.feed(events.ResponseAudioDelta(response, item, "AAAA", 100.0))
    if isinstance(scene, PassthroughScene):  # the voice protocol has no such event
        scene.feed(events.OtherUpstreamEvent("response.content_part.done", response))
    scene.feed(events.ResponseAudioDone(response, item))
    scene.done(response, "cancelled")
    assert ends(scene) == [(response, "incomplete", "stalled")]
    assert [command.event for command in scene.of(commands.SendToClient)] == before
    assert [count.source_id for count in scene.of(commands.CountUsage)] == [response]


@BOTH
def test_I14_an_interrupted_response_whose_done_never_comes_is_done_when_it_is_given_up(
    make: Callable[[], Driver],
) -> None:
    scene = make()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=5000)
    scene.speak("stop")
    scene.wait(2 * Policy().done_seconds_max)
    assert ends(scene) == [(response, "cancelled", "turn_detected")]
    scene.done(response, "cancelled")
    assert len(ends(scene)) == 1


@BOTH
def test_I14_a_response_that_cannot_be_cancelled_any_more_is_done(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=5000)
    scene.speak("stop")
    scene.wait(Policy().done_seconds_max)
    cancel = scene.last(commands.CancelResponse)
    scene.feed(events.UpstreamError("response_cancel_not_active", event_id=cancel.event_id))
    assert [done[:2] for done in ends(scene)] == [(response, "cancelled")]


@BOTH
def test_I14_a_done_that_is_told_twice_passes_once(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=500)
    scene.done(response)
    scene.done(response)
    assert ends(scene) == [(response, "completed", "")]


def test_I14_an_unsolicited_response_that_a_client_saw_is_done_when_it_is_waited_for_no_longer() -> None:
    scene = PassthroughScene()
    scene.feed(events.ResponseCreated("stranger"))
    scene.wait(Policy().done_seconds_max)
    assert [done[:2] for done in ends(scene)] == [("stranger", "cancelled")]


def test_I14_a_response_out_of_band_that_stalls_is_cancelled_and_ends_with_an_error() -> None:
    scene = PassthroughScene()
    scene.feed(requests.ResponseRequested({"conversation": "none"}, event_id="mine", out_of_band=True))
    scene.feed(events.ResponseCreated("aside", dict(scene.creates()[0].metadata)))
    scene.wait(20)
    scene.feed(events.OtherUpstreamEvent("response.output_text.delta", "aside"))
    scene.wait(Policy().stall_seconds_max - 0.001)
    assert ends(scene) == []
    scene.wait(0.002)
    assert ends(scene) == [("aside", "incomplete", "stalled")]
    assert [refused.event_id for refused in scene.to_client(commands.RequestRefused)] == ["mine"]
    assert [cancel.response_id for cancel in scene.to_upstream(commands.CancelResponse)] == ["aside"]
    scene.feed(events.OtherUpstreamEvent("response.output_text.delta", "aside"))
    scene.done("aside", "cancelled")
    assert len(ends(scene)) == 1
    assert not scene.conversation.is_answering(scene.now)


def test_I14_a_held_request_that_is_cancelled_beside_an_unsolicited_response_gets_a_response_of_its_own() -> None:
    scene = PassthroughScene()
    scene.feed(events.ResponseCreated("stranger"))
    scene.feed(requests.ResponseRequested({"metadata": {"name": "mine"}}, event_id="mine"))
    scene.feed(requests.ResponseCancelRequested())
    assert scene.to_client(commands.ResponseNotAsked) == []
    scene.done("stranger", "cancelled")
    assert scene.to_client(commands.ResponseNotAsked) == [commands.ResponseNotAsked({"name": "mine"})]
    assert scene.creates() == []
    assert scene.to_client(commands.RequestRefused) == []
    scene.feed(requests.ResponseRequested())
    assert len(scene.creates()) == 1


def test_a_response_out_of_band_is_lost_with_its_upstream_like_any_other_F60() -> None:
    scene = PassthroughScene()
    scene.feed(requests.ResponseRequested({"conversation": "none"}, out_of_band=True))
    scene.feed(events.ResponseCreated("aside", dict(scene.creates()[0].metadata)))
    scene.feed(events.UpstreamLost())
    assert ends(scene) == [("aside", "incomplete", "upstream_lost")]
    assert not scene.conversation.is_answering(scene.now)
