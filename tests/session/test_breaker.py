"""The breaker between all sessions of a process and the upstream: what opens it, for whom, and how it closes."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import pytest
import trio
import trio.testing

from tests.support.session_fixture import SessionFixture
from voice_trio import limits
from voice_trio.errors import ModelRefused, ModelUnavailable, SettingsRefused
from voice_trio.session.upstream.breaker import UpstreamAccess, UpstreamBreaker

if TYPE_CHECKING:
    from trio.testing import MockClock

USERS = ("ann", "ben", "cleo", "dora", "emil")


class UpstreamFake:
    """An upstream whose handshake takes some time, and fails with `error` if there is one."""

    def __init__(self, seconds: float = 0.01) -> None:
        self.seconds = seconds
        self.error: ModelUnavailable | None = ModelUnavailable("away")
        self.dialled_at: list[float] = []
        self.at_once = self.at_once_max = 0
        self._began_at = trio.current_time()

    async def dial(self) -> str:
        self.dialled_at.append(round(trio.current_time() - self._began_at, 3))
        self.at_once += 1
        self.at_once_max = max(self.at_once_max, self.at_once)
        try:
            await trio.sleep(self.seconds)
            if self.error is not None:
                raise self.error
            return "ready"
        finally:
            self.at_once -= 1


async def fail(breaker: UpstreamBreaker, upstream: UpstreamFake, *users: str) -> None:
    for user in users:
        with pytest.raises(ModelUnavailable):
            await breaker.dial(user, upstream.dial, waits=False)


async def test_F65_five_failures_in_a_row_open_it_and_newcomers_are_refused_without_a_dial(
    autojump_clock: MockClock,
) -> None:
    breaker, upstream = UpstreamBreaker(), UpstreamFake()
    await fail(breaker, upstream, *USERS[:4])
    assert (breaker.is_failing, breaker.seconds_to_probe("newcomer")) == (False, 0.0)
    await fail(breaker, upstream, USERS[4])
    assert breaker.is_failing
    assert 0.15 <= breaker.seconds_to_probe("newcomer") <= 0.3
    await fail(breaker, upstream, "newcomer")
    assert len(upstream.dialled_at) == 5


async def test_F65_it_is_probed_by_one_at_a_time_with_growing_pauses(autojump_clock: MockClock) -> None:
    breaker, upstream = UpstreamBreaker(), UpstreamFake()
    await fail(breaker, upstream, *USERS)
    upstream.dialled_at.clear()
    with trio.move_on_after(30.0):
        async with trio.open_nursery() as nursery:
            for number in range(120):
                nursery.start_soon(dial_for_ever, breaker, upstream, f"user{number}")
    assert upstream.at_once_max == 1
    pauses = [later - earlier for earlier, later in zip(upstream.dialled_at, upstream.dialled_at[1:], strict=False)]
    assert all(2.0 <= pause <= 4.1 for pause in pauses[5:])
    assert len(upstream.dialled_at) <= 20


async def dial_for_ever(breaker: UpstreamBreaker, upstream: UpstreamFake, user: str) -> None:
    while True:
        try:
            await breaker.dial(user, upstream.dial, waits=True)
        except ModelUnavailable:
            continue
        return


async def test_F65_sessions_that_recover_together_dial_a_few_at_once(autojump_clock: MockClock) -> None:
    breaker, upstream = UpstreamBreaker(), UpstreamFake(seconds=0.5)
    began_at = trio.current_time()
    async with trio.open_nursery() as nursery:
        for number in range(120):
            nursery.start_soon(dial_for_ever, breaker, upstream, f"user{number}")
        await trio.sleep(6.0)
        upstream.error = None
    assert upstream.at_once_max == 16
    assert trio.current_time() - began_at <= 6.0 + 4.0 + 120 / 16 * 0.5 + 1.0


async def test_F65_when_the_probe_succeeds_those_that_wait_go_on(autojump_clock: MockClock) -> None:
    breaker, upstream = UpstreamBreaker(), UpstreamFake()
    await fail(breaker, upstream, *USERS)
    upstream.error = None
    async with trio.open_nursery() as nursery:
        for user in USERS:
            nursery.start_soon(partial(breaker.dial, user, upstream.dial, waits=True))
    assert breaker.seconds_to_probe("newcomer") == 0.0
    assert breaker.is_failing  # until one of them has lasted
    await trio.sleep(5.1)
    assert not breaker.is_failing


async def test_F65_a_connection_that_does_not_last_is_a_failure_and_opens_it_again_for_longer(
    autojump_clock: MockClock,
) -> None:
    breaker, upstream = UpstreamBreaker(), UpstreamFake()
    upstream.error = None
    waits = []
    accesses = [UpstreamAccess(breaker, user) for user in USERS]
    for _ in range(8):
        for access in accesses:
            await access.dial(upstream.dial, waits=True)
            await trio.sleep(1.0)
            assert not access.note_lost()
        waits.append(breaker.seconds_to_probe("newcomer"))
    assert breaker.is_failing
    assert all(wait >= 2.0 for wait in waits[-1:])


async def test_F65_connections_that_were_lost_young_prove_nothing_later(autojump_clock: MockClock) -> None:
    breaker, upstream = UpstreamBreaker(), UpstreamFake()
    upstream.error = None
    accesses = [UpstreamAccess(breaker, user) for user in USERS]
    for access in accesses:
        await access.dial(upstream.dial, waits=False)
        await trio.sleep(0.1)
    for access in accesses:
        assert not access.note_lost()
    await trio.sleep(6.0)
    assert breaker.is_failing


async def test_F65_one_connection_that_lasts_ends_the_row(autojump_clock: MockClock) -> None:
    breaker, upstream = UpstreamBreaker(), UpstreamFake()
    for _ in range(5):
        await fail(breaker, upstream, *USERS[:4])
        upstream.error = None
        access = UpstreamAccess(breaker, "good")
        await access.dial(upstream.dial, waits=False)
        await trio.sleep(5.1)
        assert access.note_lost()
        upstream.error = ModelUnavailable("away")
    assert not breaker.is_failing


async def test_F65_failures_that_lie_far_apart_are_no_row(autojump_clock: MockClock) -> None:
    breaker, upstream = UpstreamBreaker(), UpstreamFake()
    for user in USERS * 2:
        await fail(breaker, upstream, user)
        await trio.sleep(61.0)
    assert not breaker.is_failing


@pytest.mark.parametrize("error", [ModelUnavailable("away"), ModelRefused("model_not_found")])
async def test_I13_what_fails_for_one_user_alone_is_kept_from_that_user_alone(
    autojump_clock: MockClock, error: ModelUnavailable
) -> None:
    breaker, upstream = UpstreamBreaker(), UpstreamFake()
    upstream.error = error
    await fail(breaker, upstream, *["mallory"] * 20)
    assert len(upstream.dialled_at) < 20
    assert breaker.seconds_to_probe("mallory") > 0
    assert breaker.seconds_to_probe("ann") == 0
    upstream.error = None
    assert await breaker.dial("ann", upstream.dial, waits=False) == "ready"


async def test_F59_one_session_that_looks_for_its_upstream_does_not_open_it(autojump_clock: MockClock) -> None:
    breaker, upstream = UpstreamBreaker(), UpstreamFake()
    access = UpstreamAccess(breaker, "ann")
    for _ in range(20):
        with pytest.raises(ModelUnavailable):
            await access.dial(upstream.dial, waits=True)
    assert len(upstream.dialled_at) == 20
    assert (breaker.is_failing, breaker.seconds_to_probe("ann")) == (False, 0.0)


async def test_I13_settings_that_the_upstream_refuses_say_nothing_about_others(autojump_clock: MockClock) -> None:
    breaker, upstream = UpstreamBreaker(), UpstreamFake()
    upstream.error = SettingsRefused("session.update refused: no such voice")
    await fail(breaker, upstream, *USERS * 4)
    assert (breaker.is_failing, breaker.seconds_to_probe("ann")) == (False, 0.0)


async def test_a_probe_that_is_cancelled_leaves_the_way_to_the_next(autojump_clock: MockClock) -> None:
    breaker, upstream = UpstreamBreaker(), UpstreamFake()
    await fail(breaker, upstream, *USERS)
    upstream.seconds, upstream.error = 1.0, None
    with trio.move_on_after(0.5) as session_over:
        await breaker.dial("ann", upstream.dial, waits=True)
    assert session_over.cancelled_caught
    assert await breaker.dial("ben", upstream.dial, waits=True) == "ready"


async def test_opening_and_closing_are_logged_once(
    autojump_clock: MockClock, capsys: pytest.CaptureFixture[str]
) -> None:
    breaker, upstream = UpstreamBreaker(), UpstreamFake()
    for _ in range(4):
        await fail(breaker, upstream, *USERS)
        await trio.sleep(4.0)
    upstream.error = None
    await breaker.dial("ann", upstream.dial, waits=True)
    await trio.sleep(5.1)
    assert not breaker.is_failing
    logged = capsys.readouterr().out
    assert (logged.count("upstream_breaker_opened"), logged.count("upstream_breaker_closed")) == (1, 1)


async def test_F65_twenty_sessions_whose_upstream_drops_them_at_once_do_not_stampede(
    autojump_clock: MockClock, nursery: trio.Nursery
) -> None:
    breaker = UpstreamBreaker()
    sessions = [SessionFixture(nursery, access=UpstreamAccess(breaker, f"user{number}")) for number in range(20)]
    for session in sessions:
        await session.ready()
    for session in sessions:
        nursery.start_soon(drop_every_connection, session)
    await trio.sleep(20.0)
    connected = sum(session.model.connections for session in sessions) - 20
    assert connected <= 20 * 8
    nursery.cancel_scope.cancel()


async def drop_every_connection(session: SessionFixture) -> None:
    while True:
        await session.model.drop()
        await session.model.wait_for_session(session.model.connections)


async def test_a_lost_connection_that_another_breaker_gave_is_a_failure_too(autojump_clock: MockClock) -> None:
    await trio.lowlevel.checkpoint()
    breaker = UpstreamBreaker()
    for number, user in enumerate(USERS):
        assert not breaker.is_failing
        assert not breaker.note_lost(user, trio.current_time(), number)
    assert breaker.is_failing


async def test_each_failed_probe_doubles_the_pause_up_to_four_seconds_and_a_connection_that_lasts_ends_it(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("voice_trio.session.upstream.breaker.with_jitter", lambda pause: pause)
    breaker, upstream = UpstreamBreaker(), UpstreamFake()
    await fail(breaker, upstream, *USERS)
    pauses = []
    for _ in range(7):
        pauses.append(round(breaker.seconds_to_probe("newcomer"), 6))
        with pytest.raises(ModelUnavailable, match="away"):
            await breaker.dial("newcomer", upstream.dial, waits=True)
    assert pauses == [0.3, 0.6, 1.2, 2.4, 4.0, 4.0, 4.0]
    upstream.error = None
    access = UpstreamAccess(breaker, "ann")
    assert await access.dial(upstream.dial, waits=True) == "ready"
    await trio.sleep(limits.UPSTREAM_PROVEN_SECONDS)
    assert not breaker.is_failing
    assert access.note_lost()
    upstream.error = ModelUnavailable("away")
    await fail(breaker, upstream, *USERS)
    assert round(breaker.seconds_to_probe("newcomer"), 6) == 0.3


async def test_while_one_probes_the_others_wait_or_are_refused_with_the_reason(autojump_clock: MockClock) -> None:
    breaker, upstream = UpstreamBreaker(), UpstreamFake()
    await fail(breaker, upstream, *USERS)
    await trio.sleep(5.0)
    assert breaker.seconds_to_probe("newcomer") == 0.0
    upstream.seconds, upstream.error = 1.0, None
    async with trio.open_nursery() as nursery:
        nursery.start_soon(lambda: breaker.dial("ann", upstream.dial, waits=False))
        await trio.sleep(0.5)
        assert breaker.seconds_to_probe("ben") == limits.RECOVERY_ATTEMPT_SECONDS_MAX
        with pytest.raises(ModelUnavailable, match=r"^the upstream failed several sessions; it will be probed again$"):
            await breaker.dial("ben", upstream.dial, waits=False)
        began_at = trio.current_time()
        assert await breaker.dial("cleo", upstream.dial, waits=True) == "ready"
        assert round(trio.current_time() - began_at, 6) == 1.5


async def test_a_row_ends_after_a_minute_without_a_failure_and_not_before(autojump_clock: MockClock) -> None:
    for pause, is_failing in ((limits.MINUTE_SECONDS - 0.01, True), (limits.MINUTE_SECONDS + 0.01, False)):
        breaker, upstream = UpstreamBreaker(), UpstreamFake()
        await fail(breaker, upstream, *USERS[:4])
        await trio.sleep(pause - upstream.seconds)
        await fail(breaker, upstream, USERS[4])
        assert breaker.is_failing is is_failing
