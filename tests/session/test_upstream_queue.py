"""What waits for an upstream: its order, its bounds to the last frame and byte, and what a lost upstream leaves."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.send_queue_fixture import RecordingLink
from voice_trio import limits
from voice_trio.conversation import events
from voice_trio.errors import ModelUnavailable
from voice_trio.net.byte_budget import ByteAccount, ByteBudget, Place
from voice_trio.session.upstream.kept_speech import KeptSpeech
from voice_trio.session.upstream.send_queue import UpstreamQueue

if TYPE_CHECKING:
    from trio.testing import MockClock


def opened() -> UpstreamQueue:
    queue = UpstreamQueue()
    queue.open()
    return queue


async def write_for(queue: UpstreamQueue, link: RecordingLink, seconds: float) -> str:
    """Write for a while; why the writing ended by itself, if it did."""
    reason = ""
    with trio.move_on_after(seconds):
        reason = await queue.write(link)
    return reason


async def test_commands_leave_first_and_what_is_put_in_order_behind_the_sound_before_it(
    autojump_clock: MockClock,
) -> None:
    queue, link = opened(), RecordingLink()
    queue.put_audio("sound 1", 40.0)
    queue.put_in_order("commit")
    queue.put_audio("sound 2", 60.0)
    queue.put_command("command 1")
    queue.put_command("command 2")
    assert (queue.audio_seconds, queue.bytes) == (0.1, 7 + 6 + 7 + 9 + 9)
    assert queue.audio == [("sound 1", 40.0), ("commit", 0.0), ("sound 2", 60.0)]
    assert await write_for(queue, link, 1.0) == ""
    assert link.texts == ["command 1", "command 2", "sound 1", "commit", "sound 2"]
    assert (queue.audio_seconds, queue.bytes, queue.audio) == (0.0, 0, [])


async def test_while_nothing_waits_a_frame_is_written_at_once_and_behind_a_slow_one_in_order(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    queue, link = opened(), RecordingLink()
    account = queue.account = ByteAccount(ByteBudget(), "")
    nursery.start_soon(queue.write, link)
    await trio.sleep(1.0)
    queue.put_audio("at once", 20.0)
    assert link.sent == [("at once", 1.0)]
    assert queue.bytes == account._held[Place.UPSTREAM] == 0
    link.stall()
    queue.put_audio("held", 20.0)
    assert queue.bytes == account._held[Place.UPSTREAM] == 4
    queue.put_audio("later", 20.0)
    queue.put_command("first")
    assert queue.bytes == account._held[Place.UPSTREAM] == 14
    await trio.sleep(1.0)
    link.resume()
    await trio.sleep(1.0)
    assert link.sent == [("at once", 1.0), ("held", 2.0), ("first", 2.0), ("later", 2.0)]
    assert queue.bytes == account._held[Place.UPSTREAM] == 0
    nursery.cancel_scope.cancel()


async def test_an_upstream_that_takes_nothing_is_given_up_with_its_reason(autojump_clock: MockClock) -> None:
    queue, link = opened(), RecordingLink()
    link.stall()
    queue.put_command("x")
    reason = await write_for(queue, link, limits.UPSTREAM_SEND_SECONDS_MAX + 1.0)
    assert reason == f"send timed out after {limits.UPSTREAM_SEND_SECONDS_MAX:g} s"
    assert trio.current_time() == limits.UPSTREAM_SEND_SECONDS_MAX


def test_the_bounds_are_exact_and_named() -> None:
    queue = opened()
    for _ in range(limits.UPSTREAM_COMMANDS_QUEUED_MAX):
        queue.put_command("x")
    with pytest.raises(ModelUnavailable) as raised:
        queue.put_command("x")
    assert str(raised.value) == f"{limits.UPSTREAM_COMMANDS_QUEUED_MAX} commands wait to be sent"
    queue.put_audio("x", limits.UPSTREAM_QUEUED_SECONDS_MAX * 1000)
    queue.put_audio("x", 1.0)
    with pytest.raises(ModelUnavailable) as raised:
        queue.put_audio("x", 1.0)
    assert str(raised.value) == f"more than {limits.UPSTREAM_QUEUED_SECONDS_MAX:g} s of audio wait to be sent"
    for put in (UpstreamQueue.put_command, UpstreamQueue.put_in_order):
        queue = opened()
        put(queue, "x" * limits.UPSTREAM_BYTES_QUEUED_MAX)
        with pytest.raises(ModelUnavailable) as raised:
            put(queue, "x")
        assert str(raised.value) == f"more than {limits.UPSTREAM_BYTES_QUEUED_MAX} bytes wait to be sent"
        assert queue.bytes == limits.UPSTREAM_BYTES_QUEUED_MAX


def test_before_an_upstream_is_ready_the_newest_sound_stays_and_one_frame_always() -> None:
    queue = UpstreamQueue()
    queue.put_audio("long", limits.UPSTREAM_EARLY_SECONDS_MAX * 1000 + 1.0)
    assert queue.audio == [("long", limits.UPSTREAM_EARLY_SECONDS_MAX * 1000 + 1.0)]
    queue.put_audio("a", limits.UPSTREAM_EARLY_SECONDS_MAX * 1000 - 10.0)
    queue.put_audio("b", 10.0)
    assert [text for text, _ in queue.audio] == ["a", "b"]
    queue.put_audio("c", 1.0)
    assert [text for text, _ in queue.audio] == ["b", "c"]
    assert (queue.audio_seconds, queue.bytes) == (0.011, 2)


def test_a_lost_upstream_takes_its_commands_along_and_leaves_the_sound_or_the_sentence_so_far() -> None:
    queue = opened()
    queue.put_command("command")
    queue.put_audio("sound", 100.0)
    queue.close()
    assert (queue.is_open, queue.audio, queue.bytes) == (False, [("sound", 100.0)], 5)
    queue.resend([("less", 99.0)], is_speech=True)
    assert queue.audio == [("sound", 100.0)]
    queue.resend([("a", 60.0), ("bc", 40.0)], is_speech=False)
    assert (queue.audio, queue.bytes, queue.audio_seconds) == ([("a", 60.0), ("bc", 40.0)], 3, 0.1)
    queue.put_audio("d", limits.UPSTREAM_EARLY_SECONDS_MAX * 1000)
    assert [text for text, _ in queue.audio] == ["d"]
    queue.resend([("long", limits.SPEECH_KEPT_SECONDS_MAX * 1000 - 1.0)], is_speech=True)
    queue.put_audio("e", 1.0)
    assert [text for text, _ in queue.audio] == ["long", "e"]
    queue.open()
    queue.close()
    queue.put_audio("f", 1.0)
    assert [text for text, _ in queue.audio] == ["e", "f"]


async def test_of_silence_a_second_is_kept_and_of_a_sentence_all_until_it_is_committed(
    autojump_clock: MockClock,
) -> None:
    await trio.lowlevel.checkpoint()
    kept = KeptSpeech()
    account = kept.account = ByteAccount(ByteBudget(), "")
    for number in range(30):
        kept.add(f"{number:02}", 100.0, 0.0)
    newest = round(limits.SPEECH_PREROLL_SECONDS * 10)
    assert [text for text, _ in kept.take()] == [f"{number:02}" for number in range(30 - newest, 30)]
    assert (kept.take(), account._held[Place.KEPT], kept.is_open(0.0)) == ([], 0, False)
    kept.note(events.SpeechStarted("a"))
    assert kept.is_open(1e9)
    for number in range(30):
        kept.add(f"{number:02}", 100.0, 0.0)
    assert account._held[Place.KEPT] == 60
    kept.note(events.SpeechStopped("a"))
    assert len(kept.take()) == 30
    kept.add("x", 100.0, 0.0)
    kept.note(events.SpeechCommitted("a"))
    assert (kept.take(), account._held[Place.KEPT], kept.is_open(0.0)) == ([], 0, False)


async def test_a_sentence_that_is_put_back_is_one_until_it_should_have_been_announced(
    autojump_clock: MockClock,
) -> None:
    await trio.sleep(5.0)
    kept = KeptSpeech()
    account = kept.account = ByteAccount(ByteBudget(), "")
    kept.put_back([("ab", 100.0)])
    assert not kept.is_open(5.0)
    kept.note(events.SpeechStarted("a"))
    kept.put_back([("ab", 100.0), ("cde", 50.0)])
    assert account._held[Place.KEPT] == 5
    until = 5.0 + limits.SPEECH_ANNOUNCED_SECONDS_MAX
    assert (kept.is_open(until - 0.001), kept.is_open(until)) == (True, False)
    kept.add("f", limits.SPEECH_PREROLL_SECONDS * 1000 - 50.0, until)
    assert [text for text, _ in kept.take()] == ["cde", "f"]
