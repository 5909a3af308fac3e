"""What the sidecar hears and whose words it says, decided without a socket."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest

from voice_trio.conversation import commands, events
from voice_trio.protocols.audio import audio_ms, silence
from voice_trio.session.sidecar.utterances import PREROLL_SECONDS_MAX, QUEUED_SECONDS_MAX, SidecarTurns

if TYPE_CHECKING:
    from collections.abc import Iterator

COMMIT, CLEAR = "input_audio_buffer.commit", "input_audio_buffer.clear"


@pytest.fixture
def turns() -> SidecarTurns:
    turns = SidecarTurns()
    turns.follow(0.0)
    turns.connected()
    return turns


def hear(turns: SidecarTurns, duration_ms: int) -> None:
    for _ in range(duration_ms // 20):
        turns.hear(silence(20), 20.0)


def speak(turns: SidecarTurns, item_id: str, duration_ms: int) -> None:
    turns.admits(events.SpeechStarted(item_id, 10**9))
    hear(turns, duration_ms)
    turns.admits(events.SpeechStopped(item_id))
    turns.admits(events.SpeechCommitted(item_id))


def sent(turns: SidecarTurns) -> Iterator[tuple[str, float]]:
    """What goes to the sidecar now: sounds in a row as one, in ms."""
    ms = 0.0
    while (outgoing := turns.next()) is not None:
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


def said(turns: SidecarTurns, *given: events.UpstreamEvent) -> list[object]:
    return [meaning for event in given for meaning in turns.understand(event)]


def delta(item_id: str, words: str = " hens") -> events.TranscriptDelta:
    return events.TranscriptDelta(item_id, words)


def test_speech_goes_from_where_it_began_to_its_end_and_is_committed_once(turns: SidecarTurns) -> None:
    hear(turns, 3000)
    turns.admits(events.SpeechStarted("a", 2400))
    hear(turns, 1000)
    turns.admits(events.SpeechStopped("a"))
    turns.admits(events.SpeechCommitted("a"))
    hear(turns, 3000)
    assert list(sent(turns)) == [("sound", 1600.0), (COMMIT, 0.0)]


def test_what_was_kept_while_the_model_was_connecting_counts_from_its_beginning(turns: SidecarTurns) -> None:
    hear(turns, 4000)
    turns.follow(3000.0)  # the oldest second was dropped
    turns.admits(events.SpeechStarted("a", 500))
    assert list(sent(turns)) == [("sound", 2500.0)]


def test_no_more_is_kept_than_a_beginning_can_be_old(turns: SidecarTurns) -> None:
    hear(turns, 60_000)
    turns.admits(events.SpeechStarted("a", 0))
    assert list(sent(turns)) == [("sound", PREROLL_SECONDS_MAX * 1000)]


def test_less_than_100_ms_is_not_committed_but_cleared(turns: SidecarTurns) -> None:
    speak(turns, "a", 80)
    speak(turns, "b", 100)
    assert list(sent(turns)) == [("sound", 80.0), (CLEAR, 0.0), ("sound", 100.0), (COMMIT, 0.0)]
    assert [each.item_id for each in said(turns, delta("s1")) if isinstance(each, events.TranscriptDelta)] == ["b"]


def test_what_a_client_has_cleared_goes_on_no_longer(turns: SidecarTurns) -> None:
    turns.admits(events.SpeechStarted("a", 10**9))
    hear(turns, 500)
    turns.admits(events.OtherUpstreamEvent("input_audio_buffer.cleared"))
    hear(turns, 500)
    assert list(sent(turns)) == [("sound", 500.0), (COMMIT, 0.0)]


def test_nothing_heard_is_neither_committed_nor_cleared(turns: SidecarTurns) -> None:
    turns.admits(events.SpeechStarted("a", 10**9))
    turns.admits(events.SpeechStopped("a"))
    assert list(sent(turns)) == []


def test_an_utterance_without_words_is_named_by_its_commit_so_that_the_next_keeps_its_own(turns: SidecarTurns) -> None:
    speak(turns, "a", 500)
    list(sent(turns))
    said(turns, events.SpeechCommitted("s1"))
    speak(turns, "b", 500)
    list(sent(turns))
    assert [
        each.item_id for each in said(turns, delta("s2"), delta("s1")) if isinstance(each, events.TranscriptDelta)
    ] == [
        "b",
        "a",
    ]


def test_a_commit_that_was_refused_has_no_item(turns: SidecarTurns) -> None:
    speak(turns, "a", 500)
    list(sent(turns))
    said(turns, events.UpstreamError("input_audio_buffer_commit_empty", event_id="sidecar_1"))
    speak(turns, "b", 500)
    list(sent(turns))
    (words,) = said(turns, delta("s1"))
    assert words == events.TranscriptDelta("b", " hens")


def test_words_after_the_conversations_own_transcript_are_too_late(turns: SidecarTurns) -> None:
    speak(turns, "a", 500)
    list(sent(turns))
    assert turns.admits(events.TranscriptCompleted("a", "hens"))
    assert said(turns, delta("s1")) == []


def test_who_says_the_first_word_of_an_item_says_all_of_them(turns: SidecarTurns) -> None:
    for item_id, first in (("a", "sidecar"), ("b", "conversation")):
        speak(turns, item_id, 500)
        list(sent(turns))
        if first == "sidecar":
            assert len(said(turns, delta(f"s{item_id}"))) == 1
            assert not turns.admits(delta(item_id))
        else:
            assert turns.admits(delta(item_id))
            assert said(turns, delta(f"s{item_id}")) == []


def test_each_utterance_is_billed_once_whatever_is_told_twice(turns: SidecarTurns) -> None:
    speak(turns, "a", 500)
    list(sent(turns))
    usage = {"type": "duration", "seconds": 1}
    completed = events.TranscriptCompleted("s1", "hens", usage)
    assert said(turns, completed, completed) == [commands.CountUsage("sidecar", "sidecar_1", usage)]
    assert turns.disconnected() == []


def test_when_it_is_lost_what_it_heard_is_billed_and_what_is_still_said_goes_to_the_next(turns: SidecarTurns) -> None:
    speak(turns, "a", 500)
    turns.admits(events.SpeechStarted("b", 10**9))
    hear(turns, 200)
    list(sent(turns))
    bills = turns.disconnected()
    assert [(bill.source_id, bill.usage) for bill in bills] == [("sidecar_1", None), ("sidecar_2", None)]
    hear(turns, 400)
    assert turns.next() is None
    turns.connected()
    assert list(sent(turns)) == [("sound", 400.0)]
    (words,) = said(turns, delta("t1"))
    assert words == events.TranscriptDelta("b", " hens")


def test_what_was_said_to_its_end_while_nobody_listened_is_nobodys(turns: SidecarTurns) -> None:
    turns.disconnected()
    speak(turns, "a", 500)
    turns.connected()
    assert list(sent(turns)) == []


def test_I9_the_oldest_sound_goes_when_nothing_is_taken_and_the_ends_stay(turns: SidecarTurns) -> None:
    speak(turns, "a", 500)
    assert turns.next() is not None
    turns.admits(events.SpeechStarted("b", 10**9))
    hear(turns, 30_000)
    assert turns.dropped_ms == 20_480
    assert list(sent(turns)) == [("sound", 0.0), (CLEAR, 0.0), ("sound", QUEUED_SECONDS_MAX * 1000)]


def test_where_the_conversation_transcribes_nothing_the_sidecar_has_the_last_word_and_the_only_bill(
    turns: SidecarTurns,
) -> None:
    turns.is_only_ears = True
    speak(turns, "a", 500)
    list(sent(turns))
    usage = {"type": "duration", "seconds": 1}
    bill, final = said(turns, events.TranscriptCompleted("s1", "hens", usage))
    assert bill == commands.CountUsage("sidecar", "sidecar_1", usage)
    assert isinstance(final, events.TranscriptCompleted)
    assert (final.item_id, final.transcript, final.usage) == ("a", "hens", {"type": "duration", "seconds": 0})
    assert msgspec.json.decode(final.wire)["item_id"] == "a"
