"""What a client may send, to the last token: control events, typed questions, sound, errors, and no JSON."""

from __future__ import annotations

import pytest
import trio
import trio.testing

from tests.support.session_fixture import SESSION_CONFIG
from voice_trio import limits
from voice_trio.errors import BadMessage, InvalidEvent
from voice_trio.net.byte_budget import ByteAccount, ByteBudget
from voice_trio.protocols.audio import AudioAppended
from voice_trio.protocols.openai_client import ClientEventReader, ClientSettings
from voice_trio.session.client.limits import ClientLimits, RealtimeFrameDecoder, VoiceFrameDecoder
from voice_trio.session.client.receiver import ReceiveQueue

SECOND = bytes(48_000)
PING = '{"type":"ping"}'
QUESTION = '{"type":"text.input","text":"how warm"}'


def refusal(decoder: VoiceFrameDecoder, frame: str | bytes, now: float = 0.0) -> str:
    with pytest.raises(BadMessage) as raised:
        decoder.decode(frame, now)
    return str(raised.value)


def test_errors_are_told_ten_at_once_and_then_one_a_second() -> None:
    bounds = ClientLimits(0.0, 5.0)
    assert [bounds.may_send_error(0.0) for _ in range(12)] == [True] * 10 + [False] * 2
    assert [bounds.may_send_error(at) for at in (0.9, 1.0, 1.5, 2.0)] == [False, True, False, True]


def test_sound_is_taken_ahead_and_then_at_twice_its_speed_and_a_short_message_counts_as_long() -> None:
    bounds = ClientLimits(0.0, 5.0)
    assert [bounds.seconds_ahead(0.0, 2500.0) for _ in range(3)] == [0.0, 0.0, 1.25]
    assert bounds.seconds_ahead(1.25, 1000.0) == 0.5
    short = ClientLimits(0.0, 0.0)
    assert short.seconds_ahead(0.0, 0.0) == limits.AUDIO_MESSAGE_SECONDS_MIN / 2
    assert short.seconds_ahead(limits.AUDIO_MESSAGE_SECONDS_MIN / 2, 10.0) == 0.005


def test_a_client_that_sends_no_json_eleven_times_does_not_speak_the_protocol() -> None:
    decoder = VoiceFrameDecoder(0.0)
    assert refusal(decoder, '{"type":"nonsense"}')
    for _ in range(limits.NOT_JSON_MAX):
        assert refusal(decoder, "nonsense") == "the message is not valid JSON"
    assert (decoder.limits.not_json, decoder.limits.is_exceeded) == (10, False)
    assert refusal(decoder, "nonsense")
    assert decoder.limits.is_exceeded


def test_control_events_beyond_the_rate_are_dropped_wrong_ones_too_and_slow_the_reading_down() -> None:
    decoder = VoiceFrameDecoder(0.0)
    for number in range(100):
        if number % 2:
            decoder.decode(PING, 0.0)
        else:
            refusal(decoder, "nonsense")
        assert decoder.pause_seconds == 0.0
    assert refusal(decoder, PING) == "more than 50 events a second; this one was dropped"
    assert decoder.pause_seconds == 0.02
    assert refusal(decoder, "nonsense") == "the message is not valid JSON"
    assert decoder.pause_seconds == 0.02
    assert isinstance(decoder.decode(SECOND, 0.0), AudioAppended)
    assert decoder.pause_seconds == 0.0
    decoder.decode(PING, 0.02)
    assert refusal(decoder, PING, 0.03)
    large = PING + " " * (limits.BYTES_PER_CONTROL_EVENT * 2 - len(PING))
    assert refusal(decoder, large, 0.04)
    assert decoder.pause_seconds == 0.04
    decoder.decode(large, 0.06)
    assert refusal(decoder, PING, 0.06)


def test_five_questions_may_be_typed_at_once_and_then_one_a_second() -> None:
    decoder = VoiceFrameDecoder(0.0)
    for _ in range(5):
        decoder.decode(QUESTION, 0.0)
    assert refusal(decoder, QUESTION) == "too many typed questions at once; this one was dropped"
    assert decoder.pause_seconds == 0.0
    decoder.decode(PING, 0.0)
    decoder.decode(QUESTION, 1.0)
    assert refusal(decoder, QUESTION, 1.9)


def test_a_message_has_two_seconds_of_sound_at_most_and_counts_as_an_event_if_it_has_more() -> None:
    decoder = VoiceFrameDecoder(0.0)
    event = decoder.decode(SECOND * 2, 0.0)
    assert isinstance(event, AudioAppended)
    assert event.duration_ms == 2000.0
    for _ in range(69):
        assert refusal(decoder, SECOND * 2 + b"\0\0") == "more than 2 s of sound in one message"
    assert decoder.pause_seconds == pytest.approx((96_002 / 65_536) / 50)


def test_a_drop_in_clients_frames_are_handled_later_and_none_is_dropped() -> None:
    decoder = RealtimeFrameDecoder(ClientEventReader(ClientSettings(SESSION_CONFIG.model, frozenset()), "vt_"), 0.0)
    for number in range(limits.NOT_JSON_MAX + 1):
        assert not decoder.limits.is_exceeded
        for frame, not_json in (('{"type":"nonsense"}', number), ("nonsense", number + 1)):
            with pytest.raises(InvalidEvent):
                decoder.decode(frame)
            assert decoder.limits.not_json == not_json
    assert decoder.limits.is_exceeded
    ahead = limits.PASSTHROUGH_AHEAD_SECONDS_MAX
    assert decoder.pause("", AudioAppended("", ahead * 1000), 0.0) == 0.0
    assert decoder.pause("", AudioAppended("", 1000.0), 0.0) == 0.5
    frame = " " * limits.BYTES_PER_CONTROL_EVENT
    assert [decoder.pause(frame, None, 0.0) for _ in range(51)] == [0.0] * 50 + [0.04]
    assert decoder.pause("", None, 0.02) == pytest.approx(0.04)


async def test_frames_wait_in_their_order_and_the_next_is_read_while_they_are_below_the_bounds(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(limits, "CLIENT_FRAMES_QUEUED_MAX", 4)
    monkeypatch.setattr(limits, "CLIENT_BYTES_QUEUED_MAX", 10)
    budget = ByteBudget(base_bytes=0)
    queue = ReceiveQueue(ByteAccount(budget, "ann"))
    frames = ["a", "b", "c", "d", "e" * 9, "f"]
    async with trio.open_nursery() as nursery:

        async def fill() -> None:
            for frame in frames:
                await queue.put(frame)

        nursery.start_soon(fill)
        taken, waiting, held = [], [], []
        for _ in frames:
            await trio.testing.wait_all_tasks_blocked()
            waiting.append(len(queue))
            held.append(budget.used)
            taken.append(queue.take())
    assert taken == frames
    assert waiting == [4, 4, 3, 3, 2, 1]
    assert held == [4, 12, 11, 11, 10, 1]
    with pytest.raises(IndexError):
        queue.take()
