"""I9, bounded: what waits for the client and for the model has a limit, and says so instead of growing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.support.send_queue_fixture import RecordingLink, SendQueueFixture
from voice_trio import limits
from voice_trio.conversation import commands
from voice_trio.errors import ModelUnavailable
from voice_trio.net.byte_budget import ByteAccount, ByteBudget, Place
from voice_trio.net.token_bucket import TokenBucket
from voice_trio.session.client.frame import Frame, Lane
from voice_trio.session.client.receiver import ReceiveQueue
from voice_trio.session.endings import Ending
from voice_trio.session.upstream.send_queue import UpstreamQueue

if TYPE_CHECKING:
    from trio.testing import MockClock


async def test_before_the_model_is_ready_the_newest_audio_is_kept(autojump_clock: MockClock) -> None:
    uplink = UpstreamQueue()
    for number in range(100):
        uplink.put_audio(str(number), 100.0)
    assert uplink.audio_seconds == pytest.approx(limits.UPSTREAM_EARLY_SECONDS_MAX)
    assert await _first_written(uplink) == "50"


def test_audio_that_the_model_does_not_take_is_not_piled_up() -> None:
    uplink = UpstreamQueue()
    uplink.open()
    while uplink.audio_seconds <= limits.UPSTREAM_QUEUED_SECONDS_MAX:
        uplink.put_audio("x", 100.0)
    with pytest.raises(ModelUnavailable):
        uplink.put_audio("x", 100.0)
    assert uplink.audio_seconds <= limits.UPSTREAM_QUEUED_SECONDS_MAX + 0.1 + 1e-6


def test_commands_that_the_model_does_not_take_are_not_piled_up() -> None:
    uplink = UpstreamQueue()
    for _ in range(limits.UPSTREAM_COMMANDS_QUEUED_MAX):
        uplink.put_command("{}")
    with pytest.raises(ModelUnavailable):
        uplink.put_command("{}")


async def test_commands_go_before_audio_and_a_lost_model_takes_them_along(autojump_clock: MockClock) -> None:
    uplink = UpstreamQueue()
    uplink.open()
    uplink.put_audio("sound", 100.0)
    uplink.put_command("command")
    assert await _first_written(uplink) == "command"
    uplink.put_audio("sound", 100.0)
    uplink.put_command("for the lost one")
    uplink.close()
    assert await _first_written(uplink) == "sound"


@pytest.mark.parametrize(
    ("frame", "most"),
    [
        (Frame("x", Lane.RESPONSE, "item", 1000.0), limits.CLIENT_AUDIO_QUEUED_SECONDS_MAX),
        (Frame("x"), limits.CLIENT_FRAMES_TO_SEND_MAX),
    ],
)
async def test_more_than_fits_for_a_client_that_reads_is_a_flood_of_the_upstream_F70(
    autojump_clock: MockClock, frame: Frame, most: float
) -> None:
    await trio.lowlevel.checkpoint()
    sending = SendQueueFixture()
    for _ in range(int(most)):
        sending.queue.put(frame)
    assert sending.session.executed == []
    for _ in range(int(most) // 4):
        sending.queue.put(frame)
    assert (sending.session.executed, sending.session.endings) == ([commands.ReplaceUpstream("flood")], [])
    sending.queue.put(frame)
    assert sending.session.endings == [Ending.UPSTREAM_LOST]


async def test_more_than_fits_for_a_client_that_does_not_read_ends_the_session(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    sending = SendQueueFixture(nursery)
    sending.link.stall()
    sending.queue.put(Frame("first"))
    await trio.sleep(limits.UNSENT_SECONDS_MAX + 0.01)
    for _ in range(limits.CLIENT_FRAMES_TO_SEND_MAX + 1):
        sending.queue.put(Frame("x"))
    assert (set(sending.session.endings), sending.session.executed) == ({Ending.TOO_SLOW}, [])
    nursery.cancel_scope.cancel()


async def test_a_frame_that_was_not_written_is_next_again_and_among_the_last_words(autojump_clock: MockClock) -> None:
    await trio.lowlevel.checkpoint()
    queue = SendQueueFixture().queue
    queue.put(Frame("first", Lane.URGENT))
    queue.put(Frame("second", Lane.URGENT))
    first = queue.take(0.0)
    assert isinstance(first, Frame)
    queue.put_back(first)
    assert [frame.text for frame in queue.take_urgent()] == ["first", "second"]


async def test_a_flush_drops_the_answer_and_nothing_else(autojump_clock: MockClock) -> None:
    await trio.lowlevel.checkpoint()
    sending = SendQueueFixture()
    sending.put_audio("sound", 100.0)
    done = Frame("done")
    sending.queue.put(done)
    sending.queue.drop_response()
    assert sending.queue.audio_seconds == 0
    assert sending.queue.take(0.0) is done


async def test_a_send_that_stalls_ends_the_session_after_exactly_five_seconds(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    sending = SendQueueFixture(nursery)
    sending.link.stall()
    sending.queue.put(Frame("x"))
    await trio.sleep(limits.CLIENT_SEND_SECONDS_MAX - 0.001)
    assert sending.session.endings == []
    await trio.sleep(0.002)
    assert sending.session.endings == [Ending.TOO_SLOW]


async def test_a_frame_is_unsent_from_the_moment_the_client_stops_reading_until_it_reads_on(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    sending = SendQueueFixture(nursery)
    sending.queue.put(Frame("read"))
    await trio.sleep(1)
    seen = [sending.queue.unsent_since]
    sending.link.stall()
    sending.queue.put(Frame("first"))
    await trio.sleep(1)
    sending.queue.put(Frame("second"))
    seen.append(sending.queue.unsent_since)
    sending.link.resume()
    await trio.testing.wait_all_tasks_blocked()
    seen.append(sending.queue.unsent_since)
    assert (sending.link.texts, seen) == (["read", "first", "second"], [None, 1.0, None])


async def test_a_client_is_read_on_while_a_large_message_waits_and_not_while_memory_is_tight(
    autojump_clock: MockClock,
) -> None:
    budget, large = ByteBudget(), "x" * (15 * limits.MIB)
    account = ByteAccount(budget, "ada")
    await account.reserve(len(large))
    queue = ReceiveQueue(account)
    with trio.fail_after(1):
        await queue.put(large)
        await queue.put("small")
    others = [ByteAccount(budget, f"other-{number}") for number in range(2)]
    for other in others:
        other.hold(Place.UPSTREAM, limits.USER_BYTES_MAX)
    with trio.move_on_after(1) as waiting:
        await queue.put("not read on")
    assert waiting.cancelled_caught
    with trio.fail_after(1):
        taken = [queue.take() for _ in range(3)]
        await queue.put("read on")
    assert taken == [large, "small", "not read on"]


async def test_the_last_frames_follow_the_one_that_could_not_be_written(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    sending = SendQueueFixture(nursery)
    sending.link.stall()
    sending.queue.put(Frame("urgent", Lane.URGENT))
    await trio.testing.wait_all_tasks_blocked()
    nursery.start_soon(
        sending.queue.finish, lambda: [*(frame.text for frame in sending.queue.take_urgent()), "last"], 1000, ""
    )
    await trio.testing.wait_all_tasks_blocked()
    sending.link.resume()
    await trio.testing.wait_all_tasks_blocked()
    assert sending.link.texts == ["urgent", "last"]


async def test_I14_a_response_whose_beginning_is_still_on_its_way_gets_its_end_too(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    sending = SendQueueFixture(nursery)
    await trio.testing.wait_all_tasks_blocked()
    sending.link.stall()
    sending.queue.put(Frame("created", begins="r"))
    sending.queue.put(Frame("other"))
    await trio.testing.wait_all_tasks_blocked()
    nursery.start_soon(sending.queue.finish, lambda: [f"end of {r}" for r in sending.queue.take_ends()], 1000, "")
    await trio.testing.wait_all_tasks_blocked()
    sending.link.resume()
    await trio.testing.wait_all_tasks_blocked()
    assert sending.link.texts == ["created", "end of r"]


async def test_I14_of_what_waits_for_a_client_the_rest_of_a_response_is_written_but_its_sound(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    sending = SendQueueFixture(nursery)
    sending.queue.put(Frame("created", begins="seen"))
    await trio.testing.wait_all_tasks_blocked()
    sending.link.stall()
    sending.queue.put(Frame("taken by the link"))
    sending.put_audio("sound", 100.0)
    sending.queue.put(Frame("part"))
    sending.queue.put(Frame("done", ends="seen"))
    sending.queue.put(Frame("next", begins="unseen"))
    assert sending.queue.take_rest() == (["part", "done", "next"], ["unseen"])


async def test_a_last_frame_that_waited_behind_a_control_frame_leaves_once(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    sending = SendQueueFixture(nursery)
    await trio.testing.wait_all_tasks_blocked()
    sending.link.stall()
    assert sending.link.send_nowait("pong")
    sending.queue.put(Frame("urgent", Lane.URGENT))
    await trio.testing.wait_all_tasks_blocked()
    sending.link.resume()
    sending.link.stall()
    await trio.testing.wait_all_tasks_blocked()
    nursery.start_soon(
        sending.queue.finish, lambda: [*(frame.text for frame in sending.queue.take_urgent()), "last"], 1000, ""
    )
    await trio.testing.wait_all_tasks_blocked()
    sending.link.resume()
    await trio.testing.wait_all_tasks_blocked()
    assert sending.link.texts == ["pong", "urgent", "last"]


async def test_an_upstream_that_is_lost_before_its_writer_wakes_is_no_bug(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    uplink, link = UpstreamQueue(), RecordingLink()
    nursery.start_soon(uplink.write, link)
    await trio.testing.wait_all_tasks_blocked()
    link.stall()
    uplink.put_command("cut in two")
    link.lose_rest()
    await trio.testing.wait_all_tasks_blocked()
    link.resume()
    uplink.put_command("next")
    assert link.texts == ["next"]


async def test_who_waits_for_a_frame_is_woken_by_it(autojump_clock: MockClock, nursery: trio.Nursery) -> None:
    sending, uplink, link = SendQueueFixture(nursery), UpstreamQueue(), RecordingLink()
    nursery.start_soon(uplink.write, link)
    await trio.sleep(1)
    sending.queue.put(Frame("one"))
    await trio.sleep(1)
    assert sending.link.sent == [("one", 1.0)]
    uplink.put_command("two")
    await trio.sleep(1)
    assert link.sent == [("two", 2.0)]


def test_a_bucket_lets_a_burst_through_and_then_so_many_a_second() -> None:
    bucket = TokenBucket(3.0, 2.0, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert [bucket.take(0.5), bucket.take(0.5)] == [True, False]


def test_a_bucket_says_how_long_to_wait_for_what_was_taken_ahead() -> None:
    bucket = TokenBucket(5.0, 2.0, 0.0)
    assert bucket.take_and_wait(0.0, 5.0) == 0.0
    assert bucket.take_and_wait(0.0, 1.0) == 0.5
    assert bucket.take_and_wait(1.0, 1.0) == 0.0


async def _first_written(uplink: UpstreamQueue) -> str:
    link = RecordingLink()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(uplink.write, link)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
    return link.texts[0]
