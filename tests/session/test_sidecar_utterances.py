"""What the sidecar hears and whose words it says, decided without a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from voice_trio import limits
from voice_trio.conversation import commands, events
from voice_trio.protocols.audio import audio_ms, silence
from voice_trio.session.sidecar.utterances import SidecarUtterances

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT, CLEAR = "input_audio_buffer.commit", "input_audio_buffer.clear"


@pytest.fixture
def utterances() -> SidecarUtterances:
    utterances = SidecarUtterances()
    utterances.follow(0.0)
    utterances.connected()
    return utterances


def hear(utterances: SidecarUtterances, duration_ms: int) -> None:
    for _ in range(duration_ms // 20):
        utterances.hear(silence(20), 20.0)


def speak(utterances: SidecarUtterances, item_id: str, duration_ms: int) -> None:
    utterances.admits(events.SpeechStarted(item_id, 10**9))
    hear(utterances, duration_ms)
    utterances.admits(events.SpeechStopped(item_id))
    utterances.admits(events.SpeechCommitted(item_id))


def sent(utterances: SidecarUtterances) -> Iterator[tuple[str, float]]:
    """What goes to the sidecar now: sounds in a row as one, in ms."""
    ms = 0.0
    while (outgoing := utterances.next()) is not None:
        event = msgspec.json.decode(outgoing.text)
        if event["type"] == "input_audio_buffer.append":
            assert outgoing.seconds == audio_ms(event["audio"]) / 1000
            ms += audio_ms(event["audio"])
        else:
            yield "sound", ms
            yield event["type"], 0.0
            ms = 0.0
    if ms:
        yield "sound", ms


def said(utterances: SidecarUtterances, *given: events.UpstreamEvent) -> list[object]:
    return [meaning for event in given for meaning in utterances.interpret(event)]


def delta(item_id: str, words: str = " hens") -> events.TranscriptDelta:
    return events.TranscriptDelta(item_id, words)


def test_speech_goes_from_where_it_began_to_its_end_and_is_committed_once(utterances: SidecarUtterances) -> None:
    hear(utterances, 3000)
    utterances.admits(events.SpeechStarted("a", 2400))
    hear(utterances, 1000)
    utterances.admits(events.SpeechStopped("a"))
    utterances.admits(events.SpeechCommitted("a"))
    hear(utterances, 3000)
    assert list(sent(utterances)) == [("sound", 1600.0), (COMMIT, 0.0)]


def test_what_was_kept_while_the_model_was_connecting_counts_from_its_beginning(utterances: SidecarUtterances) -> None:
    hear(utterances, 4000)
    utterances.follow(3000.0)  # the oldest second was dropped
    utterances.admits(events.SpeechStarted("a", 500))
    assert list(sent(utterances)) == [("sound", 2500.0)]


def test_no_more_is_kept_than_a_beginning_can_be_old(utterances: SidecarUtterances) -> None:
    hear(utterances, 60_000)
    utterances.admits(events.SpeechStarted("a", 0))
    assert list(sent(utterances)) == [("sound", limits.SIDECAR_PREROLL_SECONDS_MAX * 1000)]


def test_less_than_100_ms_is_not_committed_but_cleared(utterances: SidecarUtterances) -> None:
    speak(utterances, "a", 80)
    speak(utterances, "b", 100)
    assert list(sent(utterances)) == [("sound", 80.0), (CLEAR, 0.0), ("sound", 100.0), (COMMIT, 0.0)]
    assert [each.item_id for each in said(utterances, delta("s1")) if isinstance(each, events.TranscriptDelta)] == ["b"]


def test_what_a_client_has_cleared_goes_on_no_longer(utterances: SidecarUtterances) -> None:
    utterances.admits(events.SpeechStarted("a", 10**9))
    hear(utterances, 500)
    utterances.admits(events.OtherUpstreamEvent("input_audio_buffer.cleared"))
    hear(utterances, 500)
    assert list(sent(utterances)) == [("sound", 500.0), (COMMIT, 0.0)]


def test_nothing_heard_is_neither_committed_nor_cleared(utterances: SidecarUtterances) -> None:
    utterances.admits(events.SpeechStarted("a", 10**9))
    utterances.admits(events.SpeechStopped("a"))
    assert list(sent(utterances)) == []


def test_an_utterance_without_words_is_named_by_its_commit_so_that_the_next_keeps_its_own(
    utterances: SidecarUtterances,
) -> None:
    speak(utterances, "a", 500)
    list(sent(utterances))
    said(utterances, events.SpeechCommitted("s1"))
    speak(utterances, "b", 500)
    list(sent(utterances))
    assert [
        each.item_id for each in said(utterances, delta("s2"), delta("s1")) if isinstance(each, events.TranscriptDelta)
    ] == [
        "b",
        "a",
    ]


def test_a_commit_that_was_refused_has_no_item(utterances: SidecarUtterances) -> None:
    speak(utterances, "a", 500)
    list(sent(utterances))
    said(utterances, events.UpstreamError("input_audio_buffer_commit_empty", event_id="sidecar_1"))
    speak(utterances, "b", 500)
    list(sent(utterances))
    (words,) = said(utterances, delta("s1"))
    assert words == events.TranscriptDelta("b", " hens")


def test_words_after_the_conversations_own_transcript_are_too_late(utterances: SidecarUtterances) -> None:
    speak(utterances, "a", 500)
    list(sent(utterances))
    assert utterances.admits(events.TranscriptCompleted("a", "hens"))
    assert said(utterances, delta("s1")) == []


def test_who_says_the_first_word_of_an_item_says_all_of_them(utterances: SidecarUtterances) -> None:
    for item_id, first in (("a", "sidecar"), ("b", "conversation")):
        speak(utterances, item_id, 500)
        list(sent(utterances))
        if first == "sidecar":
            assert len(said(utterances, delta(f"s{item_id}"))) == 1
            assert not utterances.admits(delta(item_id))
        else:
            assert utterances.admits(delta(item_id))
            assert said(utterances, delta(f"s{item_id}")) == []


def test_each_utterance_is_billed_once_whatever_is_told_twice(utterances: SidecarUtterances) -> None:
    speak(utterances, "a", 500)
    list(sent(utterances))
    usage = {"type": "duration", "seconds": 1}
    completed = events.TranscriptCompleted("s1", "hens", usage)
    assert said(utterances, completed, completed) == [commands.CountUsage("sidecar", "sidecar_1", usage)]
    assert utterances.disconnected() == []


def test_when_it_is_lost_what_it_heard_is_billed_and_what_is_still_said_goes_to_the_next(
    utterances: SidecarUtterances,
) -> None:
    speak(utterances, "a", 500)
    utterances.admits(events.SpeechStarted("b", 10**9))
    hear(utterances, 200)
    list(sent(utterances))
    bills = utterances.disconnected()
    assert [(bill.source_id, bill.usage) for bill in bills] == [("sidecar_1", None), ("sidecar_2", None)]
    hear(utterances, 400)
    assert utterances.next() is None
    utterances.connected()
    assert list(sent(utterances)) == [("sound", 400.0)]
    (words,) = said(utterances, delta("t1"))
    assert words == events.TranscriptDelta("b", " hens")


def test_what_was_said_to_its_end_while_nobody_listened_is_nobodys(utterances: SidecarUtterances) -> None:
    utterances.disconnected()
    speak(utterances, "a", 500)
    utterances.connected()
    assert list(sent(utterances)) == []


def test_I9_the_oldest_sound_goes_when_nothing_is_taken_and_the_ends_stay(utterances: SidecarUtterances) -> None:
    speak(utterances, "a", 500)
    assert utterances.next() is not None
    utterances.admits(events.SpeechStarted("b", 10**9))
    hear(utterances, 30_000)
    assert utterances.dropped_ms == 20_480
    assert list(sent(utterances)) == [("sound", 0.0), (CLEAR, 0.0), ("sound", limits.SIDECAR_QUEUED_SECONDS_MAX * 1000)]


def test_where_the_conversation_transcribes_nothing_the_sidecar_has_the_last_word_and_the_only_bill(
    utterances: SidecarUtterances,
) -> None:
    utterances.transcribes_alone = True
    speak(utterances, "a", 500)
    list(sent(utterances))
    usage = {"type": "duration", "seconds": 1}
    bill, final = said(utterances, events.TranscriptCompleted("s1", "hens", usage))
    assert bill == commands.CountUsage("sidecar", "sidecar_1", usage)
    assert isinstance(final, events.TranscriptCompleted)
    assert (final.item_id, final.transcript, final.usage) == ("a", "hens", {"type": "duration", "seconds": 0})
    assert msgspec.json.decode(final.wire)["item_id"] == "a"


def test_a_transcription_that_failed_is_billed_once_as_an_estimate(utterances: SidecarUtterances) -> None:
    speak(utterances, "a", 500)
    list(sent(utterances))
    failed = events.TranscriptFailed("s1", "audio_unintelligible")
    assert said(utterances, failed, failed) == [commands.CountUsage("sidecar", "sidecar_1", None)]
    assert said(utterances, events.TranscriptCompleted("s1", "hens")) == []
    assert utterances.disconnected() == []


def test_what_belongs_to_no_utterance_says_nothing(utterances: SidecarUtterances) -> None:
    nameless = (
        *(delta("s1"), events.TranscriptCompleted("s1", "hens"), events.TranscriptFailed("s1")),
        *(events.SpeechCommitted("s1"), events.UpstreamError("x"), events.OtherUpstreamEvent("x")),
    )
    assert said(utterances, *nameless) == []
    speak(utterances, "a", 500)
    list(sent(utterances))
    assert said(utterances, delta("s2", "")) == []
    (words,) = said(utterances, delta("s2"))
    assert words == events.TranscriptDelta("a", " hens")


def test_the_words_of_the_sidecar_are_written_as_the_conversations_own(utterances: SidecarUtterances) -> None:
    utterances.transcribes_alone = True
    speak(utterances, "a", 500)
    assert [each.source_id for each in iter(utterances.next, None)] == ["sidecar_1"] * 26
    words, _, final = said(utterances, delta("s1"), events.TranscriptCompleted("s1", "hens"))
    assert isinstance(words, events.TranscriptDelta)
    assert isinstance(final, events.TranscriptCompleted)
    kind = "conversation.item.input_audio_transcription"
    assert [msgspec.json.decode(each.wire) for each in (words, final)] == [
        {
            **{"event_id": "event_sidecar_1", "type": f"{kind}.delta"},
            **{"item_id": "a", "content_index": 0, "delta": " hens"},
        },
        {
            **{"event_id": "event_sidecar_2", "type": f"{kind}.completed", "item_id": "a", "content_index": 0},
            **{"transcript": "hens", "usage": {"type": "duration", "seconds": 0}},
        },
    ]


def test_another_beginning_ends_the_speech_before_it(utterances: SidecarUtterances) -> None:
    utterances.admits(events.SpeechStarted("a", 10**9))
    hear(utterances, 200)
    utterances.admits(events.SpeechStarted("b", 100))
    hear(utterances, 400)
    utterances.admits(events.SpeechStopped("a"))
    hear(utterances, 200)
    utterances.admits(events.SpeechCommitted("b"))
    assert list(sent(utterances)) == [("sound", 200.0), (COMMIT, 0.0), ("sound", 600.0), (COMMIT, 0.0)]


def test_sound_from_before_the_beginning_is_sent_once_in_its_order(utterances: SidecarUtterances) -> None:
    for number in range(10):
        utterances.hear(silence(20 * (number + 1)), 20.0 * (number + 1))
    utterances.admits(events.SpeechStarted("a", 1100 - 500))
    lengths = [round(each.seconds * 1000) for each in iter(utterances.next, None)]
    assert lengths == [160, 180, 200]
    utterances.admits(events.SpeechStarted("b", 0))
    assert list(sent(utterances)) == [("sound", 0.0), (COMMIT, 0.0)]


def test_what_is_stopped_keeps_no_sound(utterances: SidecarUtterances) -> None:
    hear(utterances, 500)
    utterances.admits(events.SpeechStarted("a", 0))
    hear(utterances, 500)
    utterances.stop()
    assert utterances.next() is None
    hear(utterances, 100)
    utterances.admits(events.SpeechStopped("a"))
    utterances.admits(events.SpeechStarted("b", 0))
    assert list(sent(utterances)) == [("sound", 100.0)]


def test_nothing_is_sent_before_the_sidecar_is_connected() -> None:
    utterances = SidecarUtterances()
    hear(utterances, 500)
    utterances.admits(events.SpeechStarted("a", 0))
    hear(utterances, 500)
    assert utterances.next() is None
    utterances.connected()
    assert list(sent(utterances)) == [("sound", 1000.0)]
    assert utterances.dropped_ms == 0


def test_the_last_word_is_the_conversations_where_it_transcribes_too(utterances: SidecarUtterances) -> None:
    speak(utterances, "a", 500)
    list(sent(utterances))
    usage = {"type": "duration", "seconds": 1}
    assert said(utterances, events.TranscriptCompleted("s1", "hens", usage)) == [
        commands.CountUsage("sidecar", "sidecar_1", usage)
    ]
    speak(utterances, "b", 500)
    list(sent(utterances))
    utterances.transcribes_alone = True
    assert utterances.admits(events.TranscriptCompleted("b", "ducks"))
    assert len(said(utterances, events.TranscriptCompleted("s2", "ducks"))) == 1
