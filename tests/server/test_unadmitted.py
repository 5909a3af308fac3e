"""Connections without a session: how many there may be, of one address too, and which one makes room."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.server.unadmitted import Unadmitted, UnadmittedConnections

if TYPE_CHECKING:
    from collections.abc import Iterable

PUBLIC, OTHER = "8.8.8.8", "9.9.9.9"


def added(connections: UnadmittedConnections, peer: str) -> Unadmitted:
    slot = connections.add(peer)
    assert slot is not None
    return slot


def test_the_total_is_bounded_and_a_released_slot_is_free_again() -> None:
    connections = UnadmittedConnections(2, 2)
    first, _ = added(connections, PUBLIC), added(connections, OTHER)
    assert connections.add("7.7.7.7") is None
    first.release()
    first.release()
    added(connections, "7.7.7.7")
    assert len(connections) == 2


def test_one_address_cannot_take_every_slot() -> None:
    connections = UnadmittedConnections(10, 2)
    first, _ = added(connections, PUBLIC), added(connections, PUBLIC)
    assert connections.add(PUBLIC) is None
    added(connections, OTHER)
    first.release()
    added(connections, PUBLIC)
    assert len(connections) == 3


def test_a_subscriber_of_ipv6_is_one_address() -> None:
    connections = UnadmittedConnections(10, 1)
    added(connections, "2a00:1450::1")
    assert connections.add("2a00:1450::2") is None
    added(connections, "2a00:1450:0:1::1")


@pytest.mark.parametrize("peer", ["127.0.0.1", "10.1.2.3", "::1", "::ffff:192.168.0.1"])
def test_a_private_address_may_be_a_proxy_and_has_no_limit_of_its_own(peer: str) -> None:
    connections = UnadmittedConnections(3, 1)
    for _ in range(3):
        added(connections, peer)
    assert connections.add(peer) is None


def test_behind_trusted_proxies_the_address_counts_once_it_is_known() -> None:
    connections = UnadmittedConnections(10, 1, trusted_hops=1)
    first, second = added(connections, "10.0.0.1"), added(connections, "10.0.0.1")
    assert first.set_address("10.9.9.9")
    assert not second.set_address("10.9.9.9")
    assert first.set_address(PUBLIC)  # the next request on the proxy's connection is another client's
    assert second.set_address("10.9.9.9")


async def test_of_those_that_wait_for_their_client_one_makes_room_the_idle_ones_first() -> None:
    connections = UnadmittedConnections(4, 4)
    order: list[str] = []

    async def wait(slot: Unadmitted, name: str) -> None:
        with slot.receiving(60) if name == "receiving" else slot.idle(60):
            await trio.Event().wait()
        order.append(name)

    async with trio.open_nursery() as nursery:
        added(connections, PUBLIC)  # busy: never closed
        for name in ("receiving", "first", "second"):
            nursery.start_soon(wait, added(connections, OTHER), name)
            await trio.testing.wait_all_tasks_blocked()
        for name in ("first", "second", "receiving"):
            added(connections, PUBLIC)
            await trio.testing.wait_all_tasks_blocked()
            assert order[-1] == name
        assert connections.add(OTHER) is None
        assert len(connections) == 4


async def displaced_by_a_newcomer(
    connections: UnadmittedConnections, arrivals: Iterable[tuple[str, str, int]]
) -> list[str]:
    """The names of those displaced, after so many of each name and address have come and then one more connection."""
    displaced: list[str] = []

    async def wait(slot: Unadmitted, name: str) -> None:
        with slot.receiving(60):
            await trio.Event().wait()
        displaced.append(name)

    async with trio.open_nursery() as nursery:
        for name, peer, count in arrivals:
            for _ in range(count):
                nursery.start_soon(wait, added(connections, peer), name)
                await trio.testing.wait_all_tasks_blocked()
        added(connections, "6.6.6.6")
        await trio.testing.wait_all_tasks_blocked()
        found = list(displaced)
        nursery.cancel_scope.cancel()
    return found


async def test_an_address_with_many_connections_displaces_its_own_and_not_the_one_of_another_I13() -> None:
    arrivals = (("one", OTHER, 1), ("office", "7.7.7.7", 7), ("flood", PUBLIC, 40))
    assert await displaced_by_a_newcomer(UnadmittedConnections(20, 16), arrivals) == ["flood"] * 29


async def test_the_users_of_one_office_make_no_room_before_those_who_have_waited_longer_I13() -> None:
    arrivals = (("oldest", OTHER, 1), ("office", "7.7.7.7", 8), ("last", PUBLIC, 1))
    assert await displaced_by_a_newcomer(UnadmittedConnections(10, 16), arrivals) == ["oldest"]


async def test_a_connection_that_has_made_room_makes_none_again_I13() -> None:
    connections = UnadmittedConnections(1, 1)
    first = added(connections, PUBLIC)
    with first.receiving(60) as scope:
        second = added(connections, OTHER)
        assert scope.cancel_called
        await trio.sleep(1)
    with first.receiving(60):  # it still says goodbye
        assert connections.add("7.7.7.7") is None
        assert len(connections) == 1
    second.release()
    added(connections, "7.7.7.7")


async def test_an_address_at_its_limit_makes_room_with_its_own_idle_connection_only() -> None:
    connections = UnadmittedConnections(10, 1)
    async with trio.open_nursery() as nursery:
        with added(connections, OTHER).idle(60) as others, added(connections, PUBLIC).idle(60) as own:
            added(connections, PUBLIC)
            assert (own.cancel_called, others.cancel_called) == (True, False)
            assert connections.add(PUBLIC) is None
        nursery.cancel_scope.cancel()


@given(st.lists(st.tuples(st.sampled_from([PUBLIC, OTHER, "10.0.0.1"]), st.integers(0, 3)), max_size=60))
def test_whatever_comes_and_goes_the_counts_return_to_nothing(moves: list[tuple[str, int]]) -> None:
    connections = UnadmittedConnections(4, 2)
    slots: list[Unadmitted] = []
    for peer, index in moves:
        if index < len(slots):
            slots.pop(index).release()
        elif (slot := connections.add(peer)) is not None:
            slots.append(slot)
        assert len(connections) == len(slots) <= 4
        assert all([slot.address for slot in slots].count(address) <= 2 for address in (PUBLIC, OTHER))
    for slot in slots:
        slot.release()
    assert (len(connections), connections._by_address) == (0, {})
