"""Kept passages in a turn: asked at each change of the words, used when the store is too late, waited for by nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.conversation_fixture import BROODING, LAYERS, Scene, as_injected
from voice_trio.conversation import commands, events
from voice_trio.conversation.policy import Policy
from voice_trio.conversation.retrieval.latency import SEARCHES_REMEMBERED, SearchLatency
from voice_trio.conversation.turn.record import Outcome

if TYPE_CHECKING:
    from voice_trio.conversation.retrieval.passage import Passage

KEPT = Policy(passage_cache=True)


def asked(scene: Scene, *, local: bool) -> list[commands.StartSearch]:
    return [search for search in scene.of(commands.StartSearch) if search.local is local]


def answer(scene: Scene, *passages: Passage, local: bool) -> None:
    """Answer the newest search of one kind."""
    scene.found(asked(scene, local=local)[-1].search_id, *passages)


def injected(scene: Scene) -> commands.ContextInjected:
    return scene.to_client(commands.ContextInjected)[-1]


def test_nothing_is_asked_locally_unless_passages_are_kept() -> None:
    scene = Scene()
    scene.commit(scene.speak("how warm must chicks live"))
    assert asked(scene, local=True) == []


def test_kept_passages_are_asked_with_the_last_word_too() -> None:
    scene = Scene(KEPT)
    scene.speak("how warm must chicks live")
    assert [search.query for search in asked(scene, local=True)] == ["how warm must chicks live"]
    assert [search.query for search in asked(scene, local=False)] == ["how warm must chicks"]


def test_at_the_deadline_kept_passages_serve_when_the_store_is_not_in() -> None:
    scene = Scene(KEPT)
    item = scene.speak("how warm must chicks live")
    answer(scene, BROODING, LAYERS, local=True)
    scene.until(2.0)
    scene.commit(item)
    scene.until(3.0)
    assert scene.times(commands.CreateResponse) == [pytest.approx(2.2)]
    assert injected(scene).outcome is Outcome.LOCAL
    assert injected(scene).passages[0] == as_injected(BROODING)[0]


def test_words_of_the_last_moment_are_found_among_kept_passages() -> None:
    scene = Scene(KEPT)
    item = scene.speak("how much")
    scene.commit(item)
    scene.until(0.15)
    scene.words(item, "light")
    scene.until(0.153)
    answer(scene, LAYERS, local=True)
    scene.until(1.0)
    assert injected(scene) == commands.ContextInjected(Outcome.LOCAL, 200, False, as_injected(LAYERS))


def test_when_both_agree_and_the_best_stands_out_nobody_waits() -> None:
    scene = Scene(KEPT)
    item = scene.speak("how warm must chicks live")
    answer(scene, BROODING, LAYERS, local=True)
    answer(scene, BROODING, local=False)
    scene.until(2.0)
    scene.commit(item)
    assert scene.times(commands.CreateResponse) == [2.0]
    assert injected(scene) == commands.ContextInjected(Outcome.HIDDEN, 0, True, as_injected(BROODING))


def test_when_they_differ_the_words_still_to_come_are_waited_for_and_decide() -> None:
    scene = Scene(KEPT)
    item = scene.speak("how warm must chicks live")
    answer(scene, BROODING, local=True)
    answer(scene, LAYERS, local=False)
    scene.until(2.0)
    scene.commit(item)
    assert scene.times(commands.CreateResponse) == []
    scene.until(2.1)
    scene.words(item, "outside")
    answer(scene, BROODING, local=True)
    scene.until(3.0)
    assert scene.times(commands.CreateResponse) == [pytest.approx(2.2)]
    assert injected(scene).outcome is Outcome.LOCAL


def test_the_stores_answer_to_all_the_words_is_preferred_to_kept_passages() -> None:
    scene = Scene(KEPT)
    item = scene.speak("how warm must chicks live?")
    answer(scene, BROODING, local=True)
    answer(scene, LAYERS, local=False)
    scene.until(2.0)
    scene.commit(item)
    assert scene.times(commands.CreateResponse) == [2.0]
    assert injected(scene) == commands.ContextInjected(Outcome.HIDDEN, 0, False, as_injected(LAYERS))


def test_the_store_is_left_in_peace_while_both_agree() -> None:
    scene = Scene(KEPT)
    item = scene.speak("how warm must chicks live")
    answer(scene, BROODING, local=True)
    answer(scene, BROODING, local=False)
    scene.words(item, "outside")
    answer(scene, BROODING, local=True)
    assert len(asked(scene, local=False)) == 1
    scene.words(item, "winter nights,")
    answer(scene, LAYERS, local=True)  # to the words up to "winter"
    answer(scene, LAYERS, local=True)  # to all of them
    assert [search.query for search in asked(scene, local=False)][1:] == [
        "how warm must chicks live outside winter nights,"
    ]


def test_a_failed_local_search_costs_nothing() -> None:
    scene = Scene(KEPT)
    item = scene.speak("how warm must chicks live?")
    scene.feed(events.SearchFailed(asked(scene, local=True)[-1].search_id))
    answer(scene, BROODING, local=False)
    scene.until(2.0)
    scene.commit(item)
    assert injected(scene).outcome is Outcome.HIDDEN


def test_queries_of_kept_passages_are_not_counted() -> None:
    scene = Scene(KEPT)
    item = scene.speak("how warm must chicks live?")
    answer(scene, BROODING, local=True)
    answer(scene, BROODING, local=False)
    scene.commit(item)
    response, _ = scene.begin_response(audio_ms=100)
    scene.done(response)
    scene.until(9.0)
    assert scene.records()[0].queries == 1


def test_no_wait_when_no_search_was_ever_so_fast() -> None:
    scene = Scene()
    first = scene.speak("how warm must chicks live?")
    scene.until(0.45)
    scene.found(1, BROODING)
    scene.commit(first)
    response, _ = scene.begin_response(audio_ms=100)
    scene.done(response)
    scene.until(5.0)
    scene.commit(scene.speak("and ducks"))
    assert scene.times(commands.CreateResponse)[-1] == 5.0  # 200 ms are left, and the fastest search took 450
    assert injected(scene).outcome is Outcome.LATE


def test_searches_of_a_turn_are_bounded() -> None:
    scene = Scene(Policy(searches_max=3, searches_at_end_max=1))
    item = scene.speak("one two three four five")
    for number in range(20):
        for search in asked(scene, local=False):
            scene.found(search.search_id, BROODING if number % 2 else LAYERS)
        scene.words(item, f"word{number} and")
    scene.commit(item)
    assert len(asked(scene, local=False)) == 4


def test_a_follow_up_carries_the_topic_of_the_turn_before() -> None:
    scene = Scene()
    scene.ask("how many hours of light do pullets get")
    response, _ = scene.begin_response(audio_ms=100)
    scene.done(response)
    scene.until(5.0)
    scene.commit(scene.speak("and for layers?"))
    assert scene.queries()[-1] == "hours light pullets and for layers?"


def test_pace_is_what_one_search_in_twenty_beats() -> None:
    pace = SearchLatency()
    assert pace.fastest == 0.0
    for number in range(2 * SEARCHES_REMEMBERED):
        pace.note(1.0 + number / 100)
    assert pace.fastest == pytest.approx(1.0 + (SEARCHES_REMEMBERED + 3) / 100)
    assert not pace.may_come(0.1, 0.2)
    assert pace.may_come(1.5, 0.2)


def answer_quickly(scene: Scene, *passages: Passage) -> None:
    """Answer the newest search, three milliseconds from now."""
    scene.wait(0.003)
    answer(scene, *passages, local=False)


def test_a_quick_store_is_asked_for_the_last_words_too() -> None:
    scene = Scene()
    item = scene.speak("how much light do layers")
    answer_quickly(scene, LAYERS, BROODING)
    scene.until(2.0)
    scene.commit(item)
    answer_quickly(scene, LAYERS, BROODING)
    scene.until(2.1)
    assert scene.times(commands.CreateResponse) == []  # nothing stands out yet, and more words may come
    scene.words(item, "and chicks")
    answer_quickly(scene, BROODING)
    scene.until(3.0)
    assert scene.times(commands.CreateResponse) == [pytest.approx(2.2)]
    assert injected(scene).passages[0] == as_injected(BROODING)[0]


def test_a_typed_question_never_waits_for_words_that_cannot_come() -> None:
    scene = Scene()
    for number in range(3):
        scene.feed(events.TextInput(f"light for layers {number}"))
        asked_at = scene.now
        answer_quickly(scene, LAYERS, LAYERS)
        assert scene.times(commands.CreateResponse)[-1] == pytest.approx(asked_at + 0.003)
        response, _ = scene.begin_response(audio_ms=100)
        scene.done(response)
        scene.wait(5.0)
