"""A model that is lost in mid-conversation, and the next one, which is told what was said and heard."""

from __future__ import annotations

import pytest

from tests.support.conversation_fixture import Scene
from voice_trio.conversation import commands, events
from voice_trio.conversation.managed.conversation import ManagedConversation
from voice_trio.conversation.policy import CONTINUATIONS_MAX, Policy
from voice_trio.conversation.turn.history import Said, heard_part


def lose_and_recover(scene: Scene, after: float = 1.0) -> list[commands.UpstreamCommand]:
    """What the next model is told, from its first moment on."""
    scene.feed(events.UpstreamLost())
    scene.wait(after)
    before = len(scene.of(commands.SendToUpstream))
    scene.feed(events.UpstreamReady())
    return [sent.command for sent in scene.of(commands.SendToUpstream)[before:]]


def words(issued: list[commands.UpstreamCommand]) -> list[tuple[str, str, str]]:
    return [
        ("user" if isinstance(command, commands.CreateUserItem) else "assistant", command.item_id, command.text)
        for command in issued
        if isinstance(command, commands.CreateUserItem | commands.CreateAssistantItem)
    ]


def answer(scene: Scene, text: str, ms: float) -> tuple[str, str]:
    response, item = scene.begin_response()
    scene.feed(events.ResponseTranscriptDelta(response, item, text))
    scene.feed(events.ResponseAudioDelta(response, item, "AAAA", ms))
    scene.feed(events.AudioSent(item, ms))
    return response, item


def test_the_next_model_is_told_what_was_said_and_heard_under_the_same_ids() -> None:
    scene = Scene()
    asked = scene.ask("how warm must chicks live")
    response, item = answer(scene, "Thirty-four degrees.", 2000)
    scene.done(response)
    scene.wait(5)
    told = lose_and_recover(scene)
    assert words(told) == [("user", asked, "how warm must chicks live"), ("assistant", item, "Thirty-four degrees.")]
    assert len(told) == 2


def test_of_an_interrupted_answer_only_what_was_heard_is_told() -> None:
    scene = Scene()
    scene.ask("how warm must chicks live")
    response, item = answer(scene, "one two three four five six seven eight nine ten", 10_000)
    scene.wait(5)
    scene.commit(scene.speak("stop"))
    scene.done(response, "cancelled")
    scene.wait(1)
    scene.feed(events.Interrupt())
    told = lose_and_recover(scene)
    assert ("assistant", item, "one two three four five") in words(told)


def test_a_question_without_an_answer_is_asked_again_with_its_context() -> None:
    scene = Scene()
    asked = scene.ask("how warm must chicks live")
    scene.begin_response()
    told = lose_and_recover(scene)
    assert [type(command).__name__ for command in told] == ["CreateUserItem", "CreateContextItem", "CreateResponse"]
    assert words(told) == [("user", asked, "how warm must chicks live")]
    assert len(scene.to_client(commands.ContextInjected)) == 1


def test_an_answer_of_which_something_was_heard_goes_on_where_its_sound_stopped_F60() -> None:
    scene = Scene()
    asked = scene.ask("how warm must chicks live")
    _, item = answer(scene, "Thirty-four", 500)
    told = lose_and_recover(scene)
    assert [type(command).__name__ for command in told] == [
        "CreateUserItem",
        "CreateAssistantItem",
        "CreateInstructionItem",
        "CreateContextItem",
        "CreateResponse",
    ]
    assert words(told)[1] == ("assistant", item, "Thirty-four")
    assert [told[3].previous_item_id] == [asked]  # type: ignore[union-attr]  # a context item
    response, more = scene.begin_response(audio_ms=1000)
    scene.done(response)
    scene.wait(2)
    (record,) = scene.records()
    assert (record.status, record.heard_ms, record.answer) == ("completed", 1500, "Thirty-four  1000")
    assert [item_id for item_id, _ in record.heard_items] == [item, more]
    assert scene.errors() == []
    assert len(scene.to_client(commands.ContextInjected)) == 1


def test_what_an_answer_had_not_said_yet_when_it_was_lost_is_said_by_the_next_upstream_F60() -> None:
    scene = Scene()
    scene.ask("how warm must chicks live")
    _, item = answer(scene, "Thirty-four degrees in the first week, then less", 1000)  # the text runs ahead
    told = lose_and_recover(scene)
    assert words(told)[1] == ("assistant", item, "Thirty-four degrees in")


def test_an_answer_lost_after_a_sound_but_no_word_is_asked_again_from_its_beginning_F60() -> None:
    scene = Scene()
    scene.ask("how warm must chicks live")
    answer(scene, "Thirty-four degrees", 30)
    told = lose_and_recover(scene)
    assert [type(command).__name__ for command in told] == ["CreateUserItem", "CreateContextItem", "CreateResponse"]
    response, _ = scene.begin_response(audio_ms=1000)
    scene.done(response)
    scene.wait(2)
    assert [record.status for record in scene.records()] == ["completed"]


def test_an_answer_that_breaks_off_again_and_again_is_told_to_the_user_F60() -> None:
    scene = Scene()
    scene.ask("how warm must chicks live")
    for _ in range(CONTINUATIONS_MAX):
        answer(scene, "Thirty-four", 500)
        lose_and_recover(scene)
        assert scene.errors() == []
    answer(scene, "Thirty-four", 500)
    told = lose_and_recover(scene)
    assert not any(isinstance(command, commands.CreateResponse) for command in told)
    assert scene.errors() == ["answer_incomplete"]
    scene.wait(2)
    assert [record.status for record in scene.records()] == ["incomplete"]
    assert not scene.conversation.is_answering(scene.now)


def test_an_answer_is_not_gone_on_with_if_the_user_has_interrupted_meanwhile_F60() -> None:
    scene = Scene()
    scene.ask("how warm must chicks live")
    answer(scene, "Thirty-four degrees in the first week", 8000)
    scene.feed(events.UpstreamLost())
    scene.wait(1)
    scene.feed(events.Interrupt())
    scene.feed(events.UpstreamReady())
    assert len(scene.to_upstream(commands.CreateResponse)) == 1
    scene.wait(1)
    assert [(record.status, record.heard_ms) for record in scene.records()] == [("cancelled", 1000)]


def test_an_answer_is_not_gone_on_with_if_the_user_has_asked_something_else_meanwhile_F60() -> None:
    scene = Scene()
    scene.ask("how warm must chicks live")
    _, item = answer(scene, "Thirty-four degrees in the first week", 2000)
    scene.feed(events.UpstreamLost())
    scene.wait(5)
    scene.feed(events.TextInput("light for layers"))
    scene.wait(1)
    scene.feed(events.UpstreamReady())
    assert ("assistant", item, "Thirty-four degrees in the first week") in words(
        [sent.command for sent in scene.of(commands.SendToUpstream)]
    )
    assert scene.to_upstream(commands.CreateInstructionItem) == []
    assert [record.status for record in scene.records()] == ["incomplete"]


def test_an_answer_that_waits_for_a_function_goes_on_with_the_next_upstream_F60() -> None:
    scene = Scene()
    scene.ask("how warm must chicks live")
    response, _ = answer(scene, "Let me look.", 800)
    scene.feed(events.FunctionCalled(response, "fc", "call_1", "weather", "{}"))
    scene.done(response)
    told = lose_and_recover(scene, after=3.0)
    assert [type(command).__name__ for command in told][-1] == "CreateResponse"
    assert len(scene.to_client(events.ResponseDone)) == 1


def test_an_interruption_of_what_was_gone_on_with_leaves_what_was_heard_of_either_part_F60() -> None:
    scene = Scene()
    scene.ask("how warm must chicks live")
    _, first = answer(scene, "Thirty-four degrees", 1000)
    scene.wait(1)
    lose_and_recover(scene, after=1.0)
    response, second = answer(scene, "in the first week and then less", 4000)
    scene.wait(1)
    scene.commit(scene.speak("stop"))
    scene.done(response, "cancelled")
    assert [(cut.item_id, cut.audio_end_ms) for cut in scene.to_upstream(commands.TruncateItem)] == [(second, 1000)]
    assert scene.to_upstream(commands.DeleteItem) == []
    assert [words for _, words in scene.records()[0].heard_items] == ["Thirty-four degrees", "in the"]
    assert first != second


def test_a_question_that_waits_for_context_while_the_model_is_away_is_asked_when_it_is_back() -> None:
    scene = Scene()
    item = scene.speak("how warm must chicks live")
    scene.commit(item)
    scene.feed(events.UpstreamLost())
    scene.wait(3)
    assert scene.to_upstream(commands.CreateResponse) == []
    scene.feed(events.UpstreamReady())
    assert scene.times(commands.CreateResponse) == [3.0]


def test_words_spoken_when_the_model_was_lost_join_what_comes_next() -> None:
    scene = Scene()
    scene.speak("how warm must")
    lose_and_recover(scene)
    scene.commit(scene.speak("chicks live in winter"))
    assert scene.queries()[-1] == "how warm must chicks live in winter"


def test_a_commit_without_words_is_lost_and_the_user_is_told() -> None:
    scene = Scene()
    scene.commit(scene.speak())
    scene.feed(events.UpstreamLost())
    assert scene.errors() == ["answer_failed"]


def test_what_was_typed_while_there_was_no_model_is_told_once() -> None:
    scene = Scene()
    scene.feed(events.UpstreamLost())
    scene.feed(events.TextInput("light for layers"))
    scene.wait(1)
    scene.feed(events.UpstreamReady())
    assert [type(sent.command).__name__ for sent in scene.of(commands.SendToUpstream)] == [
        "CreateUserItem",
        "CreateResponse",
    ]


def test_I6_of_an_item_the_present_model_never_spoke_it_keeps_the_words_that_were_heard() -> None:
    scene = Scene()
    scene.ask("how warm must chicks live")
    _, item = answer(scene, "one two three four five six seven eight nine ten", 10_000)
    scene.wait(1)
    lose_and_recover(scene)
    scene.wait(1)
    scene.commit(scene.speak("stop"))
    response, unheard = scene.begin_response()
    scene.done(response, "cancelled")
    assert scene.to_client(commands.PlaybackFlush)
    assert scene.to_upstream(commands.TruncateItem) == []
    assert [command.item_id for command in scene.to_upstream(commands.DeleteItem)] == [item, unheard]
    assert scene.last(commands.CreateAssistantItem).text == "one two three"


def test_a_next_model_that_gives_the_same_ids_is_truncated_like_any_other() -> None:
    scene = Scene()
    scene.ask("how warm must chicks live")
    response, item = answer(scene, "one two", 1000)
    scene.wait(3)
    scene.done(response)
    lose_and_recover(scene)
    scene.ask("and for ducks in the winter")
    response, _ = scene.begin_response()
    scene.audio(response, item, 4000)
    scene.wait(1)
    scene.speak("stop")
    scene.done(response, "cancelled")
    assert [command.item_id for command in scene.to_upstream(commands.TruncateItem)] == [item]


def test_speech_without_words_that_had_ended_when_the_model_was_lost_is_asked_for_again() -> None:
    scene = Scene()
    scene.speak()
    lose_and_recover(scene)
    scene.wait(2.9)
    assert scene.errors() == []
    scene.wait(0.2)
    assert scene.errors() == ["answer_failed"]


def test_speech_that_had_ended_when_the_model_was_lost_is_asked_with_the_known_words_F68() -> None:
    scene = Scene()
    item = scene.speak("how warm must chicks live")
    told = lose_and_recover(scene)
    assert told == []
    scene.wait(1.0 + Policy().wait_seconds_max)
    assert scene.errors() == []
    assert words([sent.command for sent in scene.of(commands.SendToUpstream)]) == [
        ("user", item, "how warm must chicks live")
    ]
    assert scene.upstream_log()[-1] == "CreateResponse"
    response, _ = scene.begin_response(audio_ms=500)
    scene.done(response)
    scene.wait(2)
    assert [(record.status, record.said) for record in scene.records()] == [
        ("joined", "how warm must chicks live"),
        ("completed", "how warm must chicks live"),
    ]
    assert next(said.text for said in scene.conversation.history) == "how warm must chicks live"


def test_known_words_are_asked_by_the_upstream_after_next_if_the_next_one_is_lost_too_F68() -> None:
    scene = Scene()
    item = scene.speak("how warm must chicks live")
    scene.feed(events.UpstreamLost())
    scene.feed(events.UpstreamReady())
    scene.feed(events.UpstreamLost())
    scene.wait(5)
    assert scene.upstream_log() == []
    scene.feed(events.UpstreamReady())
    scene.wait(1)
    assert words([sent.command for sent in scene.of(commands.SendToUpstream)]) == [
        ("user", item, "how warm must chicks live")
    ]
    assert scene.upstream_log()[-1] == "CreateResponse"


def test_of_a_question_in_two_parts_the_first_is_told_and_the_second_heard_again_F68() -> None:
    scene = Scene()
    first = scene.speak("how warm must chicks live")
    scene.commit(first)
    scene.wait(0.1)
    scene.speak("in a cold winter")
    told = lose_and_recover(scene, after=0.5)
    assert words(told) == [("user", first, "how warm must chicks live")]
    second = scene.speak("in a cold winter")
    scene.commit(second)
    scene.wait(1)
    response, _ = scene.begin_response(audio_ms=500)
    scene.done(response)
    scene.wait(2)
    assert scene.records()[-1].said == "how warm must chicks live in a cold winter"


@pytest.mark.parametrize("again", ["how warm must chicks live", "how warm must chicks live in winter"])
def test_words_that_the_next_upstream_hears_again_are_asked_once_F68(again: str) -> None:
    """The sound since the speech began may be kept, and sent to the next upstream."""
    scene = Scene()
    scene.speak("how warm must chicks live")
    lose_and_recover(scene, after=0.5)
    scene.wait(0.5)
    second = scene.speak(again)
    scene.commit(second)
    scene.wait(1)
    response, _ = scene.begin_response(audio_ms=500)
    scene.done(response)
    scene.wait(2)
    assert scene.records()[-1].said == again
    assert scene.upstream_log()[-1] == "CreateResponse"


def test_speech_that_goes_on_after_the_loss_is_not_complained_about() -> None:
    scene = Scene()
    scene.speak("how warm must")
    lose_and_recover(scene)
    scene.wait(1)
    scene.speak("chicks live")
    scene.wait(5)
    assert scene.errors() == []


def test_a_pending_settlement_dies_with_its_model_but_is_reported() -> None:
    scene = Scene()
    scene.ask("how warm must chicks live")
    answer(scene, "a long answer", 8000)
    scene.wait(1)
    scene.speak("stop")
    scene.feed(events.UpstreamLost())
    assert [(record.status, record.heard_ms) for record in scene.records()] == [("cancelled", 1000), ("joined", 0)]


def test_a_chosen_speed_is_asked_for_again() -> None:
    scene = Scene()
    scene.feed(events.LanguageDetected("zh"))
    told = lose_and_recover(scene)
    assert [command.speed for command in told if isinstance(command, commands.ChangeSpeed)] == [1.15]


def test_a_resumed_conversation_begins_with_its_history() -> None:
    past = [Said("item_1", "user", "Hello?"), Said("item_2", "assistant", "Hello.")]
    conversation = ManagedConversation(Policy(), history=past)
    issued = conversation.handle(events.UpstreamReady(), 0.0)
    told = [command.command for command in issued if isinstance(command, commands.SendToUpstream)]
    assert words(told) == [("user", "item_1", "Hello?"), ("assistant", "item_2", "Hello.")]
    assert list(conversation.history) == past


@pytest.mark.parametrize(
    ("text", "heard", "received", "part"),
    [
        ("one two three four", 1000, 1000, "one two three four"),
        ("one two three four", 500, 1000, "one two"),
        ("one two three four", 10, 1000, ""),
        ("one two three four", 0, 1000, ""),
        ("育雏温度三十四度", 500, 1000, "育雏温度"),
        ("text only", 0, 0, "text only"),
    ],
)
def test_heard_text_is_cut_where_the_sound_was(text: str, heard: float, received: float, part: str) -> None:
    assert heard_part(text, heard, received) == part


def test_a_question_that_is_part_of_two_turns_is_told_once() -> None:
    scene = Scene()
    first = scene.ask("how warm must chicks live")
    second = scene.speak("in winter")  # before anything of the answer: one question
    response, _ = scene.begin_response()
    scene.done(response, "cancelled")
    scene.commit(second)
    told = lose_and_recover(scene)
    assert words(told) == [("user", first, "how warm must chicks live"), ("user", second, "in winter")]


def test_the_context_never_follows_an_item_that_the_next_model_was_not_told() -> None:
    scene = Scene()
    first = scene.ask("how warm must chicks live")
    scene.commit(scene.speak())  # a cough
    told = lose_and_recover(scene)
    contexts = [command for command in told if isinstance(command, commands.CreateContextItem)]
    assert [context.previous_item_id for context in contexts] in ([first], [])
    assert words(told) == [("user", first, "how warm must chicks live")]
