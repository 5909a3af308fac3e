"""The reserves of a session, change by change, and the seconds of speech beside them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from voice_trio.conversation import events
from voice_trio.session.spend.heard_speech import HeardSpeech
from voice_trio.session.spend.reserves import Reserve, Reserves

Held = list[Any]


def usd(text: str) -> Decimal:
    return Decimal(text)


def open_in(reserves: Reserves) -> Any:
    return reserves.open, sum(reserves[key].usd for key in reserves.open)


def response(input_usd: str = "1", output_usd: str = "2") -> Reserve:
    return Reserve("response", 1, usd(input_usd), usd(output_usd))


def transcription(input_usd: str = "5") -> Reserve:
    return Reserve("transcription", 1, usd(input_usd))


@pytest.fixture
def held() -> Held:
    """Each change that the accounts are told: of what is reserved, and of what of it is known as used."""
    return []


@pytest.fixture
def reserves(held: Held) -> Reserves:
    """Of a session that has billed `billed`."""
    return Reserves(lambda reserved, known: held.append((reserved, known)), lambda key: key == "billed")


def test_each_change_of_a_reserve_is_told_once(reserves: Reserves, held: Held) -> None:
    reserves.put("r", response())
    reserves.observe("r", usd("1.5"))  # less than is expected of its output
    reserves.observe("r", usd("4"))
    reserves.put("t", transcription())
    reserves.observe("t", usd("7"))
    assert open_in(reserves) == (("r", "t"), 12)
    reserves.put("r", response("3"))  # in place of the other
    reserves.release("t")
    reserves.release("t")
    reserves.put("billed", response())
    assert held == [(3, 0), (0, usd("1.5")), (2, usd("2.5")), (5, 5), (2, 2), (-5, -4), (5, 0), (-7, -7)]
    assert open_in(reserves) == (("r",), 5)


def test_an_id_takes_the_place_of_its_tag_else_of_the_oldest_of_its_kind(reserves: Reserves, held: Held) -> None:
    first, second, third, words = response(), response(), response(), transcription()
    for key, reserve in (("w", words), ("t1", first), ("t2", second), ("t3", third)):
        reserves.put(key, reserve)
    held.clear()
    assert reserves.name("response", "t2", "r2") is second
    assert reserves.name("response", "unknown", "r0") is None
    assert reserves.name("response", "w", "r0") is None  # of another kind
    assert reserves.name("response", "r2", "r0") is None  # it has its id
    assert reserves.name("response", None, "r1") is first
    assert open_in(reserves) == (("w", "t3", "r2", "r1"), 14)
    assert [each.is_created for each in (first, second, third, words)] == [True, True, False, False]
    assert held == []
    assert reserves.name("response", "t3", "billed") is third  # events of a bill that was paid: it is not kept
    assert reserves.name("response", None, "r9") is None
    assert reserves.name("transcription", None, "r1") is words  # as little as one whose id is another's
    assert held == [(-3, 0), (-5, -5)]
    assert open_in(reserves) == (("r2", "r1"), 6)


def test_only_what_has_no_id_yet_is_forgotten(reserves: Reserves, held: Held) -> None:
    reserves.put("t1", response())
    reserves.put("t2", response())
    reserves.name("response", "t1", "r1")
    held.clear()
    for tag in ("t1", "r1", "unknown"):
        reserves.forget_uncreated(tag)
    assert held == []
    reserves.forget_uncreated("t2")
    assert held == [(-3, 0)]
    assert reserves.open == ("r1",)


def test_speech_lasts_from_its_beginning_to_its_end() -> None:
    speech = HeardSpeech()
    speech.started(events.SpeechStarted("i1", 1500))
    speech.started(events.SpeechStarted("i2", 0))
    assert speech.stopped(events.SpeechStopped("i2", 2500)) == 2.5
    assert speech.stopped(events.SpeechStopped("i1", 2000)) == 0.5
    assert speech.stopped(events.SpeechStopped("i1", 9000)) == 0.0  # its beginning has been used
    speech.started(events.SpeechStarted("i3", 1500))
    assert speech.stopped(events.SpeechStopped("i3", 1000)) == 0.0
    assert speech.is_transcribed


def test_the_buffer_has_what_was_appended_since_it_was_emptied() -> None:
    speech, seconds = HeardSpeech(), 4.0
    assert speech.take_buffer() == 0.0
    speech.follow(lambda: seconds)
    assert (speech.take_buffer(), speech.take_buffer()) == (4.0, 0.0)
    seconds = 6.5
    speech.started(events.SpeechStarted("i1", 0))
    speech.start_anew()
    assert (speech.take_buffer(), speech.stopped(events.SpeechStopped("i1", 900))) == (0.0, 0.0)
    speech.follow(lambda: seconds)
    assert speech.take_buffer() == 6.5
