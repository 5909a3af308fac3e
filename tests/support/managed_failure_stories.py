"""Stories of the managed conversation when something goes wrong: each function tells one, by its name."""

from __future__ import annotations

from tests.support.conversation_fixture import BROODING
from tests.support.managed_stories import asked, commits, sound, speaks
from tests.support.stories import ManagedStory
from voice_trio.conversation import commands, events
from voice_trio.conversation.policy import ALREADY_ACTIVE


def responses_that_fail_or_are_cut_short() -> ManagedStory:
    story = asked()
    for status, reason, code in (
        ("failed", "", "server_error"),
        ("incomplete", "content_filter", ""),
        ("cancelled", "turn_detected", ""),
        ("failed", "", "insufficient_quota"),
    ):
        response, _ = story.begin_response(audio_ms=300)
        story.done(response, status, reason=reason, error_code=code)
        story.wait(1.0)
        story.ask("how warm")
    return story


def a_response_that_is_not_created_and_comes_late() -> ManagedStory:
    story = asked()
    tag = dict(story.creates()[-1].metadata)
    story.wait(31.0)
    story.feed(events.ResponseCreated("late", tag))
    story.feed(events.ResponseAudioDelta("late", "x", "AAAA", 100.0))
    story.ask("and how warm in the second week")
    story.wait(1.0)
    story.done("late", "cancelled")
    story.begin_response()
    story.wait(1.0)
    return story


def a_response_of_the_upstreams_own_that_never_ends() -> ManagedStory:
    story = ManagedStory()
    story.feed(events.ResponseCreated("own", {"vt": "unknown"}))
    story.feed(events.ResponseTranscriptDelta("own", "x", "hello"))
    story.ask()
    story.wait(8.0)
    response, _ = story.begin_response(audio_ms=100, metadata=False)
    story.feed(events.ResponseCreated(response))
    story.feed(events.ResponseCreated("another"))
    story.done(response)
    story.done("another", "cancelled")
    story.wait(1.0)
    return story


def an_interrupted_response_that_is_never_done() -> ManagedStory:
    story = asked()
    response, item = story.begin_response(audio_ms=1000)
    story.wait(0.5)
    item = story.speak("and in the second week then please")
    story.commit(item)
    story.wait(20.0)
    story.done(response, "cancelled")
    story.wait(20.0)
    return story


def a_response_that_stalls_and_one_that_is_silent() -> ManagedStory:
    story = asked()
    response, item = story.begin_response(audio_ms=300)
    story.wait(5.0)
    story.feed(events.OtherUpstreamEvent("response.function_call_arguments.delta", response))
    story.feed(events.OtherUpstreamEvent("rate_limits.updated"))
    story.wait(40.0)
    story.feed(events.ResponseAudioDelta(response, item, "AAAA", 100.0))
    story.done(response)
    story.wait(1.0)
    return story


def refusals_because_another_response_is_active() -> ManagedStory:
    story = asked()
    for _ in range(4):
        refused = story.creates()[-1]
        story.feed(events.UpstreamError("conversation_already_has_active_response", "busy", refused.event_id))
        story.wait(7.0)
    story.ask("and how warm in the second week")
    refused = story.creates()[-1]
    story.feed(events.UpstreamError("", "Conversation already has an active response in progress"))
    story.done("unknown")
    story.feed(events.UpstreamError("invalid_value", "bad", story.creates()[-1].event_id))
    story.wait(1.0)
    return story


def errors_of_every_kind() -> ManagedStory:
    story = asked()
    story.begin_response(audio_ms=2000)
    story.wait(0.5)
    story.feed(events.Interrupt())
    cancel = story.to_upstream(commands.CancelResponse)[-1]
    story.feed(events.UpstreamError("response_cancel_not_active", "", cancel.event_id))
    story.wait(1.0)
    story.feed(events.UpstreamError("", "Audio content of 400ms is already shorter than 500ms"))
    story.feed(events.UpstreamError("", "no active response found"))
    story.feed(events.UpstreamError("server_error", "internal"))
    story.feed(events.UpstreamError("invalid_value", "ours", "vt_unknown"))
    story.feed(events.UpstreamError("", "", None))
    story.feed(events.UpstreamError("session_expired", "60 minutes"))
    story.feed(events.UpstreamError("invalid_api_key", "no"))
    story.ask("and how warm in the second week")
    story.feed(events.ResponseDenied("unknown"))
    story.feed(events.ResponseDenied(story.creates()[-1].event_id))
    story.wait(1.0)
    return story


def an_upstream_that_is_lost_while_the_user_speaks() -> ManagedStory:
    story = ManagedStory()
    speaks(story, "u1", "how", "warm", "must")
    story.feed(events.UpstreamLost())
    story.wait(1.0)
    story.feed(events.UpstreamReady())
    story.wait(0.5)
    speaks(story, "v1", "how", "warm", "must", "it", "be")
    commits(story, "v1")
    story.wait(0.3)
    response, _ = story.begin_response(audio_ms=200)
    story.done(response)
    story.wait(1.0)
    speaks(story, "v2", "and", "ducks")
    story.feed(events.UpstreamLost())
    story.wait(1.0)
    story.feed(events.UpstreamReady())
    story.wait(3.0)
    response, _ = story.begin_response(audio_ms=200)
    story.done(response)
    story.wait(1.0)
    story.feed(events.SpeechStarted("v3"))
    story.feed(events.UpstreamLost())
    story.feed(events.UpstreamReady())
    story.wait(5.0)
    return story


def an_upstream_that_is_lost_before_its_answer_is_heard() -> ManagedStory:
    story = ManagedStory()
    speaks(story, "u1", "how", "warm", "must", "the", "brooder", "be")
    commits(story, "u1", 0.1)
    story.feed(events.UpstreamLost())
    story.found(1, BROODING)
    story.wait(1.0)
    story.feed(events.TextInput("and ducks"))
    story.wait(1.0)
    story.feed(events.UpstreamReady())
    story.begin_response()
    story.feed(events.UpstreamLost())
    story.wait(1.0)
    story.feed(events.UpstreamReady())
    response, _ = story.begin_response(audio_ms=100)
    story.done(response)
    story.wait(1.0)
    speaks(story, "u2")
    commits(story, "u2", 0.1)
    story.feed(events.UpstreamLost())
    story.feed(events.UpstreamReady())
    story.wait(1.0)
    return story


def an_upstream_that_is_lost_again_and_again_in_its_answer() -> ManagedStory:
    story = asked()
    for number in range(4):
        response, item = story.begin_response()
        sound(story, response, item, f" part {number} of a long answer, with more words than sound", 1000)
        story.wait(0.6)
        story.feed(events.UpstreamLost())
        story.wait(1.0)
        story.feed(events.UpstreamReady())
        if not story.conversation.is_answering(story.now):
            break
    story.wait(3.0)
    return story


def an_upstream_that_is_lost_and_an_answer_that_is_interrupted_then() -> ManagedStory:
    story = asked()
    response, item = story.begin_response()
    sound(story, response, item, "one two three four five six seven eight", 4000)
    story.done(response)
    story.feed(events.UpstreamLost())
    story.feed(events.UpstreamReady())
    story.wait(2.0)
    item = story.speak("and in the second week then please")
    story.commit(item)
    story.wait(0.3)
    response, item = story.begin_response()
    sound(story, response, item, "nine ten eleven twelve", 4000)
    story.wait(1.0)
    story.feed(events.Interrupt())
    story.feed(events.UpstreamLost())
    story.wait(1.0)
    story.feed(events.UpstreamReady())
    story.wait(1.0)
    return story


def refusals_by_the_next_upstream_too() -> ManagedStory:
    story = asked()
    for _ in range(2):
        story.feed(events.UpstreamError(ALREADY_ACTIVE, "busy", story.creates()[-1].event_id))
        story.done("unknown")
    story.feed(events.UpstreamLost())
    story.feed(events.UpstreamReady())
    for _ in range(3):
        story.feed(events.UpstreamError(ALREADY_ACTIVE, "busy", story.creates()[-1].event_id))
        story.done("unknown")
    story.wait(1.0)
    return story
