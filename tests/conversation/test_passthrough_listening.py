"""What events mean under OpenAI's protocol while the user is speaking, and while they are not (F73)."""

from __future__ import annotations

import pytest

from tests.support.conversation_fixture import PassthroughScene
from voice_trio.conversation import commands, events
from voice_trio.conversation.passthrough import requests

WITHOUT_DETECTION = requests.TurnPolicyUpdated(automatic=False, interrupts=True, detects_turns=False)


def turns(scene: PassthroughScene) -> list[str]:
    """Each turn that began or ended, in order, with why it ended."""
    return [
        f"begin {command.turn_id}"
        if isinstance(command, commands.BeginTurn)
        else f"end {command.turn_id} {command.reason}"
        for _, command in scene.commands
        if isinstance(command, commands.BeginTurn | commands.EndTurn)
    ]


def said(scene: PassthroughScene) -> list[tuple[str, ...]]:
    """The items of each turn that is not reported, oldest first."""
    return [tuple(item for item, _ in turn.said_items) for turn in scene.conversation.open_turns(scene.now)]


def test_speech_goes_on_with_a_turn_that_listens_and_begins_one_where_none_does_F73() -> None:
    scene = PassthroughScene()
    first = scene.speak("how warm")
    second = scene.speak("must it be")
    assert turns(scene) == ["begin 1"]
    assert said(scene) == [(first, second)]
    scene.commit(second)
    third = scene.speak("in winter")
    assert turns(scene) == ["begin 1", "end 1 barge-in", "begin 2"]
    assert said(scene) == [(first, second, third)]


def test_speech_is_timed_by_its_turn_and_a_stop_that_comes_late_changes_no_time_F73() -> None:
    scene = PassthroughScene()
    scene.feed(events.SpeechStopped("before any turn"))
    scene.wait(1.0)
    item = scene.speak("how warm must it be")
    scene.wait(1.0)
    scene.feed(events.SpeechStarted(item))
    scene.wait(1.0)
    scene.commit(item)
    scene.wait(1.0)
    scene.feed(events.SpeechStopped(item))
    (report,) = [each for each in scene.conversation.close(scene.now) if isinstance(each, commands.ReportTurn)]
    stages = report.record.stages
    assert (stages.speech_started, stages.speech_stopped, stages.committed) == (1.0, 3.0, 3.0)


def test_a_commit_belongs_to_the_turn_that_listens_and_else_to_one_of_its_own_F73() -> None:
    scene = PassthroughScene()
    scene.feed(events.SpeechCommitted("unannounced"))
    assert turns(scene) == ["begin 1"]
    item = scene.speak("how warm")
    scene.feed(events.SpeechCommitted(item))
    assert turns(scene) == ["begin 1", "end 1 barge-in", "begin 2"]
    scene.feed(events.SpeechCommitted("another"))
    assert turns(scene)[3:] == ["end 2 committed", "begin 3"]
    scene.feed(events.SpeechCommitted("another"))
    assert turns(scene)[5:] == []


def test_without_turn_detection_the_first_word_begins_a_turn_and_the_next_goes_on_with_it_F73() -> None:
    scene = PassthroughScene()
    scene.feed(WITHOUT_DETECTION)
    scene.words("a", "how warm")
    assert turns(scene) == ["begin 1"]
    scene.feed(events.SpeechCommitted("a"))
    scene.words("a", "is it")  # late words of what was committed
    assert turns(scene) == ["begin 1"]
    scene.words("b", "and the ducks")
    assert turns(scene) == ["begin 1", "end 1 heard", "begin 2"]


def test_with_turn_detection_a_word_begins_no_turn_F73() -> None:
    scene = PassthroughScene()
    scene.words("a", "how warm")
    assert turns(scene) == []


def test_what_is_cleared_away_ends_a_turn_that_listens_and_no_other_F73() -> None:
    scene = PassthroughScene()
    scene.feed(events.AudioCleared())
    assert turns(scene) == []
    scene.speak("never mind")
    scene.feed(events.AudioCleared())
    assert turns(scene) == ["begin 1", "end 1 cleared"]
    item = scene.speak("how warm must it be")
    scene.commit(item)
    scene.feed(events.AudioCleared())
    assert turns(scene)[2:] == ["begin 2"]
    assert [record.status for record in scene.records()] == ["unanswered"]


def test_what_is_written_while_the_user_speaks_is_part_of_their_question_and_else_one_of_its_own_F73() -> None:
    scene = PassthroughScene()
    scene.feed(requests.TurnPolicyUpdated(automatic=False, interrupts=True, detects_turns=True))
    item = scene.speak("how warm")
    scene.feed(requests.ItemCreateRequested({}, item_id="w1", text="must it be", role="user"))
    scene.feed(requests.ResponseRequested())
    assert turns(scene) == ["begin 1"]
    assert said(scene) == [(item, "w1")]
    response, _ = scene.begin_response()
    scene.done(response)
    scene.commit(item)
    scene.feed(requests.ItemCreateRequested({}, item_id="w2", text="and the ducks", role="user"))
    scene.feed(requests.ResponseRequested())
    assert turns(scene)[1:] == ["end 1 typed", "begin 2"]
    assert [(turn.turn_id, turn.said_items) for turn in scene.conversation.open_turns(0.0)] == [
        (2, ((item, "how warm"), ("w1", "must it be"), ("w2", "and the ducks")))
    ]


@pytest.mark.parametrize(("detects_turns", "quiet_since"), [(True, None), (False, 2.0)])
def test_quiet_begins_with_the_last_word_unless_turn_detection_will_say_so_F73(
    detects_turns: bool, quiet_since: float | None
) -> None:
    scene = PassthroughScene()
    scene.feed(requests.TurnPolicyUpdated(automatic=False, interrupts=True, detects_turns=detects_turns))
    scene.until(1.0)
    assert scene.conversation.quiet_since(scene.now) == 0.0
    item = scene.speak()
    scene.until(2.0)
    scene.words(item, "how warm")
    assert scene.conversation.quiet_since(3.0) == quiet_since
    scene.commit(item)
    scene.until(4.0)
    assert scene.conversation.quiet_since(5.0) == 2.0
