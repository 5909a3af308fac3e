"""`voice-trio sessions list / show / end` and `rollout bar / unbar` (F18): through Redis, and every wrong argument."""

from __future__ import annotations

import json
import os
import time
from typing import TYPE_CHECKING, Any

import pytest
import trio
from click.testing import CliRunner

from tests.support.redis_fixture import instance
from voice_trio.auth.tokens import user_hash
from voice_trio.cli import main
from voice_trio.settings import load_settings
from voice_trio.state.session_directory import LiveSession
from voice_trio.state.session_record import RecordedItem, RecordedTurn, SessionRecord

if TYPE_CHECKING:
    from tests.support.redis_servers import RedisServer

SECRET = "a secret of exactly that length: 40 bytes"
SIGNING_SECRET = load_settings({"JWT_SECRET": SECRET}).signing_secret
ANN = user_hash("ann", SIGNING_SECRET)
HUGE = "x" * 100_000
NOTHING = " \n"
ESCAPES = "\x1b[2J\x07vs"


@pytest.fixture
def url(redis: RedisServer) -> str:
    redis.do("FLUSHALL")
    return redis.url


def run(*arguments: str, **environ: str | None) -> tuple[int, str, str]:
    """Exit code, standard output and standard error, in an environment with `environ` alone."""
    empty = {name: None for name in os.environ if name.startswith(("JWT_", "VOICE_", "REDIS_", "ENABLE_VOICE"))}
    result = CliRunner().invoke(main, list(arguments), env={**empty, **environ})
    return result.exit_code, result.stdout, result.stderr


def live(number: int, **changes: Any) -> LiveSession:
    usual: dict[str, Any] = {
        "session_id": f"vs_{number}",
        "user": ANN,
        "plan": "elite",
        "since": 1_800_000_000.0 + number,
        "connected_seconds": 61.4,
        "cost_usd": 0.25,
        "state": "answering",
        "protocol": "voice",
        "instance": "gone",
        "turns": 3,
    }
    return LiveSession(**(usual | changes))


def report(url: str, *sessions: LiveSession, record: SessionRecord | None = None) -> None:
    """As a gateway does, which is gone afterwards without a word."""

    async def one() -> None:
        async with instance(url) as state:
            begun = {} if record is None else {record.session_id: record.user_id}
            assert await state.directory.report(sessions, begun)
            if record is not None:
                await state.put_record(record)

    trio.run(one)


def recorded(**changes: Any) -> SessionRecord:
    usual: dict[str, Any] = {
        "session_id": "vs_9",
        "user_id": "ann",
        "instance": "a",
        "started": time.time(),
        "duration_seconds": 60.0,
        "connected_seconds": 31.0,
        "turns": (
            RecordedTurn(said=(RecordedItem(item_id="i", text="how warm\x1b[2J"),)),
            RecordedTurn(status="cancelled"),
        ),
        "cost_micro_usd": 20_000,
        "end_reason": "upstream_lost",
        "revision": 1,
    }
    return SessionRecord(**(usual | changes))


def test_live_sessions_are_listed_in_columns_or_as_json_of_all_or_of_one_user_F18(url: str) -> None:
    report(url, live(2, user="0f" * 16, state="draining"), live(1))
    exit_code, stdout, stderr = run("sessions", "list", REDIS_URL=url)
    header, first, second = stdout.splitlines()
    assert (exit_code, stderr, header.split()[0]) == (0, "", "session_id")
    assert first.split()[:4] == ["vs_1", ANN, "elite", "answering"]
    assert "2027-01-15 08:00:01 UTC  61 s       3      0.2500 USD" in first
    assert second.split()[3] == "draining"
    for environ in ({"JWT_SECRET": SECRET}, {"VOICE_SIGNING_SECRET": SIGNING_SECRET.get_secret_value()}):
        _, stdout, _ = run("sessions", "list", "--user", "ann", "--json", REDIS_URL=url, **environ)
        assert [one["session_id"] for one in json.loads(stdout)["sessions"]] == ["vs_1"]
    _, stdout, _ = run("sessions", "list", "--user", ANN, REDIS_URL=url)
    assert len(stdout.splitlines()) == 2


def test_no_live_session_is_said_F18(url: str) -> None:
    assert run("sessions", "list", REDIS_URL=url) == (0, "no live sessions\n", "")


def test_a_complaint_finds_the_record_and_no_words_F18(url: str) -> None:
    report(url, live(9), record=recorded())
    exit_code, stdout, _ = run("sessions", "show", "vs_9", REDIS_URL=url, JWT_SECRET=SECRET)
    assert exit_code == 0
    for line in (
        "end_reason         upstream_lost",
        "cost_usd           0.02",
        "turns              2 (1 completed, 1 c",
    ):
        assert line in stdout
    assert "how warm" not in stdout
    _, stdout, _ = run("sessions", "show", "vs_9", "--words", REDIS_URL=url, JWT_SECRET=SECRET)
    assert "said   how warm\\x1b[2J" in stdout
    assert "\x1b" not in stdout
    _, stdout, _ = run("sessions", "show", "vs_9", "--json", REDIS_URL=url, JWT_SECRET=SECRET)
    assert json.loads(stdout)["record"]["user"] == ANN
    _, stdout, _ = run("sessions", "show", "vs_9", "--json", REDIS_URL=url)
    assert json.loads(stdout)["record"]["user"] is None  # another secret would give a hash that is in no log


def test_a_user_is_barred_by_hash_in_the_document_F18(url: str) -> None:
    secret = {"REDIS_URL": url, "JWT_SECRET": SECRET}
    assert run("rollout", "bar", "ann", **secret) == (0, f"barred: {ANN} (version 1 of the rollout)\n", "")
    assert run("rollout", "bar", "ann", **secret) == (0, f"already barred: {ANN}\n", "")
    _, stdout, _ = run("rollout", "show", REDIS_URL=url)
    assert json.loads(stdout)["barred"] == [ANN]
    _, stdout, _ = run("rollout", "set", "--percent", "10", REDIS_URL=url)
    assert json.loads(stdout)["barred"] == [ANN]
    assert run("rollout", "unbar", "ann", **secret)[:2] == (0, f"admitted again: {ANN} (version 3 of the rollout)\n")
    assert run("rollout", "unbar", "ann", **secret) == (1, "", f"Error: not barred: {ANN}\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("sessions", "list", "--user", "ann"), "user: only a hash can be used without the gateways' JWT_SECRET"),
        (("sessions", "show", "vs_none"), "no session 'vs_none'"),
        (("sessions", "show", ESCAPES), "no session '\\x1b[2J"),
        (("sessions", "end", "vs_none"), "no live session 'vs_none'"),
        (("sessions", "end", "vs_1"), "no live session 'vs_1'"),  # listed by an instance that is gone
        (("sessions", "end", "--user", "0e" * 16), "this user has no live session"),
        (("rollout", "bar", "ann"), "user: only a hash can be used"),
        (("rollout", "unbar", "0f" * 16), "not barred: " + "0f" * 16),
    ],
)
def test_a_wrong_argument_gets_one_line_and_changes_nothing_F18(
    url: str, redis: RedisServer, arguments: tuple[str, ...], words: str
) -> None:
    report(url, live(1))
    _, before, _ = run("rollout", "show", REDIS_URL=url)
    exit_code, stdout, stderr = run(*arguments, REDIS_URL=url)
    assert (exit_code, stdout) == (1, "")
    assert stderr.startswith(f"Error: {words}")
    assert stderr.count("\n") == 1
    assert len(stderr) < 200
    assert run("rollout", "show", REDIS_URL=url)[1] == before
    assert redis.do("HLEN", "voice:{sessions}:told") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("sessions", "show"),
        ("sessions", "end"),
        ("sessions", "end", "vs_1", "--user", "ann"),
        ("sessions", "list", "ann"),
        ("rollout", "bar"),
        ("rollout", "unbar", "ann", "bob"),
        *(("sessions", "list", "--user", each) for each in (NOTHING, HUGE)),
        *(("sessions", "show", each) for each in (NOTHING, HUGE)),
        *(("sessions", "end", each) for each in (NOTHING, HUGE)),
        *(("rollout", "bar", each) for each in (NOTHING, HUGE)),
        ("sessions", "delete", "--user", ""),
        ("sessions", "reset-limit", "--user", ""),
        ("sessions", "reset-limit", "--user", "x" * 257),
    ],
)
def test_a_missing_or_surplus_argument_is_a_usage_error_F18(url: str, arguments: tuple[str, ...]) -> None:
    exit_code, stdout, stderr = run(*arguments, REDIS_URL=url)
    assert (exit_code, stdout, "Error: " in stderr) == (2, "", True)


COMMANDS = [
    ("sessions", "list"),
    ("sessions", "end", "x"),
    ("rollout", "bar", "x"),
    ("rollout", "set", "--percent", "5"),
    ("sessions", "reset-limit", "--user", "x"),
]
ADMIN = {"VOICE_ADMIN_TOKEN": "x"}


def test_blanks_around_a_user_are_no_part_of_the_id_F18(url: str) -> None:
    gateway = {"REDIS_URL": url, "JWT_SECRET": SECRET}
    assert run("rollout", "bar", " ann\n", **gateway)[1].startswith(f"barred: {ANN} ")
    assert run("rollout", "unbar", "ann", **gateway)[0] == 0


@pytest.mark.parametrize("arguments", COMMANDS)
@pytest.mark.parametrize(
    ("environ", "words"),
    [
        ({}, "set REDIS_URL, or name a gateway by --url and --token"),
        ({"REDIS_URL": "redis://:hidden@127.0.0.1:1"}, "Redis at redis://:***@127.0.0.1:1: unreachable"),
        ({"REDIS_URL": "nonsense"}, "wrong settings"),
        ({"VOICE_ADMIN_URL": "http://127.0.0.1:1"}, "--url needs an administrator's token"),
        ({"VOICE_ADMIN_URL": "http://127.0.0.1:1"} | ADMIN, "cannot reach http://127.0.0.1:1: "),
        ({"VOICE_ADMIN_URL": "wss://[::1]:1/v1/ws/voice"} | ADMIN, "cannot reach https://[::1]:1: "),
        ({"VOICE_ADMIN_URL": "gateway"} | ADMIN, "--url must be a full URL"),
        ({"VOICE_ADMIN_URL": "http://127.0.0.1:1", "VOICE_ADMIN_TOKEN": "hid\nhidden"}, "--token has a character"),
        ({"VOICE_ADMIN_URL": "http://me:hidden@host"} | ADMIN, "--url must not contain a user name or password"),
        ({"VOICE_ADMIN_URL": f"http://{HUGE}"} | ADMIN, "cannot reach http://xxx"),
    ],
)
def test_without_a_way_to_the_gateways_each_command_says_so_F18(
    arguments: tuple[str, ...], environ: dict[str, str], words: str
) -> None:
    if arguments[0] == "rollout" and "REDIS_URL" in environ:
        environ = environ | {"JWT_SECRET": SECRET}
    exit_code, stdout, stderr = run(*arguments, **environ)
    assert (exit_code, stdout) == (1, "")
    assert stderr.startswith(f"Error: {words}"), stderr
    assert "Traceback" not in stderr
    assert "hidden" not in stderr
    assert len(stderr) < 700
