"""One attempt to reach the upstream, and the next ones: what each failure is, and that no link stays open."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
import pytest
import trio

from voice_trio import limits
from voice_trio.errors import BadMessage, LinkClosed, ModelRefused, ModelUnavailable, SettingsRefused
from voice_trio.net.link import Link
from voice_trio.session.config import RetryPolicy
from voice_trio.session.upstream.connect import (
    UPDATE_ID,
    open_once,
    send_with_timeout,
    wait_for_state,
    with_retries,
)

if TYPE_CHECKING:
    from trio.testing import MockClock


class ScriptedLink(Link):
    """Receives these frames and is closed then; a send takes `send_seconds`."""

    def __init__(self, *frames: object, reason: str = "gone", send_seconds: float = 0.0) -> None:
        self.frames = [
            frame if isinstance(frame, str | bytes) else msgspec.json.encode(frame).decode() for frame in frames
        ]
        self.closed_at: float | None = None
        self.send_seconds = send_seconds
        self.reason = reason

    async def receive(self) -> str | bytes:
        await trio.lowlevel.checkpoint()
        if not self.frames:
            raise LinkClosed(1006, self.reason)
        return self.frames.pop(0)

    async def send(self, message: str | bytes) -> None:
        await trio.sleep(self.send_seconds)
        if message == "refused":
            raise LinkClosed(1006, self.reason)

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        await trio.lowlevel.checkpoint()
        self.closed_at = trio.current_time()


def error(code: str, event_id: str | None = None, param: str | None = None) -> dict[str, object]:
    return {"type": "error", "error": {"type": code, "code": code, "message": "", "event_id": event_id, "param": param}}


CREATED = {"type": "session.created", "session": {}}
UPDATED = {"type": "session.updated", "session": {}}
OTHER = {"type": "rate_limits.updated"}


@pytest.mark.parametrize(
    ("kind", "frames", "failure", "words"),
    [
        ("session.created", [b"\0", OTHER, UPDATED, CREATED], None, ""),
        ("session.updated", [error("any"), error("any", "other"), CREATED, UPDATED], None, ""),
        ("session.created", ["nonsense"], ModelUnavailable, "the server does not speak the Realtime protocol"),
        ("session.created", [error("server_busy"), CREATED], ModelUnavailable, "server_busy"),
        ("session.created", [error(""), CREATED], ModelUnavailable, "unknown"),
        ("session.created", [error("insufficient_quota"), CREATED], ModelRefused, "insufficient_quota"),
        ("session.updated", [error("insufficient_quota"), UPDATED], ModelRefused, "insufficient_quota"),
        ("session.updated", [error("bad", UPDATE_ID)], SettingsRefused, "session.update refused: bad"),
        (
            "session.updated",
            [error("", UPDATE_ID, "voice")],
            SettingsRefused,
            "session.update refused: unknown (voice)",
        ),
    ],
)
async def test_what_a_server_says_before_a_state_of_its_session(
    kind: str, frames: list[object], failure: type[ModelUnavailable] | None, words: str
) -> None:
    link = ScriptedLink(*frames)
    if failure is None:
        assert (await wait_for_state(link, kind)).type == kind
    else:
        with pytest.raises(failure) as raised:
            await wait_for_state(link, kind)
        assert (type(raised.value) is failure or failure is SettingsRefused, str(raised.value)) == (True, words)


async def attempt(link: ScriptedLink, *, dial_seconds: float = 0.0, shake_seconds: float = 0.0) -> str:
    """The first frame of the link, by `open_once` with five seconds at most."""

    async def dial(nursery: trio.Nursery) -> Link:
        await trio.sleep(dial_seconds)
        return link

    async def shake(link: Link) -> str:
        await trio.sleep(shake_seconds)
        frame = await link.receive()
        if frame == "refuse":
            raise ModelRefused("no")
        if frame == "break":
            raise BadMessage("broken")
        return str(frame)

    result = ""
    async with trio.open_nursery() as nursery:
        try:
            result = await open_once(dial, nursery, shake, 5.0)
        except (ModelUnavailable, BadMessage) as raised:
            result = f"{type(raised).__name__}: {raised}"
    return result


@pytest.mark.parametrize(
    ("frame", "reason", "dial_seconds", "shake_seconds", "result", "is_closed"),
    [
        ("hello", "", 1.0, 3.9, "hello", False),
        ("hello", "", 5.1, 0.0, "ModelUnavailable: not ready after 5 s: waited for a connection", False),
        ("hello", "", 1.0, 4.1, "ModelUnavailable: not ready after 5 s: waited for a connection", True),
        (None, "away", 0.0, 0.0, "ModelUnavailable: during the handshake: closed with 1006 away", True),
        (None, "x insufficient_quota", 0.0, 0.0, "ModelRefused: x insufficient_quota", True),
        ("refuse", "", 0.0, 0.0, "ModelRefused: no", True),
        ("break", "", 0.0, 0.0, "BadMessage: broken", True),
    ],
)
async def test_a_link_that_is_of_no_use_is_closed_and_its_failure_has_a_reason(
    autojump_clock: MockClock,
    frame: str | None,
    reason: str,
    dial_seconds: float,
    shake_seconds: float,
    result: str,
    is_closed: bool,
) -> None:
    link = ScriptedLink(*([] if frame is None else [frame]), reason=reason)
    assert await attempt(link, dial_seconds=dial_seconds, shake_seconds=shake_seconds) == result
    assert (link.closed_at is not None) is is_closed


async def test_a_link_whose_session_ends_in_the_handshake_is_closed_at_once(autojump_clock: MockClock) -> None:
    link, began_at = ScriptedLink("hello"), trio.current_time()
    with trio.move_on_after(2.0):
        await attempt(link, dial_seconds=1.0, shake_seconds=3.0)
    assert link.closed_at is not None
    assert link.closed_at - began_at == pytest.approx(2.0)


async def test_a_send_says_why_its_link_is_of_no_more_use(autojump_clock: MockClock) -> None:
    assert await send_with_timeout(ScriptedLink(), "x") is None
    assert await send_with_timeout(ScriptedLink(reason="away"), "refused") == str(LinkClosed(1006, "away"))
    began_at = trio.current_time()
    assert await send_with_timeout(ScriptedLink(send_seconds=60.0), "x") == "send timed out after 10 s"
    assert trio.current_time() - began_at == pytest.approx(limits.UPSTREAM_SEND_SECONDS_MAX)


@pytest.mark.parametrize(
    ("attempts_max", "failures", "times"),
    [
        (4, 4, [0.0, 1.0, 3.0, 6.0]),
        (4, 3, [0.0, 1.0, 3.0, 6.0]),
        (1, 1, [0.0]),
        (None, 5, [0.0, 1.0, 3.0, 6.0, 9.0, 12.0]),
    ],
)
async def test_the_pauses_between_attempts_grow_to_their_longest(
    autojump_clock: MockClock,
    monkeypatch: pytest.MonkeyPatch,
    attempts_max: int | None,
    failures: int,
    times: list[float],
) -> None:
    monkeypatch.setattr("voice_trio.session.upstream.connect.with_jitter", lambda pause: pause)
    policy = RetryPolicy(attempts_max=attempts_max, backoff_seconds=1.0, backoff_factor=2.0, backoff_seconds_max=3.0)
    began_at, tried = trio.current_time(), list[float]()

    async def fail() -> str:
        await trio.lowlevel.checkpoint()
        tried.append(round(trio.current_time() - began_at, 6))
        if len(tried) <= failures:
            raise ModelUnavailable(f"{len(tried)}")
        return "ready"

    if failures == attempts_max:
        with pytest.raises(ModelUnavailable, match=f"^{failures}$"):
            await with_retries(fail, policy)
    else:
        assert await with_retries(fail, policy) == "ready"
    assert tried == times
