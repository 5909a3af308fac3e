"""I9, bounded: what waits for the client and for the model has a limit, and says so instead of growing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from voice_trio.errors import ModelUnavailable
from voice_trio.session.client.send_queue import AUDIO_SECONDS_MAX, FRAMES_MAX, Frame, Lane, SendQueue
from voice_trio.session.client.token_bucket import TokenBucket
from voice_trio.session.upstream.send_queue import COMMANDS_MAX, EARLY_SECONDS_MAX, QUEUED_SECONDS_MAX, UpstreamQueue

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_before_the_model_is_ready_the_newest_audio_is_kept(autojump_clock: MockClock) -> None:
    uplink = UpstreamQueue()
    for number in range(100):
        uplink.put_audio(str(number), 100.0)
    assert uplink.audio_seconds == pytest.approx(EARLY_SECONDS_MAX)
    assert await uplink.next() == "50"


def test_audio_that_the_model_does_not_take_is_not_piled_up() -> None:
    uplink = UpstreamQueue()
    uplink.open()
    while uplink.audio_seconds <= QUEUED_SECONDS_MAX:
        uplink.put_audio("x", 100.0)
    with pytest.raises(ModelUnavailable):
        uplink.put_audio("x", 100.0)
    assert uplink.audio_seconds <= QUEUED_SECONDS_MAX + 0.1 + 1e-6


def test_commands_that_the_model_does_not_take_are_not_piled_up() -> None:
    uplink = UpstreamQueue()
    for _ in range(COMMANDS_MAX):
        uplink.put_command("{}")
    with pytest.raises(ModelUnavailable):
        uplink.put_command("{}")


async def test_commands_go_before_audio_and_a_lost_model_takes_them_along(autojump_clock: MockClock) -> None:
    uplink = UpstreamQueue()
    uplink.open()
    uplink.put_audio("sound", 100.0)
    uplink.put_command("command")
    assert await uplink.next() == "command"
    uplink.put_command("for the lost one")
    uplink.close()
    assert await uplink.next() == "sound"


@pytest.mark.parametrize(
    ("frame", "most"), [(Frame("x", Lane.ANSWER, "item", 1000.0), AUDIO_SECONDS_MAX), (Frame("x"), FRAMES_MAX)]
)
def test_more_than_fits_for_the_client_is_noticed(frame: Frame, most: float) -> None:
    outbox = SendQueue()
    for _ in range(int(most)):
        outbox.put(frame)
    assert not outbox.is_overfull
    outbox.put(frame)
    assert outbox.is_overfull


async def test_a_frame_that_was_not_written_is_next_again_and_among_the_last_words(autojump_clock: MockClock) -> None:
    outbox = SendQueue()
    outbox.put(Frame("first", Lane.URGENT))
    outbox.put(Frame("second", Lane.URGENT))
    outbox.put_back(await outbox.next())
    assert [frame.text for frame in outbox.take_urgent()] == ["first", "second"]


async def test_a_flush_drops_the_answer_and_nothing_else(autojump_clock: MockClock) -> None:
    outbox = SendQueue()
    outbox.put(Frame("sound", Lane.ANSWER, "item", 100.0, dies_with_answer=True))
    outbox.put(Frame("done"))
    outbox.drop_answer()
    assert outbox.audio_seconds == 0
    assert (await outbox.next()).text == "done"


async def test_who_waits_for_a_frame_is_woken_by_it(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    outbox, uplink = SendQueue(), UpstreamQueue()
    taken: list[str] = []

    async def take() -> None:
        taken.append((await outbox.next()).text)
        taken.append(await uplink.next())

    nursery.start_soon(take)
    await trio.sleep(1)
    outbox.put(Frame("one"))
    await trio.sleep(1)
    uplink.put_command("two")
    await trio.sleep(1)
    assert taken == ["one", "two"]


def test_a_bucket_lets_a_burst_through_and_then_so_many_a_second() -> None:
    bucket = TokenBucket(3.0, 2.0, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.5), bucket.take(0.5)] == [True, False]


def test_a_bucket_says_how_long_to_wait_for_what_was_taken_ahead() -> None:
    bucket = TokenBucket(5.0, 2.0, 0.0)
    assert bucket.take_and_wait(0.0, 5.0) == 0.0
    assert bucket.take_and_wait(0.0, 1.0) == 0.5
    assert bucket.take_and_wait(1.0, 1.0) == 0.0
