"""What a conversation says of turns that are not over, at any moment, and that asking changes nothing."""

from __future__ import annotations

import copy

from tests.support.conversation_fixture import PassthroughScene, Scene
from voice_trio.conversation import events
from voice_trio.conversation.turn.snapshot import OpenTurn

QUESTION = "how warm must chicks be kept at first"
ANSWER = " ".join(f"word{number}" for number in range(10, 60))  # of 7 letters with its space


def say(scene: Scene | PassthroughScene, response: str, item: str, text: str, ms: float) -> None:
    """All of the text, then that much sound."""
    scene.feed(events.ResponseTranscriptDelta(response, item, text))
    scene.feed(events.ResponseAudioDelta(response, item, "AAAA", ms))
    scene.feed(events.AudioSent(item, ms))


def heard(scene: Scene | PassthroughScene) -> str:
    [turn] = scene.conversation.open_turns(scene.now)
    return " ".join(text for _, text in turn.heard_items)


def test_before_the_first_word_there_is_nothing_and_then_what_was_said() -> None:
    scene = Scene()
    assert scene.conversation.open_turns(0.0) == ()
    item = scene.speak()
    assert scene.conversation.open_turns(0.0) == ()
    scene.words(item, "how warm")
    assert scene.conversation.open_turns(0.0) == (OpenTurn(1, ((item, "how warm"),)),)


def test_a_question_without_words_is_there_once_it_is_committed() -> None:
    scene = Scene()
    item = scene.speak()
    scene.commit(item)
    assert scene.conversation.open_turns(0.0) == (OpenTurn(1, ((item, ""),)),)


def test_an_answer_is_there_as_far_as_its_sound_was_heard() -> None:
    for scene in (Scene(), PassthroughScene()):
        scene.ask()
        response, item = scene.begin_response()
        say(scene, response, item, ANSWER, 20_000)
        scene.done(response)
        assert heard(scene) == ""
        scene.wait(5.0)
        assert 10 <= len(heard(scene).split()) <= 13
        scene.wait(14.9)
        assert 48 <= len(heard(scene).split()) <= 50


def test_text_that_is_ahead_of_its_sound_is_not_heard_yet() -> None:
    for scene in (Scene(), PassthroughScene()):
        scene.ask()
        response, item = scene.begin_response()
        scene.feed(events.ResponseTranscriptDelta(response, item, ANSWER))
        assert heard(scene) == ""
        scene.feed(events.ResponseAudioDelta(response, item, "AAAA", 2_000))
        scene.feed(events.AudioSent(item, 2_000))
        scene.wait(2.0)
        assert 3 <= len(heard(scene).split()) <= 2_000 / 1000 * 25 / 7


def test_an_interrupted_turn_stays_until_it_is_reported_beside_the_next() -> None:
    scene = Scene()
    first = scene.ask()
    response, item = scene.begin_response()
    say(scene, response, item, ANSWER, 20_000)
    scene.wait(10.0)
    second = scene.speak("and for ducks")
    one, two = scene.conversation.open_turns(scene.now)
    assert (one.said_items, two.said_items) == (((first, QUESTION),), ((second, "and for ducks"),))
    assert 20 <= len(one.heard_items[0][1].split()) <= 26
    assert scene.records() == []
    scene.done(response, "cancelled", reason="turn_detected")
    assert scene.records()[0].heard_items == one.heard_items
    assert scene.conversation.open_turns(scene.now) == (two,)


def test_a_merged_question_is_one_turn() -> None:
    scene = Scene()
    first = scene.speak("how warm must it be")
    scene.commit(first)
    assert scene.creates() == []  # a search is under way
    second = scene.speak("in winter")
    [turn] = scene.conversation.open_turns(scene.now)
    assert turn.said_items == ((first, "how warm must it be"), (second, "in winter"))


def test_a_question_whose_upstream_was_lost_waits_for_its_rest() -> None:
    scene = Scene()
    item = scene.speak("how warm must")
    scene.feed(events.UpstreamLost())
    [turn] = scene.conversation.open_turns(scene.now)
    assert turn.said_items == ((item, "how warm must"),)


def test_asking_changes_nothing() -> None:
    scene = Scene()
    scene.ask()
    response, item = scene.begin_response()
    say(scene, response, item, ANSWER, 20_000)
    before = copy.deepcopy(scene.conversation)
    for now in (scene.now, scene.now + 3.0, scene.now + 100.0):
        scene.conversation.open_turns(now)
    assert scene.conversation.handle(events.SpeechStarted("x"), 4.0) == before.handle(events.SpeechStarted("x"), 4.0)
    assert scene.conversation.open_turns(5.0) == before.open_turns(5.0)
