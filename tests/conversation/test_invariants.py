"""The invariants I1 to I6, for both turn policies alike: one slot and one bookkeeping keep them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation_fixture import BROODING, ConversationDriver, PassthroughScene, Scene
from voice_trio.conversation import commands, events
from voice_trio.conversation.policy import Policy

if TYPE_CHECKING:
    from collections.abc import Callable

Driver: TypeAlias = ConversationDriver[Any]
BOTH = pytest.mark.parametrize("make", [Scene, PassthroughScene], ids=["managed", "passthrough"])
WAIT = Policy().wait_seconds_max
DONE = Policy().done_seconds_max


# I1: one response at a time


@BOTH
def test_I1_a_question_during_a_response_waits_for_its_done(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=5000)
    scene.wait(1)
    scene.ask("and how long does that take for ducks")
    scene.wait(WAIT)
    assert len(scene.creates()) == 1
    scene.done(response, "cancelled", reason="turn_detected")
    assert len(scene.creates()) == 2


@BOTH
def test_I1_an_unsolicited_response_is_cancelled_by_id_and_waited_out(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.feed(events.ResponseCreated("stranger"))
    assert [cancel.response_id for cancel in scene.to_upstream(commands.CancelResponse)] == ["stranger"]
    scene.ask()
    scene.wait(1)
    assert scene.creates() == []
    scene.done("stranger", "cancelled")
    assert scene.created_at() == [1.0]


@BOTH
def test_I1_an_unsolicited_response_is_waited_for_three_seconds_at_most(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.feed(events.ResponseCreated("stranger"))
    scene.ask()
    scene.wait(10)
    assert scene.created_at() == [DONE]


@BOTH
def test_I1_an_unsolicited_response_that_cannot_be_cancelled_is_over(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.feed(events.ResponseCreated("stranger"))
    scene.ask()
    scene.wait(1)
    cancel = scene.last(commands.CancelResponse)
    scene.feed(events.UpstreamError("response_cancel_not_active", event_id=cancel.event_id))
    assert scene.created_at() == [1.0]


@BOTH
def test_I1_a_response_that_was_given_up_is_cancelled_when_it_appears_and_waited_out(
    make: Callable[[], Driver],
) -> None:
    scene = make()
    scene.ask()
    tag = dict(scene.creates()[0].metadata)
    scene.wait(Policy().creation_seconds_max)
    scene.feed(events.ResponseCreated("late", tag))
    assert [cancel.response_id for cancel in scene.to_upstream(commands.CancelResponse)] == ["late"]
    assert [warning.code for warning in scene.of(commands.LogWarning)] == []
    scene.ask("how long does that take")
    assert len(scene.creates()) == 1
    scene.done("late", "cancelled")
    assert len(scene.creates()) == 2


@BOTH
def test_I1_an_interrupted_response_is_cancelled_by_id_once_more_and_then_given_up(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=5000)
    scene.ask("and how long does that take for ducks")
    scene.wait(DONE)
    assert [cancel.response_id for cancel in scene.to_upstream(commands.CancelResponse)] == [response]
    assert len(scene.creates()) == 1
    scene.wait(DONE)
    assert scene.created_at() == [0.0, 2 * DONE]


@BOTH
def test_I1_a_response_that_stalls_is_cancelled_by_id_and_the_client_told(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    response, item = scene.begin_response(audio_ms=500)
    scene.wait(20)
    scene.audio(response, item, 500)
    scene.wait(Policy().stall_seconds_max - 0.001)
    assert scene.to_upstream(commands.CancelResponse) == []
    scene.wait(1)
    assert [cancel.response_id for cancel in scene.to_upstream(commands.CancelResponse)] == [response]
    told = [*scene.to_client(commands.ErrorNotice), *scene.to_client(commands.RequestRefused)]
    assert len(told) == 1
    assert [(record.status, record.heard_ms) for record in scene.records()] == [("incomplete", 1000)]
    scene.ask("and how long does that take for ducks")
    assert len(scene.creates()) == 2


@BOTH
def test_I1_a_response_without_our_tag_is_ours_while_one_is_outstanding(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    scene.begin_response(audio_ms=100, metadata=False)
    assert scene.to_upstream(commands.CancelResponse) == []
    assert len(scene.to_client(events.ResponseAudioDelta)) == 1


UPSTREAM_SECONDS = 1.0  # with the second that a step takes at most: less than the gateway waits for a done
STEPS = st.lists(
    st.tuples(st.sampled_from(["speak", "commit", "create", "audio", "done", "stranger"]), st.floats(0, 1)),
    max_size=30,
)


@BOTH
@given(steps=STEPS)
def test_I1_whatever_happens_no_second_response_is_asked_for(
    make: Callable[[], Driver], steps: list[tuple[str, float]]
) -> None:
    scene, upstream = make(), Upstream()
    speaking = ""
    for step, seconds in steps:
        match step:
            case "speak" if not speaking:
                speaking = scene.speak("how warm must chicks be kept at first")
                upstream.cancel_all(scene.now)
            case "commit" if speaking:
                scene.commit(speaking)
                speaking = ""
            case "create":
                upstream.create(scene)
            case "audio" if upstream.active:
                scene.feed(events.ResponseAudioDelta(upstream.active[-1], "item", "AAAA", 100.0))
            case "done" if upstream.active:
                scene.done(upstream.active[-1])
                upstream.over()
            case "stranger" if not upstream.active and not upstream.is_asked(scene):
                upstream.active.append(f"stranger {scene.now} {len(scene.commands)}")
                scene.feed(events.ResponseCreated(upstream.active[-1]))
            case _:
                pass
        scene.wait(seconds)
        upstream.obey(scene)


class Upstream:
    """Creates what is asked for, one at a time, and ends what is cancelled, each within two seconds."""

    def __init__(self) -> None:
        self.active: list[str] = []
        self._created = 0
        self._cancels = 0
        self._cancelled_at: float | None = None

    def is_asked(self, scene: Driver) -> bool:
        return len(scene.creates()) > self._created

    def create(self, scene: Driver) -> None:
        if self.is_asked(scene):
            assert self.active == [], "response.create while a response is active"
            self._created += 1
            self.active.append(f"response {self._created}")
            scene.feed(events.ResponseCreated(self.active[-1], dict(scene.creates()[self._created - 1].metadata)))

    def cancel_all(self, now: float) -> None:
        """Speech was heard: the server cancels by itself."""
        if self.active and self._cancelled_at is None:
            self._cancelled_at = now

    def obey(self, scene: Driver) -> None:
        assert not (self.active and self.is_asked(scene)), "response.create while a response is active"
        cancels = scene.to_upstream(commands.CancelResponse)
        if any(cancel.response_id in self.active for cancel in cancels[self._cancels :]):
            self.cancel_all(scene.now)
        self._cancels = len(cancels)
        if self.active and self._cancelled_at is not None and scene.now - self._cancelled_at > UPSTREAM_SECONDS:
            scene.done(self.active[-1], "cancelled")
            self.over()
        if self.is_asked(scene) and scene.now - scene.created_at()[self._created] > UPSTREAM_SECONDS:
            self.create(scene)

    def over(self) -> None:
        self.active.pop()
        self._cancelled_at = None


# I2: context first


@BOTH
def test_I2_the_context_leaves_after_the_commit_and_before_response_create(make: Callable[[], Driver]) -> None:
    scene = make()
    item = scene.speak("how warm must chicks be kept at first")
    for search in scene.searches():
        scene.found(search.search_id, BROODING)
    assert scene.upstream_log() == []
    scene.commit(item)
    for search in scene.searches():
        scene.found(search.search_id, BROODING)
    assert scene.upstream_log()[0] == "CreateContextItem"
    assert scene.upstream_log()[1] in ("CreateResponse", "CreateClientResponse")
    assert scene.last(commands.CreateContextItem).previous_item_id == item


# I3: the deadline


@BOTH
def test_I3_response_create_leaves_at_the_deadline_without_a_result(make: Callable[[], Driver]) -> None:
    scene = make()
    item = scene.speak("how warm must chicks be kept at first")
    scene.wait(1)
    scene.commit(item)
    scene.wait(5)
    assert scene.created_at() == [pytest.approx(1.0 + WAIT)]
    assert scene.to_upstream(commands.CreateContextItem) == []


@BOTH
def test_I3_response_create_leaves_at_the_done_of_the_previous_response_if_that_is_later(
    make: Callable[[], Driver],
) -> None:
    scene = make()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=5000)
    scene.wait(1)
    scene.commit(scene.speak("and how long does that take for ducks"))
    scene.wait(0.5)
    scene.done(response, "cancelled", reason="turn_detected")
    assert scene.created_at() == [0.0, 1.5]


@BOTH
def test_I3_response_create_does_not_leave_if_the_user_speaks_again_first(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.commit(scene.speak("how warm must chicks be kept at first"))
    scene.wait(WAIT / 2)
    item = scene.speak("and for ducks in winter")
    scene.wait(5)
    assert scene.creates() == []
    scene.commit(item)
    scene.wait(WAIT)
    assert len(scene.creates()) == 1
    assert [record.status for record in scene.records()] == ["joined"]
    assert scene.queries()[-1] == "how warm must chicks be kept at first and for ducks in winter"


# I4: no leak between turns


@BOTH
def test_I4_a_late_result_reaches_no_later_turn(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.commit(scene.speak("how warm must chicks be kept at first"))
    scene.wait(WAIT)
    late = [search.search_id for search in scene.searches()]
    response, _ = scene.begin_response(audio_ms=300)
    scene.done(response)
    scene.wait(2)
    item = scene.speak("how many hours of light do layers need")
    for search_id in late:
        scene.found(search_id, BROODING)
    scene.commit(item)
    scene.wait(WAIT)
    assert len(scene.creates()) == 2
    assert scene.to_upstream(commands.CreateContextItem) == []


# I5: silence after a barge-in


@BOTH
def test_I5_no_sound_of_an_interrupted_response_is_forwarded(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    response, item = scene.begin_response(audio_ms=500)
    scene.speak("stop")
    assert len(scene.to_client(commands.PlaybackFlush)) == 1
    scene.feed(events.ResponseAudioDelta(response, item, "AAAA", 500.0))
    assert len(scene.to_client(events.ResponseAudioDelta)) == 1


@BOTH
def test_I5_speech_before_the_response_is_created_silences_all_of_it(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    scene.speak("stop")
    response, item = scene.begin_response(audio_ms=500)
    assert scene.to_client(events.ResponseAudioDelta) == []
    assert [cancel.response_id for cancel in scene.to_upstream(commands.CancelResponse)] == [response]
    assert item not in [delta.item_id for delta in scene.to_client(events.ResponseAudioDelta)]


# I6: truncation


@BOTH
def test_I6_an_item_heard_in_part_is_truncated_there_before_the_next_response_create(
    make: Callable[[], Driver],
) -> None:
    scene = make()
    scene.ask()
    response, item = scene.begin_response(audio_ms=5000)
    scene.wait(1.25)
    second = scene.speak("and how long does that take for ducks")
    scene.done(response, "cancelled", reason="turn_detected")
    scene.commit(second)
    scene.wait(WAIT)
    assert [(cut.item_id, cut.audio_end_ms) for cut in scene.to_upstream(commands.TruncateItem)] == [(item, 1250)]
    assert scene.upstream_log().index("TruncateItem") < len(scene.upstream_log()) - 1
    assert len(scene.creates()) == 2


@BOTH
def test_I6_an_item_that_was_not_heard_at_all_is_deleted(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    response, item = scene.begin_response(audio_ms=5000, sent=False)
    second = scene.speak("and how long does that take for ducks")
    scene.done(response, "cancelled", reason="turn_detected")
    scene.commit(second)
    scene.wait(WAIT)
    assert scene.to_upstream(commands.TruncateItem) == []
    assert [deleted.item_id for deleted in scene.to_upstream(commands.DeleteItem)] == [item]


@BOTH
def test_I6_an_item_heard_to_its_end_is_neither_truncated_nor_deleted(make: Callable[[], Driver]) -> None:
    scene = make()
    scene.ask()
    response, _ = scene.begin_response(audio_ms=1000)
    scene.done(response)
    scene.wait(1.5)
    scene.ask("and how long does that take for ducks")
    assert len(scene.creates()) == 2
    assert scene.to_upstream(commands.TruncateItem) == []
    assert scene.to_upstream(commands.DeleteItem) == []


@BOTH
@given(heard_ms=st.integers(0, 6000), late_ms=st.integers(0, 2000))
def test_I6_a_truncation_is_within_what_was_received_and_sent_once(
    make: Callable[[], Driver], heard_ms: int, late_ms: int
) -> None:
    scene = make()
    scene.ask()
    response, item = scene.begin_response(audio_ms=5000)
    scene.wait(heard_ms / 1000)
    second = scene.speak("and how long does that take for ducks")
    scene.feed(events.ResponseAudioDelta(response, item, "AAAA", float(late_ms)))
    scene.done(response, "cancelled", reason="turn_detected")
    scene.commit(second)
    scene.wait(WAIT)
    truncated = scene.to_upstream(commands.TruncateItem)
    deleted = scene.to_upstream(commands.DeleteItem)
    assert len(truncated) + len(deleted) <= 1
    assert all(0 < cut.audio_end_ms <= 5000 + late_ms for cut in truncated)
