"""Stories of the passthrough conversation: each function tells one, by its name."""

from __future__ import annotations

from tests.support.conversation_fixture import BROODING
from tests.support.stories import PassthroughStory
from voice_trio.conversation import events
from voice_trio.conversation.passthrough import requests
from voice_trio.conversation.policy import Policy

USAGE = {"input_tokens": 10, "output_tokens": 20}
BY_HAND = requests.TurnPolicyUpdated(automatic=False, interrupts=True, detects_turns=False)
ASKED_FOR = requests.TurnPolicyUpdated(automatic=False, interrupts=True, detects_turns=True)


def sound(story: PassthroughStory, response: str, item: str, text: str, ms: float, *, sent: bool = True) -> None:
    story.feed(events.ResponseTranscriptDelta(response, item, text))
    story.feed(events.ResponseAudioDelta(response, item, "AAAA", ms))
    if sent:
        story.feed(events.AudioSent(item, ms))


def asked(policy: Policy | None = None) -> PassthroughStory:
    story = PassthroughStory(policy)
    story.ask()
    return story


def writes(story: PassthroughStory, item: str, text: str, role: str = "user") -> None:
    body = {"type": "conversation.item.create", "item": {"id": item}}
    story.feed(requests.ItemCreateRequested(body, item_id=item, text=text, role=role, event_id=f"e {item}"))


def a_promised_response_after_its_context() -> PassthroughStory:
    story = PassthroughStory()
    story.speak("how warm must the brooder be in winter", item="u1")
    story.wait(0.3)
    story.found(1, BROODING)
    story.feed(events.SpeechStopped("u1"))
    story.wait(0.5)
    story.feed(events.SpeechCommitted("u1"))
    story.feed(events.TranscriptCompleted("u1", "How warm must the brooder be in winter?", USAGE))
    story.wait(0.3)
    response, item = story.begin_response(audio_ms=1000)
    story.feed(events.OtherUpstreamEvent("response.content_part.added", response))
    story.feed(events.ResponseAudioDone(response, item))
    story.feed(events.ResponseTranscriptDone(response, item, "34"))
    story.feed(events.ResponseDone(response, "completed", usage=USAGE))
    story.feed(events.OtherUpstreamEvent("rate_limits.updated"))
    story.feed(events.OtherUpstreamEvent("response.late", response))
    story.wait(3.0)
    story.feed(events.TranscriptFailed("u1", "code", "message"))
    return story


def a_client_that_commits_and_asks_by_hand() -> PassthroughStory:
    story = PassthroughStory()
    story.feed(BY_HAND)
    story.feed(requests.AudioCommitRequested(event_id="c1"))
    body = {"response": {"instructions": "Be brief."}}
    story.feed(requests.ResponseRequested(body, event_id="r1"))
    story.feed(requests.ResponseRequested(event_id="too many"))
    story.feed(events.SpeechCommitted("u1"))
    story.words("u1", "how warm must the brooder be in winter")
    story.feed(events.TranscriptCompleted("u1", "how warm must the brooder be in winter"))
    story.wait(0.1)
    for search in story.searches():
        story.found(search.search_id, BROODING)
    story.wait(0.2)
    response, _ = story.begin_response(audio_ms=500)
    story.feed(requests.ResponseRequested(event_id="active"))
    story.done(response)
    story.wait(1.0)
    story.feed(requests.AudioCommitRequested(event_id="c2"))
    story.feed(requests.ResponseRequested(event_id="r2"))
    story.feed(events.UpstreamError("input_audio_buffer_commit_empty", "empty", "vt_p4"))
    story.wait(4.0)
    return story


def a_client_that_writes() -> PassthroughStory:
    story = PassthroughStory()
    writes(story, "s1", "Answer in French.", "system")
    writes(story, "u1", "How warm must the brooder be?")
    writes(story, "u2", "In winter, for ducks and for geese.")
    writes(story, "u3", "  ")
    story.feed(requests.ItemCreateRequested({"type": "conversation.item.create"}, text="Please answer.", role="user"))
    story.feed(requests.ResponseRequested({"metadata": {"topic": "ducks"}}, event_id="r1"))
    story.found(1, BROODING)
    story.wait(0.3)
    response, _ = story.begin_response(audio_ms=300)
    story.done(response)
    story.wait(1.0)
    writes(story, "u4", "forgotten")
    writes(story, "a1", "Earlier answer.", "assistant")
    story.feed(requests.ResponseRequested(event_id="r2"))
    response, _ = story.begin_response(audio_ms=300)
    story.done(response)
    story.wait(1.0)
    for number in range(10):
        writes(story, f"w{number}", f"word{number}")
    story.feed(requests.ResponseRequested())
    story.wait(1.0)
    return story


def speech_over_a_response_and_the_clients_own_truncation() -> PassthroughStory:
    story = asked()
    response, first = story.begin_response(audio_ms=1000)
    sound(story, response, "second", " two", 2000)
    sound(story, response, "third", " three", 500)
    story.wait(1.5)
    story.speak("and the ducks", item="u2")
    story.feed(events.ResponseAudioDelta(response, "third", "AAAA", 250.0))
    story.feed(events.ResponseTranscriptDelta(response, "third", " unheard"))
    story.feed(requests.ItemTruncateRequested("second", 0, 480, event_id="t1"))
    story.feed(requests.ItemTruncateRequested("second", 0, 400, event_id="t2"))
    story.feed(requests.ItemTruncateRequested("unknown", 1, 9000, event_id="t3"))
    story.feed(events.ItemTruncated("second"))
    story.done(response, "cancelled", reason="turn_detected")
    story.wait(0.5)
    story.commit("u2")
    story.feed(events.ItemDeleted("third"))
    story.feed(events.ItemDeleted("third"))
    story.feed(events.ItemTruncated(first))
    story.feed(requests.ItemRetrieveRequested("third", event_id="i1"))
    story.feed(requests.ItemRetrieveRequested("second", event_id="i2"))
    story.feed(requests.ItemDeleteRequested("third", event_id="d1"))
    story.feed(requests.ItemDeleteRequested("second", event_id="d2"))
    story.feed(requests.ItemTruncateRequested("third", 0, 10, event_id="t4"))
    created = {"type": "conversation.item.create", "previous_item_id": "third"}
    story.feed(requests.ItemCreateRequested(created, item_id="n1", text="new", role="user"))
    story.wait(0.3)
    response, _ = story.begin_response(audio_ms=100)
    story.done(response)
    body = {"input": [{"type": "item_reference", "id": "third"}, {"id": "second"}], "previous_item_id": "second"}
    story.feed(requests.ResponseRequested(body, out_of_band=True))
    story.wait(2.0)
    return story


def speech_over_a_response_that_nobody_truncates() -> PassthroughStory:
    story = asked()
    response, _ = story.begin_response(audio_ms=1000)
    sound(story, response, "second", " two", 2000)
    sound(story, response, "third", " three", 500)
    story.wait(1.5)
    story.speak("and the ducks", item="u2")
    story.wait(0.2)
    story.commit("u2")
    story.done(response, "cancelled", reason="turn_detected")
    story.feed(events.ItemTruncated("second"))
    story.feed(events.ItemTruncated("second"))
    story.feed(requests.ItemTruncateRequested("second", 0, 700, event_id="late"))
    story.wait(1.0)
    return story


def speech_that_does_not_interrupt() -> PassthroughStory:
    story = PassthroughStory()
    story.feed(requests.TurnPolicyUpdated(automatic=True, interrupts=False, detects_turns=True))
    story.ask()
    response, _ = story.begin_response(audio_ms=2000)
    story.wait(0.5)
    story.speak("and the ducks in the summer please", item="u2")
    story.commit("u2")
    story.wait(0.5)
    story.feed(requests.ResponseCancelRequested(event_id="c1"))
    story.done(response, "cancelled", reason="client_cancelled")
    story.wait(1.0)
    return story


def cancels_of_every_kind() -> PassthroughStory:
    story = PassthroughStory()
    story.feed(requests.ResponseCancelRequested(event_id="nothing"))
    story.feed(requests.ResponseCancelRequested("unknown", event_id="by id"))
    story.feed(ASKED_FOR)
    writes(story, "u1", "How warm must the brooder be?")
    story.feed(requests.ResponseRequested({"metadata": {"a": "b"}}, event_id="r1"))
    story.feed(requests.ResponseCancelRequested(event_id="held"))
    response, _ = story.begin_response()
    story.done(response, "cancelled", reason="client_cancelled")
    story.feed(requests.ResponseRequested(event_id="r2"))
    response, _ = story.begin_response(audio_ms=2000)
    story.wait(0.5)
    story.feed(requests.ResponseCancelRequested("another", event_id="other"))
    story.feed(requests.ResponseCancelRequested(response, event_id="this"))
    story.feed(requests.ResponseRequested({"metadata": {"c": "d"}}, event_id="r3"))
    story.feed(requests.ResponseCancelRequested(event_id="held, and the slot is busy"))
    story.done(response, "cancelled", reason="client_cancelled")
    story.feed(requests.TurnPolicyUpdated(automatic=True, interrupts=True, detects_turns=True))
    story.speak("how warm must it be in winter", item="u2")
    story.commit("u2")
    story.feed(requests.ResponseCancelRequested(event_id="due"))
    story.wait(1.0)
    story.feed(requests.ResponseRequested(event_id="r4"))
    story.feed(requests.ResponseCancelRequested(event_id="not created"))
    story.begin_response()
    story.wait(20.0)
    return story


def responses_out_of_band() -> PassthroughStory:
    story = PassthroughStory()
    aside = {"conversation": "none"}
    for number in range(5):
        story.feed(requests.ResponseRequested(aside, out_of_band=True, event_id=f"o{number}"))
    tags = [create.event_id for create in story.creates()]
    story.feed(events.ResponseCreated("o1", {"vt": tags[0]}))
    story.feed(events.ResponseCreated("o1", {"vt": tags[0]}))
    story.feed(events.OutputItemAdded("o1", "x"))
    story.feed(events.ResponseAudioDelta("o1", "x", "AAAA", 100.0, wire="{}"))
    story.feed(events.ResponseTranscriptDelta("o1", "x", "words"))
    story.feed(events.FunctionCalled("o1", "x", "c", "f", "{}"))
    story.feed(events.ResponseDone("o1", "completed", usage=USAGE))
    story.feed(events.UpstreamError("invalid_value", "bad", tags[1]))
    story.feed(events.ResponseDenied(tags[2]))
    story.feed(events.ResponseCreated("o4", {"vt": tags[3]}))
    story.wait(5.0)
    story.feed(events.OtherUpstreamEvent("response.output_text.delta", "o4"))
    story.wait(20.0)
    story.feed(events.ResponseTranscriptDelta("o4", "x", "words"))
    story.wait(40.0)
    story.feed(events.ResponseTranscriptDelta("o4", "x", "late"))
    story.feed(events.OtherUpstreamEvent("response.output_text.delta", "o4"))
    story.feed(requests.ResponseRequested(aside, out_of_band=True, event_id="never created"))
    story.wait(31.0)
    story.feed(requests.ResponseRequested(aside, out_of_band=True, event_id="lost"))
    story.feed(events.ResponseCreated("o6", {"vt": story.creates()[-1].event_id}))
    story.feed(events.UpstreamLost())
    return story


def requests_without_room_for_a_tag() -> PassthroughStory:
    story = PassthroughStory()
    full = {"metadata": {f"k{number}": "v" for number in range(16)}}
    story.feed(requests.ResponseRequested(full, event_id="r1"))
    story.feed(requests.ResponseRequested({**full, "conversation": "none"}, out_of_band=True, event_id="o1"))
    story.feed(events.ResponseCreated("a", {}))
    story.feed(events.ResponseCreated("b", {}))
    sound(story, "a", "x", "one", 500)
    sound(story, "b", "y", "two", 500)
    story.done("a")
    story.done("b")
    story.feed(requests.ResponseRequested(full, event_id="r2"))
    story.feed(events.UpstreamError("invalid_value", "bad", story.creates()[-1].event_id))
    story.wait(1.0)
    return story


def a_response_of_the_upstreams_own_beside_one_that_is_asked_for() -> PassthroughStory:
    story = asked()
    story.feed(events.ResponseCreated("own", {"vt": "another"}))
    sound(story, "own", "x", "hello", 500)
    story.feed(events.FunctionCalled("own", "x", "c", "f", "{}"))
    response, _ = story.begin_response(audio_ms=100)
    story.done("own", "cancelled")
    story.done(response)
    story.wait(1.0)
    story.feed(events.ResponseCreated("own 2"))
    story.feed(requests.ResponseRequested(event_id="r1"))
    story.wait(10.0)
    return story


def functions_whose_outputs_the_client_writes() -> PassthroughStory:
    story = asked()
    response, _ = story.begin_response(audio_ms=200)
    story.feed(events.FunctionCalled(response, "fc", "c1", "weather", "{}"))
    story.done(response)
    story.wait(1.0)
    story.feed(requests.ItemCreateRequested({"type": "conversation.item.create"}, item_id="f1"))
    story.feed(requests.ResponseRequested(event_id="r1"))
    response, _ = story.begin_response(audio_ms=200)
    story.done(response)
    story.wait(1.0)
    story.feed(requests.ResponseRequested(event_id="r2"))
    response, _ = story.begin_response(audio_ms=200)
    story.feed(events.Interrupt())
    story.done(response, "cancelled")
    return story


def errors_of_every_kind() -> PassthroughStory:
    story = asked()
    response, _ = story.begin_response(audio_ms=500)
    story.feed(requests.ForwardedEvent({"type": "session.update"}, event_id="s1"))
    story.feed(events.UpstreamError("invalid_value", "no", "vt_p4", "session"))
    story.feed(events.UpstreamError("invalid_value", "no", "vt_p4"))
    story.feed(requests.ForwardedEvent({"type": "response.cancel"}, event_id="s2"))
    story.feed(events.UpstreamError("", "no active response found"))
    story.feed(events.UpstreamError("", "no active response found"))
    story.feed(events.UpstreamError("server_error", "internal"))
    story.feed(events.UpstreamError("invalid_value", "ours", "vt_x2"))
    story.feed(events.UpstreamError("session_expired", "60 minutes"))
    story.feed(events.UpstreamError("invalid_api_key", "no"))
    story.done(response, "failed", error_code="insufficient_quota")
    story.wait(1.0)
    return story


def promised_responses_that_are_refused_denied_or_never_begin() -> PassthroughStory:
    story = asked()
    for _ in range(4):
        story.feed(
            events.UpstreamError("conversation_already_has_active_response", "busy", story.creates()[-1].event_id)
        )
        story.wait(7.0)
    story.ask("and how warm in the second week")
    story.feed(events.ResponseDenied("unknown"))
    story.feed(events.ResponseDenied(story.creates()[-1].event_id))
    story.ask("and how warm in the third week")
    story.wait(31.0)
    story.feed(events.ResponseCreated("late", {"vt": story.creates()[-1].event_id}))
    story.done("late", "cancelled")
    story.feed(requests.ResponseRequested(event_id="mine"))
    story.feed(events.UpstreamError("conversation_already_has_active_response", "busy", story.creates()[-1].event_id))
    story.wait(1.0)
    return story


def responses_that_stall_and_interrupted_ones_that_are_never_done() -> PassthroughStory:
    story = asked()
    response, item = story.begin_response(audio_ms=500)
    story.wait(10.0)
    story.feed(events.OtherUpstreamEvent("response.output_text.delta", response))
    story.wait(32.0)
    story.feed(events.ResponseTranscriptDelta(response, item, "late"))
    story.done(response)
    story.feed(requests.ResponseRequested(event_id="r1"))
    response, item = story.begin_response(audio_ms=5000)
    story.wait(1.0)
    story.speak("and how warm in the second week", item="u2")
    story.commit("u2")
    story.wait(20.0)
    return story


def what_is_cleared_and_what_comes_late() -> PassthroughStory:
    story = PassthroughStory()
    story.speak("never mind", item="u1")
    story.feed(events.AudioCleared())
    story.feed(events.TranscriptDelta("u1", "late"))
    story.feed(BY_HAND)
    story.words("u2", "how warm")
    story.feed(events.AudioCleared())
    story.words("u2", "late")
    story.words("u3", "must it be")
    story.feed(requests.AudioCommitRequested())
    story.feed(events.SpeechCommitted("u3"))
    story.feed(events.SpeechCommitted("u3"))
    story.wait(0.3)
    story.feed(requests.ResponseRequested())
    story.begin_response(audio_ms=300)
    story.feed(events.WaitOver(9))
    story.feed(events.ResponseSilent("x"))
    story.feed(events.PlaybackCheck(9))
    story.feed(events.ResponseDone("", "completed"))
    story.wait(1.0)
    return story


def an_upstream_that_is_lost() -> PassthroughStory:
    story = asked()
    response, item = story.begin_response()
    sound(story, response, item, "one two three four", 2000)
    story.wait(0.5)
    story.feed(events.UpstreamLost())
    story.feed(events.UpstreamReady())
    story.wait(1.0)
    return story


def turns_without_any_wait_for_context() -> PassthroughStory:
    story = PassthroughStory(Policy(wait_seconds_max=0.0))
    story.speak("how warm must it be in winter", item="u1")
    story.commit("u1")
    response, _ = story.begin_response()
    story.speak("please", item="u2")
    story.done(response, "cancelled", reason="turn_detected")
    story.commit("u2")
    story.wait(1.0)
    return story
