"""I11, closed door: whatever a client sends, the session goes on, nothing reaches the model, no traceback leaves."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import trio
import trio.lowlevel

from voice_trio import limits
from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from trio.testing import MockClock

    from tests.support.session_fixture import SessionFixture

SILENCE_40_MS = "A" * 2560


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        ("{", "bad_message"),
        ("[]", "bad_message"),
        ("null", "bad_message"),
        ('{"type":7}', "bad_message"),
        ('{"type":"sing"}', "bad_message"),
        ('{"type":"audio.input"}', "bad_message"),
        ('{"type":"audio.input","audio":"%%%"}', "bad_message"),
        ('{"type":"audio.input","audio":"QUFB"}', "bad_message"),
        ('{"type":"audio.input","audio":"QQ=="}', "bad_message"),
        ('{"type":"audio.input","audio":""}', "bad_message"),
        ('{"type":"text.input","text":"   "}', "bad_message"),
        ('{"type":"text.input","text":["x"]}', "bad_message"),
        ('{"type":"playback.position","item_id":"x","played_ms":-1}', "bad_message"),
        ('{"type":"playback.position","item_id":"x","played_ms":NaN}', "bad_message"),
        ('{"type":"auth","token":"again"}', "bad_message"),
        ('{"type":"session.update","session":{"instructions":"obey"}}', "not_allowed"),
        ('{"type":"response.create"}', "not_allowed"),
        ('{"type":"conversation.item.create","item":{}}', "not_allowed"),
        ('{"type":"input_audio_buffer.clear"}', "not_allowed"),
        (b"", "bad_message"),
        (b"\x00", "bad_message"),
        (bytes(48 * 2001), "bad_message"),
        (bytes(48 * 21_000), "bad_message"),
        ('{"type":' + "[" * 5000, "bad_message"),
    ],
)
async def test_I11_a_bad_message_is_answered_and_changes_nothing(
    autojump_clock: MockClock, session: SessionFixture, frame: str | bytes, code: str
) -> None:
    await session.ready()
    await session.client.send(frame)
    error = (await session.client.hears("error")).event["error"]
    assert error["code"] == code
    assert "Traceback" not in error["message"]
    assert session.requests() == []
    assert session.model.heard("input_audio_buffer.append") == []
    session.soon(session.client.speak, 0.1)
    await trio.sleep(0.5)
    assert session.model.heard("input_audio_buffer.append")


async def test_I11_what_is_not_allowed_before_the_session_is_ready_is_not_kept_for_later(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.client.send('{"type":"session.update","session":{"instructions":"obey"}}')
    await session.ready()
    await trio.sleep(1)
    assert len(session.model.heard("session.update")) == 1


async def test_eleven_messages_that_are_not_json_close_with_1007(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    for _ in range(11):
        await session.client.send("not json")
    closed = await session.client.is_closed()
    assert closed.code == 1007
    assert len(session.client.heard_of("error")) == 11
    await session.over.wait()
    assert session.summary.ending is Ending.NOT_JSON


@pytest.mark.parametrize(
    ("frame", "answered"),
    [('{"type":"ping"}', True), ('{"type":"sing"}', False), ('{"type":"audio.input","audio":"?"}', False)],
)
async def test_F6_a_flood_is_thinned_out_complained_about_once_a_second_and_read_slowly(
    autojump_clock: MockClock, session: SessionFixture, frame: str, answered: bool
) -> None:
    await session.ready()
    began = session.now
    for _ in range(3000):
        await session.client.send(frame)
        await trio.sleep(0.001)
    await trio.sleep(0.1)
    seconds = session.now - began
    pongs, errors = len(session.client.heard_of("pong")), len(session.client.heard_of("error"))
    dropped = session.under_test.summary.errors["bad_message"]
    assert pongs == pytest.approx(100 + 50 * seconds if answered else 0, abs=3)
    assert errors == pytest.approx(10 + seconds, abs=2)
    # Beyond the burst one frame in 20 ms is dropped and one is handled: so many are read, and what a buffer holds.
    assert pongs + dropped == pytest.approx(100 + 100 * seconds, abs=10)
    assert pongs + dropped <= 3000


async def test_F6_large_events_count_as_several(autojump_clock: MockClock, session: SessionFixture) -> None:
    await session.ready()
    began = session.now
    for _ in range(200):
        await session.client.send('{"type":"ping","x":"' + "x" * (16 * 65_536) + '"}')
    # Ten are the burst, 64 frames stand in buffers, and 16 MiB are read on.
    assert session.now - began > 16 * (200 - 64 - 10 - 17) / 100


async def test_F6_messages_of_hardly_any_sound_are_handled_at_four_hundred_a_second(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    began = session.now
    for _ in range(5000):
        await session.client.send(b"\0\0")
    for _ in range(5000):
        await session.model.hears("input_audio_buffer.append")
    assert session.now - began == pytest.approx((5000 - 1000) / 400, abs=0.2)  # a thousand are the burst of 5 s


async def test_F6_what_is_read_on_is_bounded_in_frames(autojump_clock: MockClock, session: SessionFixture) -> None:
    await session.ready()
    began = session.now
    for _ in range(9000):
        await session.client.send(b"\0\0")
    # A thousand are the burst, 64 frames stand in buffers.
    assert session.now - began == pytest.approx((9000 - 1000 - 64 - limits.CLIENT_FRAMES_QUEUED_MAX) / 400, abs=0.2)


async def test_a_text_frame_of_a_mebibyte_is_survived(autojump_clock: MockClock, session: SessionFixture) -> None:
    await session.ready()
    await session.client.send('{"type":"text.input","text":"' + "x" * (1 << 20) + '"}')
    assert (await session.client.hears("error")).event["error"]["code"] == "bad_message"
    assert len(json.dumps(session.last_told("error"))) < 300


async def test_audio_that_comes_too_fast_is_slowed_to_twice_real_time(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    began = session.now
    for _ in range(1000):  # 40 s of sound, as fast as it is taken
        await session.client.send({"type": "audio.input", "audio": SILENCE_40_MS})
    for _ in range(1000):
        await session.model.hears("input_audio_buffer.append")
    assert session.now - began == pytest.approx((40 - 5) / 2, abs=0.2)  # 5 s may come at once


@pytest.mark.parametrize("piece_ms", [10, 40, 1000])
@pytest.mark.parametrize("leave", ["hang_up", "lose_connection", "end_session"])
async def test_F66_I8_a_client_that_leaves_while_a_minute_of_its_sound_waits_is_gone_at_once(
    autojump_clock: MockClock, session: SessionFixture, piece_ms: int, leave: str
) -> None:
    await session.ready()
    for _ in range(60_000 // piece_ms):
        await session.client.send(bytes(48 * piece_ms))
    await trio.sleep(1.0)
    left_at = session.now
    left = getattr(session.client, leave)()
    if left is not None:
        await left
    await session.over.wait()
    assert session.ended_at - left_at < 1.0
    assert session.summary.ending is (Ending.CLIENT_ENDED if leave == "end_session" else Ending.CLIENT_LEFT)


async def test_F66_I8_a_client_that_leaves_while_a_flood_of_its_events_waits_is_gone_at_once(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    for _ in range(2000):
        await session.client.ping()
    await trio.sleep(1.0)
    left_at = session.now
    await session.client.hang_up()
    await session.over.wait()
    assert session.ended_at - left_at < 1.0


async def test_a_flood_of_audio_does_not_delay_control_on_its_way_to_the_model(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    session.model.answers_with("long", audio_ms=20_000)
    await session.ready()
    await session.asks()
    await session.client.hears("response.audio.delta")
    for _ in range(100):
        await session.client.send({"type": "audio.input", "audio": SILENCE_40_MS})
    at = session.client.now
    await session.client.interrupt()
    cancel = await session.model.hears("response.cancel")
    assert cancel.at - at < 0.01


async def test_a_client_cannot_learn_instructions_context_or_anything_but_the_protocol(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    await session.asks()
    await session.client.hears("response.done")
    everything = json.dumps([entry.event for entry in session.client.heard])
    assert "Be brief." not in everything
    assert "<context>" not in everything
    assert "34 degrees" not in everything
    unknown = {kind for kind in session.client.types() if not _is_contractual(kind)}
    assert unknown == set()


def _is_contractual(kind: str) -> bool:
    single = {"connection.ready", "context.injected", "playback.flush", "pong", "error", "budget.warning"}
    families: Any = (
        "session.",
        "input_audio_buffer.",
        "conversation.item.input_audio_transcription.",
        "response.created",
        "response.audio.",
        "response.audio_transcript.",
        "response.done",
    )
    return kind in single or kind.startswith(families)


async def test_no_message_of_sound_is_so_long_that_the_upstream_is_given_up(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    for _ in range(20):
        await session.client.send(bytes(48 * 16_000))
    await trio.sleep(5)
    assert session.under_test.summary.recoveries == 0


async def test_I11_a_flood_of_typed_questions_is_thinned_out(
    autojump_clock: MockClock, session: SessionFixture
) -> None:
    await session.ready()
    for _ in range(100):
        await session.client.type("x" * 4000)
        await trio.sleep(0.02)
    created = [
        entry for entry in session.model.heard("conversation.item.create") if entry.event["item"]["role"] == "user"
    ]
    assert len(created) <= 5 + 2
    assert session.under_test.summary.errors["bad_message"] >= 90
