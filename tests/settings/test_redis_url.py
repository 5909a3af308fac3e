"""REDIS_URL in all its forms, the wrong ones too, and never a password in sight."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.errors import ConfigurationError
from voice_trio.settings import load_settings
from voice_trio.settings.redis_url import Layout, parse_redis_url


def test_a_single_server() -> None:
    url = parse_redis_url("redis://me:p%40ss@cache.example:7000/3")

    assert (url.layout, url.hosts, url.db, url.tls) == (Layout.SINGLE, (("cache.example", 7000),), 3, False)
    assert (url.user, url.password) == ("me", "p@ss")
    assert url.masked == "redis://me:***@cache.example:7000/3"


def test_the_least_there_can_be() -> None:
    url = parse_redis_url("redis://cache")

    assert (url.hosts, url.db, url.user, url.password, url.masked) == (
        (("cache", 6379),),
        0,
        None,
        None,
        "redis://cache",
    )


def test_tls() -> None:
    url = parse_redis_url("rediss://:secret@cache/0?ca=/etc/ca.pem")

    assert (url.tls, url.ca, url.masked) == (True, "/etc/ca.pem", "rediss://:***@cache/0?ca=/etc/ca.pem")


def test_sentinels() -> None:
    url = parse_redis_url("redis+sentinel://:s1@a:1,b,[::1]:3/main/2?sentinel_password=s2&tls=true")

    assert (url.layout, url.hosts) == (Layout.SENTINEL, (("a", 1), ("b", 26379), ("::1", 3)))
    assert (url.service, url.db, url.tls) == ("main", 2, True)
    assert (url.password, url.sentinel_password) == ("s1", "s2")
    assert "s1" not in url.masked
    assert "s2" not in url.masked
    assert "s1" not in repr(url)
    assert "s2" not in repr(url)


def test_a_cluster() -> None:
    url = parse_redis_url("redis+cluster://a:1,b:2")

    assert (url.layout, url.hosts) == (Layout.CLUSTER, (("a", 1), ("b", 2)))


@pytest.mark.parametrize(
    "text",
    [
        "http://cache",
        "cache:6379",
        "redis://",
        "redis://a,b",
        "redis://cache/zero",
        "redis://cache/0/1",
        "redis://cache:port",
        "redis://cache?colour=red",
        "redis+sentinel://a,b",
        "redis+cluster://a/1",
        "redis+cluster://a,,b",
    ],
)
def test_a_wrong_one_stops_the_start_and_is_not_quoted(text: str) -> None:
    with pytest.raises(ConfigurationError, match="REDIS_URL: must") as raised:
        load_settings({"REDIS_URL": text.replace("//", "//:hidden@", 1)})

    assert "hidden" not in str(raised.value)


@given(st.text())
def test_no_text_is_more_than_wrong(text: str) -> None:
    for scheme in ("redis", "rediss", "redis+sentinel", "redis+cluster"):
        try:
            parse_redis_url(f"{scheme}://{text}")
        except ValueError:
            continue


def test_instances_that_share_redis_must_share_a_signing_secret() -> None:
    shared = {
        "JWT_JWKS_URL": "https://id.example/keys",
        "JWT_AUDIENCE": "voice",
        "REDIS_URL": "redis://cache",
        "ENABLE_VOICE_REALTIME": "true",
    }
    with pytest.raises(ConfigurationError, match="VOICE_SIGNING_SECRET: must be set with JWT_JWKS_URL only and REDIS"):
        load_settings(shared)

    load_settings(shared | {"REDIS_ENABLED": "false"})
    load_settings(shared | {"VOICE_SIGNING_SECRET": "a secret of exactly that length: 40 bytes"})
