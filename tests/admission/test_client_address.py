"""The address of a client behind proxies, and the origins that may connect."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.admission.client_address import (
    TrustedProxies,
    client_address,
    mask_address,
    origin_is_allowed,
)
from voice_trio.errors import ConfigurationError
from voice_trio.settings import load_settings

PROXY = "10.0.0.1"


def test_without_proxies_only_the_socket_is_believed() -> None:
    assert client_address("203.0.113.5", ["1.2.3.4"], 0) == "203.0.113.5"


@pytest.mark.parametrize(
    ("forwarded_for", "hops", "expected"),
    [
        (["203.0.113.5"], 1, "203.0.113.5"),
        (["6.6.6.6, 203.0.113.5"], 1, "203.0.113.5"),
        (["6.6.6.6", "203.0.113.5"], 1, "203.0.113.5"),
        (["6.6.6.6, 203.0.113.5, 10.0.0.2"], 2, "203.0.113.5"),
        (["203.0.113.5:4711"], 1, "203.0.113.5"),
        (["[2001:db8:1:2:3::4]:4711"], 1, "2001:db8:1:2::/64"),
        (["::ffff:203.0.113.5"], 1, "203.0.113.5"),
        ([], 1, PROXY),
        (["203.0.113.5"], 2, PROXY),
        (["unknown"], 1, PROXY),
        (["203.0.113.5, "], 1, PROXY),
    ],
)
def test_behind_proxies_the_entry_that_our_outermost_one_wrote_is_believed(
    forwarded_for: list[str], hops: int, expected: str
) -> None:
    assert client_address(PROXY, forwarded_for, hops) == expected


@given(st.lists(st.text(max_size=40), max_size=4), st.integers(1, 3))
def test_whatever_a_client_writes_it_cannot_choose_its_address(spoofed: list[str], hops: int) -> None:
    honest = ["203.0.113.5", "10.0.0.3", "10.0.0.2"][:hops]

    assert client_address(PROXY, [*spoofed, ", ".join(honest)], hops) == "203.0.113.5"


def test_addresses_of_one_ipv6_subscriber_are_one() -> None:
    assert client_address("2001:db8::1", [], 0) == client_address("2001:db8::ffff:2%eth0", [], 0)
    assert client_address("2001:db8::1", [], 0) != client_address("2001:db8:0:1::1", [], 0)


def test_a_peer_without_an_address_still_has_a_name() -> None:
    assert client_address("", [], 0) == "unknown"
    assert client_address("@abstract", [], 0) == "@abstract"


@pytest.mark.parametrize(
    ("origin", "allowed", "expected"),
    [
        (None, ("https://app.example",), True),
        ("https://evil.example", ("*",), True),
        ("https://App.example", ("https://app.example",), True),
        ("https://evil.example", ("https://app.example",), False),
        ("https://app.example.evil.example", ("https://app.example",), False),
        ("http://app.example", ("https://app.example",), False),
        ("null", ("https://app.example",), False),
        ("", ("https://app.example",), False),
    ],
)
def test_a_page_connects_where_its_origin_is_listed(
    origin: str | None, allowed: tuple[str, ...], expected: bool
) -> None:
    assert origin_is_allowed(origin, allowed) is expected


@pytest.mark.parametrize(
    ("address", "masked"),
    [
        ("192.0.2.77", "192.0.2.0"),
        ("2001:db8:1:2:3::4", "2001:db8:1::"),
        ("2001:db8:1:2::/64", "2001:db8:1::"),
        ("unknown", "unknown"),
        ("", "unknown"),
    ],
)
def test_a_masked_address_names_a_network(address: str, masked: str) -> None:
    assert mask_address(address) == masked


def test_a_platform_with_a_header_of_its_own_is_asked_for_it_F53() -> None:
    proxies = TrustedProxies.of(
        load_settings({"CLIENT_ADDRESS_HEADER": "DO-Connecting-IP", "TRUSTED_PROXY_HOPS": "1"}).web
    )
    headers = [(b"X-Forwarded-For", b"10.0.0.7"), (b"DO-Connecting-IP", b"203.0.113.5")]
    assert proxies.client_address(PROXY, headers) == "203.0.113.5"
    assert proxies.client_address(PROXY, headers[:1]) == PROXY  # it bypassed the platform
    assert TrustedProxies(1).client_address(PROXY, headers) == "10.0.0.7"
    assert TrustedProxies().client_address(PROXY, headers) == PROXY


def test_a_header_that_is_none_or_without_effect_is_named_F53() -> None:
    with pytest.raises(ConfigurationError, match="CLIENT_ADDRESS_HEADER: must be the name of a header"):
        load_settings({"CLIENT_ADDRESS_HEADER": "X Forwarded: For"})
    assert load_settings({"CLIENT_ADDRESS_HEADER": "X-Real-IP"}).warnings == (
        "CLIENT_ADDRESS_HEADER has no effect while TRUSTED_PROXY_HOPS is 0",
    )
