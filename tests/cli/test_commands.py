"""The command line itself: quick to answer, and every mistake one clear line."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from typing import TYPE_CHECKING

import click
import jwt
import pytest
from click.testing import CliRunner
from rich.console import Console
from structlog.testing import capture_logs

from voice_trio.auth.tokens import user_hash
from voice_trio.cli import COMMANDS, main
from voice_trio.cli.addresses import log_pages, place
from voice_trio.cli.demo.command import _print_addresses, upstream_in_words
from voice_trio.cli.embedded import print_addresses
from voice_trio.client import Report
from voice_trio.embedded.engines import Engines
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from pathlib import Path

SECRET = "a secret of exactly that length: 40 bytes"


def run(*arguments: str, **environ: str) -> tuple[int, str, str]:
    empty = {name: None for name in os.environ if name.startswith(("JWT_", "OPENAI_", "VOICE_", "ENABLE_VOICE"))}
    result = CliRunner().invoke(main, list(arguments), env={**empty, **environ})
    return result.exit_code, result.stdout, result.stderr


def test_help_imports_nothing_that_takes_time() -> None:
    code = "import sys; from voice_trio.cli import main; main(['--help'], standalone_mode=False); print(*sys.modules)"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    modules = set(told.splitlines()[-1].split())
    assert not modules & {"trio", "quart", "hypercorn", "rich", "pydantic", "structlog", "jwt"}


@pytest.mark.parametrize("name", [name for name in COMMANDS])
def test_every_command_exists_and_explains_itself(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    exit_code, stdout, _ = run(name, "--help")
    assert exit_code == 0
    assert "Usage" in stdout


def test_an_unknown_command_is_a_usage_error() -> None:
    exit_code, _, stderr = run("srve")
    assert exit_code == 2
    assert "No such command 'srve'" in stderr


def test_user_hash_prints_what_logs_have_as_user_F20() -> None:
    settings = load_settings({"JWT_SECRET": SECRET})
    assert run("user-hash", "ada", JWT_SECRET=SECRET) == (0, user_hash("ada", settings.signing_secret) + "\n", "")
    own = {"VOICE_SIGNING_SECRET": "another secret of at least that length 4711"}
    assert run("user-hash", "ada", **own)[1] == user_hash("ada", load_settings(own).signing_secret) + "\n"


@pytest.mark.parametrize(
    ("arguments", "environ", "code", "said"),
    [
        ((), {}, 2, "Missing argument 'ID'"),
        (("ada", "bob"), {}, 2, "unexpected extra argument"),
        (("",), {"JWT_SECRET": SECRET}, 2, "1 to 256 characters"),
        (("x" * 257,), {"JWT_SECRET": SECRET}, 2, "1 to 256 characters"),
        (("ada",), {}, 1, "VOICE_SIGNING_SECRET or JWT_SECRET must be set"),
    ],
)
def test_user_hash_refuses_what_makes_no_sense_in_one_line_F20(
    arguments: tuple[str, ...], environ: dict[str, str], code: int, said: str
) -> None:
    exit_code, stdout, stderr = run("user-hash", *arguments, **environ)
    assert (exit_code, stdout) == (code, "")
    assert said in stderr.splitlines()[-1]


def test_a_token_carries_what_it_was_asked_for() -> None:
    exit_code, stdout, _ = run(
        "token", "--user", "ada", "--plan", "intelia", "--admin", "--email", "a@b.c", "--ttl", "60", JWT_SECRET=SECRET
    )
    claims = jwt.decode(stdout.strip(), SECRET, algorithms=["HS256"])
    assert exit_code == 0
    assert (claims["user_id"], claims["plan"], claims["is_admin"], claims["email"]) == ("ada", "intelia", True, "a@b.c")
    assert claims["exp"] - claims["iat"] == 60


def test_without_a_secret_there_is_no_token() -> None:
    exit_code, _, stderr = run("token", "--user", "ada")
    assert exit_code == 1
    assert stderr.startswith("Error: JWT_SECRET")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--workers", "2"), "REDIS_URL"),
        (("--certfile", __file__), "go together"),
        (("--bind", "8000"), "HOST:PORT"),
        (("--bind", "::1:8000"), "HOST:PORT"),
        (("--bind", "127.0.0.1:99999"), "HOST:PORT"),
        (("--bind", "no-such-host.invalid:0"), "cannot listen on"),
    ],
)
def test_a_server_that_cannot_be_started_says_why(arguments: tuple[str, ...], words: str) -> None:
    exit_code, _, stderr = run("serve", *arguments, LOG_FORMAT="json")
    assert exit_code in (1, 2)
    assert words in stderr.splitlines()[-1]


def test_serve_without_bind_listens_where_the_platform_says_F53() -> None:
    with socket.create_server(("0.0.0.0", 0)) as taken:
        port = str(taken.getsockname()[1])
        assert f"cannot listen on 0.0.0.0:{port}" in run("serve", PORT=port, JWT_SECRET=SECRET)[2]
        assert f"cannot listen on 127.0.0.1:{port}" in run("serve", BIND=f"127.0.0.1:{port}", PORT="1")[2]


@pytest.mark.parametrize(
    ("variables", "address", "tls", "console"),
    [
        ({}, ("127.0.0.1", 8000), False, "off; VOICE_CONSOLE=true serves it"),
        ({"VOICE_CONSOLE": "true"}, ("0.0.0.0", 8080), False, "http://127.0.0.1:8080/"),
        ({"VOICE_CONSOLE": "true"}, ("::", 443), True, "https://127.0.0.1:443/"),
    ],
)
def test_serve_says_where_its_pages_are_F52(
    variables: dict[str, str], address: tuple[str, int], tls: bool, console: str
) -> None:
    with capture_logs() as logs:
        log_pages(load_settings(variables), address, tls=tls)
    base = f"{'https' if tls else 'http'}://{place(address)}"
    assert logs == [
        {
            "event": "pages",
            "log_level": "info",
            "console": console,
            "dashboard": f"{base}/v1/voice/dashboard",
            "voice": "off; ENABLE_VOICE_REALTIME=true admits users",
        }
    ]


def test_serve_says_where_clients_connect_F52() -> None:
    settings = load_settings({"ENABLE_VOICE_REALTIME": "true", "JWT_SECRET": SECRET})
    with capture_logs() as logs:
        log_pages(settings, ("0.0.0.0", 8000), tls=True)
    assert logs[0]["voice"] == "wss://127.0.0.1:8000/v1/ws/voice"


def test_the_package_can_be_run_as_a_module_F56() -> None:
    told = subprocess.run([sys.executable, "-m", "voice_trio", "--version"], capture_output=True, text=True, check=True)
    assert told.stdout.startswith("voice-trio, version ")


@pytest.mark.parametrize("extra", ["[local]", "[/]", "[bold]"])
def test_brackets_in_a_message_reach_the_terminal_F55(extra: str, capsys: pytest.CaptureFixture[str]) -> None:
    missing = Engines(missing=f"Speech needs pocketsphinx: install voice-trio{extra}.")
    print_addresses(Console(stderr=True, width=200), "ws://127.0.0.1:1/v1/realtime", missing, is_open=False)
    assert f"install voice-trio{extra}." in capsys.readouterr().err


def test_a_key_of_openai_is_used_by_the_demo_and_its_price_is_said_F51(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_REALTIME_URL", raising=False)
    assert upstream_in_words(load_settings({"OPENAI_API_KEY": "sk-a"})) == (
        "OpenAI's gpt-realtime-2.1 answers, with your OPENAI_API_KEY: about 0.10 USD for a minute "
        "(mean of ten lively minutes, prices of 2026-11-30). `--embedded` uses the model of this machine, which "
        "costs nothing."
    )
    free = upstream_in_words(load_settings({"OPENAI_API_KEY": "sk-a", "VOICE_PRICES_FILE": "free"}))
    assert "OPENAI_API_KEY: free, as VOICE_PRICES_FILE says." in free


def test_a_demo_of_other_documents_offers_no_question_on_poultry(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    own = load_settings({"KNOWLEDGE_PATH": str(tmp_path / "shop.sqlite3"), "JWT_SECRET": SECRET})
    _print_addresses(own, ("127.0.0.1", 8000))
    told = capsys.readouterr().out
    assert "The demo is at   http://127.0.0.1:8000/#token=" in told
    assert " call " not in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("command", "address"), [("serve", "0.0.0.0:PORT"), ("demo", "127.0.0.1:PORT")])
def test_a_command_says_where_it_listens_with_PORT_F53(command: str, address: str) -> None:
    _, stdout, _ = run(command, "--help")
    assert f"[default: BIND, else {address}, else 127.0.0.1:8000]" in " ".join(stdout.split())


def test_a_certificate_that_is_none_is_named() -> None:
    exit_code, _, stderr = run("serve", "--bind", "127.0.0.1:0", "--certfile", __file__, "--keyfile", __file__)
    assert exit_code == 1
    assert "--certfile, --keyfile: cannot be used" in stderr


def test_wrong_settings_are_all_listed_at_once() -> None:
    exit_code, _, stderr = run("serve", RAG_WAIT_MS="soon", MAX_SESSION_DURATION="0", ENABLE_VOICE_REALTIME="maybe")
    assert exit_code == 1
    assert all(name in stderr for name in ("RAG_WAIT_MS", "MAX_SESSION_DURATION", "ENABLE_VOICE_REALTIME"))


def test_a_recording_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"no sound")
    exit_code, _, stderr = run("call", str(tmp_path / "a.wav"))
    assert exit_code == 1
    assert stderr.startswith("Error: ")
    assert len(stderr.splitlines()) == 1


def test_a_call_without_speech_says_so(capsys: pytest.CaptureFixture[str]) -> None:
    from voice_trio.cli.call import _show_result

    _show_result(Console(), Report(), None)
    assert "no speech was heard" in capsys.readouterr().err
