"""What the first frames of an upstream come to: its session, or an error that says whether to try again."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import trio

from tests.support.send_queue_fixture import RecordingLink
from voice_trio import limits
from voice_trio.errors import LinkClosed, ModelRefused, ModelUnavailable, SettingsRefused
from voice_trio.session.config import RetryPolicy
from voice_trio.session.upstream.connect import UPDATE_ID, open_once, send_with_timeout, wait_for_state, with_retries

if TYPE_CHECKING:
    from trio.testing import MockClock


class FrameLink(RecordingLink):
    """Gives these frames, then waits or closes."""

    def __init__(self, *frames: Any, closes: LinkClosed | None = None) -> None:
        super().__init__()
        self.frames = [each if isinstance(each, str | bytes) else msgspec.json.encode(each).decode() for each in frames]
        self.closes = closes
        self.was_closed = 0

    async def receive(self) -> str | bytes:
        await trio.lowlevel.checkpoint()
        if self.frames:
            return self.frames.pop(0)
        if self.closes is not None:
            raise self.closes
        await trio.sleep_forever()
        raise AssertionError

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        await trio.lowlevel.checkpoint()
        self.was_closed += 1


def error(code: str, event_id: str | None = None, param: str | None = None) -> dict[str, Any]:
    return {"type": "error", "error": {"code": code, "message": "m", "event_id": event_id, "param": param}}


CREATED = {"type": "session.created", "session": {"type": "realtime", "id": "s"}}
UPDATED = {"type": "session.updated", "session": {"type": "realtime", "id": "s"}}


async def test_frames_before_the_one_that_is_waited_for_are_passed_over(autojump_clock: MockClock) -> None:
    state = await wait_for_state(FrameLink(b"x", {"type": "rate_limits.updated"}, UPDATED, CREATED), "session.created")
    assert state.type == "session.created"
    link = FrameLink(CREATED, error("server_error"), error("x", "another"), UPDATED)
    assert (await wait_for_state(link, "session.updated")).type == "session.updated"


@pytest.mark.parametrize(
    ("frame", "kind", "raised", "text"),
    [
        ("{", "session.created", ModelUnavailable, "the server does not speak the Realtime protocol"),
        (error("invalid_api_key"), "session.created", ModelRefused, "invalid_api_key"),
        (error("insufficient_quota"), "session.updated", ModelRefused, "insufficient_quota"),
        (error("server_error"), "session.created", ModelUnavailable, "server_error"),
        (error("x", UPDATE_ID, "voice"), "session.updated", SettingsRefused, "session.update refused: x (voice)"),
        (error("x", UPDATE_ID), "session.updated", SettingsRefused, "session.update refused: x"),
    ],
)
async def test_a_refusal_says_what_it_is_about(
    autojump_clock: MockClock, frame: Any, kind: str, raised: type[Exception], text: str
) -> None:
    with pytest.raises(raised) as caught:
        await wait_for_state(FrameLink(frame), kind)
    assert type(caught.value) is raised or isinstance(caught.value, SettingsRefused)
    assert str(caught.value) == text


@pytest.mark.parametrize(
    ("param", "may_be"), [(None, True), ("session.audio.input.transcription", True), ("session.voice", False)]
)
async def test_a_refused_update_may_be_about_transcription(
    autojump_clock: MockClock, param: str | None, may_be: bool
) -> None:
    with pytest.raises(SettingsRefused) as caught:
        await wait_for_state(FrameLink(error("x", UPDATE_ID, param)), "session.updated")
    assert getattr(caught.value, "may_be_transcription", None) is may_be
    assert getattr(caught.value, "code", None) == "x"


@pytest.mark.parametrize(
    ("closes", "raised", "text", "at"),
    [
        (None, ModelUnavailable, "not ready after 2 s: waited for session.created", 2.0),
        (LinkClosed(1011, "away"), ModelUnavailable, "during the handshake: closed with 1011 away", 0.0),
        (LinkClosed(1008, "see invalid_api_key."), ModelRefused, "see invalid_api_key.", 0.0),
    ],
)
async def test_a_link_that_does_not_get_ready_is_closed_with_its_reason(
    autojump_clock: MockClock,
    nursery: trio.Nursery,
    closes: LinkClosed | None,
    raised: type[Exception],
    text: str,
    at: float,
) -> None:
    link = FrameLink(closes=closes)

    async def dial(_: trio.Nursery) -> FrameLink:
        await trio.lowlevel.checkpoint()
        return link

    with pytest.raises(raised) as caught:
        await open_once(dial, nursery, lambda opened: wait_for_state(opened, "session.created"), 2.0)
    assert (str(caught.value), link.was_closed, trio.current_time()) == (text, 1, at)


async def test_attempts_end_with_the_last_and_a_refusal_ends_them_at_once(autojump_clock: MockClock) -> None:
    asked: list[float] = []
    failure: ModelUnavailable = ModelUnavailable("away")

    async def attempt() -> str:
        await trio.lowlevel.checkpoint()
        asked.append(trio.current_time())
        if len(asked) < 4:
            raise failure
        return "ready"

    with pytest.raises(ModelUnavailable):
        await with_retries(attempt, RetryPolicy(attempts_max=3, backoff_seconds=0.0))
    assert len(asked) == 3
    assert await with_retries(attempt, RetryPolicy(attempts_max=1)) == "ready"
    asked.clear()
    failure = ModelRefused("no")
    with pytest.raises(ModelRefused):
        await with_retries(attempt, RetryPolicy())
    assert len(asked) == 1
    asked.clear()
    failure = ModelUnavailable("away")
    assert await with_retries(attempt, RetryPolicy(None, 1.0, 4.0, 2.0, 6.0)) == "ready"
    pauses = [later - earlier for earlier, later in pairwise(asked)]
    bounds = ((2.0, 4.0), (3.0, 6.0), (3.0, 6.0))
    assert all(low <= pause <= high for pause, (low, high) in zip(pauses, bounds, strict=True))


async def test_a_frame_is_sent_or_the_reason_is_told(autojump_clock: MockClock) -> None:
    link = FrameLink()
    assert await send_with_timeout(link, "x") is None
    assert link.texts == ["x"]
    link.stall()
    reason = await send_with_timeout(link, "y")
    assert reason == f"send timed out after {limits.UPSTREAM_SEND_SECONDS_MAX:g} s"
