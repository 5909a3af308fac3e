"""The loudspeaker: nothing lost, nothing doubled, and the position is what ears have got."""

from __future__ import annotations

import random

import pytest

from voice_trio.client.audio_queues import PlaybackQueue, Position
from voice_trio.client.sounds import BYTES_PER_MS

BLOCK = 20 * BYTES_PER_MS


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def sound(milliseconds: float, value: int = 1) -> bytes:
    return bytes([value]) * round(milliseconds * BYTES_PER_MS)


def at(item_id: str, played_ms: float) -> Position:
    """That position, to within rounding."""
    return Position(item_id, pytest.approx(played_ms))  # type: ignore[arg-type]  # it compares as a float does


def test_what_is_queued_is_played_in_order_and_silence_after_it() -> None:
    speaker = PlaybackQueue(Clock())
    speaker.queue("a", sound(30, 1))
    speaker.queue("b", sound(5, 2))
    assert speaker.play(BLOCK, 0.0) == sound(20, 1)
    assert speaker.play(BLOCK, 0.0) == sound(10, 1) + sound(5, 2) + sound(5, 0)
    assert speaker.play(BLOCK, 0.0) == sound(20, 0)


def test_nothing_was_heard_before_the_card_gave_it_out() -> None:
    clock = Clock()
    speaker = PlaybackQueue(clock)
    assert speaker.position() is None
    speaker.queue("a", sound(100))
    assert speaker.position() is None
    speaker.play(BLOCK, 0.030)
    clock.now += 0.029
    assert speaker.position() is None
    clock.now += 0.002
    assert speaker.position() == at("a", 1.0)


def test_the_position_goes_on_with_the_clock_and_stops_at_what_was_handed_over() -> None:
    clock = Clock()
    speaker = PlaybackQueue(clock)
    speaker.queue("a", sound(100))
    speaker.play(BLOCK, 0.0)
    clock.now += 0.015
    assert speaker.position() == at("a", 15.0)
    clock.now += 1.0
    assert speaker.position() == at("a", 20.0)
    assert speaker.is_playing  # 80 ms are still queued


def test_a_pause_between_two_blocks_is_not_heard_sound() -> None:
    clock = Clock()
    speaker = PlaybackQueue(clock)
    speaker.queue("a", sound(20))
    speaker.play(BLOCK, 0.0)
    clock.now += 0.5
    speaker.queue("a", sound(20))
    speaker.play(BLOCK, 0.0)
    clock.now += 0.005
    assert speaker.position() == at("a", 25.0)


def test_a_flush_silences_the_next_block_and_counts_what_the_card_still_has() -> None:
    clock = Clock()
    speaker = PlaybackQueue(clock)
    speaker.queue("a", sound(100))
    speaker.play(BLOCK, 0.040)
    speaker.play(BLOCK, 0.040)
    assert speaker.flush() == at("a", 40.0)
    assert speaker.play(BLOCK, 0.040) == sound(20, 0)
    clock.now += 1.0
    assert speaker.position() == at("a", 40.0)
    assert not speaker.is_playing


def test_a_flush_of_nothing_knows_nothing() -> None:
    assert PlaybackQueue(Clock()).flush() is None


def test_each_item_is_counted_from_its_own_beginning() -> None:
    clock = Clock()
    speaker = PlaybackQueue(clock)
    speaker.queue("a", sound(15))
    speaker.queue("b", sound(100))
    speaker.play(BLOCK, 0.0)
    clock.now += 0.014
    assert speaker.position() == at("a", 14.0)
    clock.now += 0.004
    assert speaker.position() == at("b", 3.0)


def test_however_it_is_cut_every_sample_is_played_once() -> None:
    chance = random.Random(7)
    speaker = PlaybackQueue(Clock())
    said = bytes(chance.randrange(1, 256) for _ in range(4000))
    place = 0
    heard = b""
    while len(heard) < len(said):
        if place < len(said) and chance.random() < 0.6:
            size = 2 * chance.randrange(1, 300)
            speaker.queue("a", said[place : place + size])
            place += size
        heard += speaker.play(2 * chance.randrange(1, 200), 0.0).rstrip(b"\0")
    assert heard == said
