"""Stories of the managed conversation: each function tells one, by its name."""

from __future__ import annotations

from tests.support.conversation_fixture import BROODING, LAYERS
from tests.support.stories import ManagedStory
from voice_trio.conversation import events
from voice_trio.conversation.policy import TOOL_ROUNDS_MAX, Policy
from voice_trio.conversation.retrieval.passage import Passage

USAGE = {"input_tokens": 10, "output_tokens": 20}


def speaks(story: ManagedStory, item: str, *words: str, every: float = 0.3) -> None:
    """The user speaks slowly."""
    story.feed(events.SpeechStarted(item))
    for word in words:
        story.wait(every)
        story.feed(events.TranscriptDelta(item, f" {word}"))


def commits(story: ManagedStory, item: str, silence: float = 0.5) -> None:
    story.feed(events.SpeechStopped(item))
    story.wait(silence)
    story.feed(events.SpeechCommitted(item))


def sound(story: ManagedStory, response: str, item: str, text: str, ms: float, *, sent: bool = True) -> None:
    story.feed(events.ResponseTranscriptDelta(response, item, text))
    story.feed(events.ResponseAudioDelta(response, item, "AAAA", ms))
    if sent:
        story.feed(events.AudioSent(item, ms))


def asked(policy: Policy | None = None, *, text: str = "how warm must chicks be kept at first") -> ManagedStory:
    story = ManagedStory(policy)
    story.ask(text)
    return story


def a_question_with_its_context_and_its_response() -> ManagedStory:
    story = ManagedStory()
    speaks(story, "u1", "how", "warm", "must", "the", "brooder", "be", "in", "the", "first", "week")
    story.feed(events.SearchFailed(1))
    story.wait(0.2)
    story.found(2, BROODING, LAYERS)
    commits(story, "u1")
    story.wait(0.1)
    story.found(3, LAYERS)
    story.feed(events.TranscriptCompleted("u1", "How warm must the brooder be in the first week?", USAGE))
    story.wait(0.3)
    story.feed(events.OtherUpstreamEvent("rate_limits.updated"))
    response, item = story.begin_response()
    sound(story, response, item, "Thirty-four degrees", 800)
    story.feed(events.OutputItemAdded(response, "second"))
    story.feed(events.OutputItemAdded(response, "call", "function_call"))
    story.wait(0.4)
    sound(story, response, "second", " in the first week.", 1200, sent=False)
    story.feed(events.ResponseAudioDone(response, item))
    story.feed(events.ResponseTranscriptDone(response, item, "Thirty-four degrees"))
    story.feed(events.ResponseDone(response, "completed", usage=USAGE))
    story.wait(0.2)
    story.feed(events.AudioSent("second", 1200))
    story.wait(5.0)
    story.feed(events.ResponseDone(response, "completed", usage=USAGE))
    return story


def a_question_without_anything_found_and_one_without_words() -> ManagedStory:
    story = ManagedStory()
    speaks(story, "u1", "one", "two", "three", "four", "five", "six")
    story.found(1)
    commits(story, "u1")
    story.wait(0.25)
    response, _ = story.begin_response(audio_ms=300)
    story.done(response)
    story.wait(1.0)
    speaks(story, "u2")
    commits(story, "u2")
    story.feed(events.TranscriptFailed("u2", "audio_unintelligible", "noise"))
    story.wait(0.1)
    response, _ = story.begin_response(audio_ms=300)
    story.done(response)
    story.wait(1.0)
    return story


def speech_over_a_response_whose_client_reports_nothing() -> ManagedStory:
    story = asked()
    response, _ = story.begin_response(audio_ms=2000)
    story.feed(events.OutputItemAdded(response, "second"))
    sound(story, response, "second", " more", 2000)
    sound(story, response, "second", " unsent", 1000, sent=False)
    story.wait(2.5)
    speaks(story, "u2", "and", "what", "of", "the", "ducks", "then")
    story.feed(events.ResponseAudioDelta(response, "second", "AAAA", 500.0))
    story.feed(events.ResponseTranscriptDelta(response, "second", " unheard"))
    story.feed(events.OutputItemAdded(response, "third"))
    story.feed(events.ResponseAudioDelta(response, "third", "AAAA", 250.0))
    story.feed(events.ResponseAudioDone(response, "second"))
    story.feed(events.FunctionCalled(response, "fc", "late call", "weather", "{}"))
    story.wait(0.1)
    story.done(response, "cancelled", reason="turn_detected")
    commits(story, "u2")
    story.wait(0.3)
    speaks(story, "u3", "please")
    story.begin_response(audio_ms=500)
    commits(story, "u3")
    story.wait(4.0)
    return story


def speech_over_a_response_whose_client_reports_its_position() -> ManagedStory:
    story = asked()
    response, item = story.begin_response(audio_ms=3000)
    story.wait(1.0)
    story.feed(events.PlaybackPosition(item, 800.0))
    story.feed(events.PlaybackPosition("unknown", 100.0))
    story.wait(0.5)
    speaks(story, "u2", "stop")
    story.wait(0.1)
    story.feed(events.PlaybackPosition(item, 1250.0, flushed=True))
    story.done(response, "cancelled", reason="turn_detected")
    commits(story, "u2")
    story.wait(0.3)
    response, item = story.begin_response(audio_ms=3000)
    story.wait(0.4)
    story.feed(events.PlaybackPosition(item, 350.0))
    story.wait(0.5)
    speaks(story, "u3")
    story.done(response, "cancelled", reason="turn_detected")
    story.wait(1.0)
    story.feed(events.PlaybackPosition(item, 700.0, flushed=True))
    return story


def an_interruption_by_the_client_in_the_second_of_three_items() -> ManagedStory:
    story = asked()
    response, _ = story.begin_response(audio_ms=1000)
    sound(story, response, "second", " two", 1000)
    sound(story, response, "third", " three", 1000)
    story.wait(1.2)
    story.feed(events.Interrupt("second", 150.0))
    story.feed(events.Interrupt())
    story.done(response, "cancelled", reason="client_cancelled")
    story.wait(5.0)
    story.ask("and how warm in the second week")
    story.wait(0.2)
    story.feed(events.Interrupt())
    story.begin_response(audio_ms=100)
    story.wait(7.0)
    return story


def an_interruption_before_anything_is_asked_or_heard() -> ManagedStory:
    story = ManagedStory()
    story.feed(events.Interrupt())
    speaks(story, "u1", "how", "warm")
    story.feed(events.Interrupt("x", 1.0))
    commits(story, "u1", 0.1)
    story.feed(events.Interrupt())
    story.wait(1.0)
    return story


def typed_questions_alone_and_into_open_speech() -> ManagedStory:
    story = ManagedStory()
    story.feed(events.TextInput("How warm must the brooder be?"))
    story.found(1, BROODING)
    story.wait(0.25)
    response, _ = story.begin_response(audio_ms=1000)
    story.wait(0.3)
    story.feed(events.TextInput("And for ducks?"))
    story.done(response, "cancelled", reason="client_cancelled")
    story.wait(0.25)
    response, _ = story.begin_response(audio_ms=200)
    story.done(response)
    story.wait(1.0)
    speaks(story, "u1", "I", "mean")
    story.feed(events.TextInput("geese"))
    story.wait(0.3)
    story.feed(events.SpeechCommitted("u1"))
    story.feed(events.SpeechCommitted("u1"))
    story.wait(0.3)
    response, _ = story.begin_response()
    story.feed(events.UpstreamError("invalid_value", "no such text", "vt_e2"))
    story.done(response)
    story.wait(1.0)
    return story


def a_question_that_goes_on_before_its_response_is_heard() -> ManagedStory:
    story = ManagedStory()
    speaks(story, "u1", "how", "warm", "must", "chicks", "be", "kept")
    commits(story, "u1", 0.2)
    story.wait(0.1)
    speaks(story, "u2", "in", "winter", "then")
    story.found(1, LAYERS)
    commits(story, "u2", 0.2)
    story.found(2, BROODING)
    story.wait(0.3)
    response, _ = story.begin_response()
    speaks(story, "u3", "outside")
    story.done(response, "cancelled", reason="turn_detected")
    commits(story, "u3", 0.2)
    story.feed(events.TranscriptCompleted("u1", "How warm must chicks be kept", None))
    story.wait(0.5)
    response, _ = story.begin_response(audio_ms=100)
    story.done(response)
    story.wait(1.0)
    return story


def functions_that_are_called_and_interrupted() -> ManagedStory:
    story = asked()
    response, _ = story.begin_response(audio_ms=200)
    story.feed(events.FunctionCalled(response, "fc1", "c1", "weather", '{"at":1}'))
    story.feed(events.FunctionCalled(response, "fc2", "c2", "clock", "{}"))
    story.feed(events.ToolFinished("c2", '"noon"'))
    story.done(response)
    story.wait(9.0)
    story.feed(events.ToolFinished("unknown", "x"))
    story.feed(events.ToolFinished("c1", '"rain"'))
    response, _ = story.begin_response()
    story.feed(events.FunctionCalled(response, "fc3", "c3", "weather", "{}"))
    story.feed(events.FunctionCalled(response, "fc4", "c4", "weather", "{}"))
    story.feed(events.ToolFinished("c4", '"snow"'))
    story.done(response)
    story.wait(1.0)
    speaks(story, "u2", "never", "mind")
    story.feed(events.ToolFinished("c3", "late"))
    story.wait(1.0)
    return story


def functions_in_more_rounds_than_are_allowed() -> ManagedStory:
    story = asked()
    for call in range(TOOL_ROUNDS_MAX + 1):
        response, _ = story.begin_response()
        story.feed(events.FunctionCalled(response, f"fc{call}", f"c{call}", "weather", "{}"))
        story.feed(events.ToolFinished(f"c{call}", f"{call}"))
        story.done(response)
    response, _ = story.begin_response()
    story.feed(events.FunctionCalled(response, "fc", "c", "weather", "{}"))
    story.done(response, "incomplete", reason="max_output_tokens")
    story.wait(2.0)
    return story


def languages_and_the_speed_of_speech() -> ManagedStory:
    story = ManagedStory()
    story.feed(events.LanguageDetected("zh_CN"))
    story.feed(events.LanguageDetected("en"))
    story.feed(events.LanguageDetected("ZH-hant"))
    story.ask()
    story.feed(events.LanguageDetected("de"))
    response, _ = story.begin_response(audio_ms=100)
    story.done(response)
    story.wait(1.0)
    return story


def contexts_that_become_too_many() -> ManagedStory:
    story = ManagedStory(Policy(context_tokens_max=40, speed=1.2))
    story.feed(events.LanguageDetected("zh"))
    for number in range(6):
        item = story.speak(f"how warm in week {number}")
        for search in list(story.searches())[-1:]:
            story.found(search.search_id, Passage("p", "Brooding", f"{number} word " * 14, "handbook"))
        story.commit(item)
        story.wait(0.25)
        response, _ = story.begin_response(audio_ms=100)
        story.done(response)
        story.wait(1.0)
    return story


def passages_that_are_cached() -> ManagedStory:
    story = ManagedStory(Policy(passage_cache=True))
    known: set[int] = set()
    for words in ("how warm must the brooder", "be in winter", "for the young ducks", "and geese"):
        item = story.speak(item="u1") if not known else "u1"
        story.words(item, words)
        for search in [search for search in story.searches() if search.search_id not in known]:
            known.add(search.search_id)
            story.wait(0.005 if search.local else 0.3)
            story.found(search.search_id, *((BROODING, LAYERS) if search.local or len(known) < 4 else (LAYERS,)))
    commits(story, "u1", 0.1)
    story.wait(0.3)
    response, _ = story.begin_response(audio_ms=100)
    story.done(response)
    story.wait(1.0)
    return story


def events_that_come_twice_or_belong_to_nothing() -> ManagedStory:
    story = asked()
    story.begin_response(audio_ms=400)
    story.feed(events.SpeechCommitted("item_1"))
    story.feed(events.ResponseAudioDelta("unknown", "x", "AAAA", 100.0))
    story.feed(events.AudioSent("unknown", 100.0))
    story.feed(events.OutputItemAdded("unknown", "x"))
    story.feed(events.ResponseTranscriptDone("unknown", "x", "text"))
    story.feed(events.FunctionCalled("unknown", "x", "c", "f", "{}"))
    story.feed(events.ItemTruncated("x"))
    story.feed(events.ItemDeleted("x"))
    story.feed(events.AudioCleared())
    story.feed(events.TranscriptDelta("unknown", "words"))
    story.feed(events.SearchFinished(99, (BROODING,)))
    story.feed(events.SpeechStopped("unknown"))
    story.feed(events.WaitOver(1))
    story.feed(events.PositionOverdue(9))
    story.feed(events.PlaybackCheck(9))
    story.feed(events.PlaybackCheck(1))
    story.feed(events.SpeechOverdue(1))
    story.feed(events.CommitOverdue(1))
    story.feed(events.DoneOverdue("x"))
    story.feed(events.UnsolicitedOverdue("x"))
    story.feed(events.ResponseDone("", "completed"))
    story.wait(1.0)
    story.feed(events.SpeechCommitted("unannounced"))
    story.wait(0.5)
    return story


def a_store_that_answers_at_once() -> ManagedStory:
    story = ManagedStory()
    known = 0
    for turn in range(3):
        item = f"u{turn}"
        story.feed(events.SpeechStarted(item))
        for word in ["how", "warm", "must", "the", "brooder", "be", "in", "winter", "for", "ducks"]:
            story.wait(0.2)
            story.feed(events.TranscriptDelta(item, f" {word}"))
            for search in list(story.searches())[known:]:
                story.wait(0.004)
                known += 1
                story.found(search.search_id, *((BROODING, LAYERS) if turn else (LAYERS,)))
        commits(story, item, 0.1)
        for search in list(story.searches())[known:]:
            story.wait(0.004)
            known += 1
            story.found(search.search_id, LAYERS, BROODING)
        story.wait(0.3)
        response, _ = story.begin_response(audio_ms=100)
        story.done(response)
        story.wait(1.0)
    return story


def a_store_that_is_too_slow_to_be_waited_for() -> ManagedStory:
    story = ManagedStory(Policy(searches_in_flight_max=2, searches_max=3, prefetch_words_min=2))
    known = 0
    for item in ("u1", "u2"):
        speaks(story, item, "how", "warm", "brooder", "winter", "ducks", "geese", "chicks", every=0.3)
        for search in list(story.searches())[known:]:
            known += 1
            if known % 3:
                story.found(search.search_id, BROODING)
            else:
                story.feed(events.SearchFailed(search.search_id))
        story.feed(events.TranscriptDelta(item, " hens please"))
        commits(story, item, 0.1)
        story.feed(events.TranscriptCompleted(item, "how warm brooder winter ducks geese chicks hens please"))
        story.wait(0.5)
        response, _ = story.begin_response(audio_ms=100)
        story.done(response)
        story.wait(1.0)
    return story


def a_follow_up_that_takes_the_topic_of_the_question_before() -> ManagedStory:
    story = ManagedStory()
    for text in ("how warm must the brooder be in winter", "and for the ducks", "", "why?"):
        item = story.speak(text)
        story.commit(item)
        for search in list(story.searches())[-1:]:
            story.found(search.search_id, BROODING)
        story.wait(0.3)
        response, _ = story.begin_response(audio_ms=100)
        story.done(response)
        story.wait(1.0)
    return story
