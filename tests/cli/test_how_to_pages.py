"""The how-to pages for operators: their commands run in the order of the page, and do what it says (F57)."""

from __future__ import annotations

import json
import os
import subprocess
import sysconfig
import time
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from click.testing import CliRunner

from tests.support.browser_driver import running_gateway
from tests.support.deployment import SECRET, inherited
from tests.support.pages import invocations, shell_blocks
from tests.support.redis_fixture import instance
from voice_trio.cli import main
from voice_trio.state.session_record import SessionRecord

if TYPE_CHECKING:
    from tests.support.redis_servers import RedisServer

RECORD = SessionRecord(
    session_id="vs_1", user_id="ann", instance="i", started=time.time(), duration_seconds=60.0, revision=1
)
HOW_TO = Path(__file__).parents[2] / "docs" / "how-to"


def run(arguments: list[str], url: str) -> str:
    empty = {name: None for name in os.environ if name.startswith(("JWT_", "VOICE_", "REDIS_", "ENABLE_VOICE"))}
    result = CliRunner().invoke(main, arguments, env={**empty, "REDIS_URL": url, "JWT_SECRET": SECRET})
    assert result.exit_code == 0, (arguments, result.output)
    return result.stdout


def test_the_rollout_goes_out_and_back_F57(redis: RedisServer) -> None:
    redis.do("FLUSHALL")
    commands = [command for command in invocations(HOW_TO / "roll-out.md") if command[0] == "rollout"]
    seen = []
    for command in commands:
        run(command, redis.url)
        document = json.loads(run(["rollout", "show"], redis.url))
        seen.append((document["percent"], len(document["barred"])))
    assert [percent for percent, _ in seen[:5]] == [100, 0, 10, 50, 100]
    assert [barred for _, barred in seen[5:8]] == [0, 1, 0]
    assert document["enabled"] is True
    assert document["message"] == ""


def test_the_records_of_a_user_are_deleted_F57(redis: RedisServer) -> None:
    redis.do("FLUSHALL")

    async def record() -> None:
        async with instance(redis.url) as state:
            await state.put_record(RECORD)

    trio.run(record)
    commands = invocations(HOW_TO / "delete-user-data.md")
    assert ["sessions", "end", "--user", "ann"] in commands  # fails where none is open, as the page says
    told = {" ".join(command): run(command, redis.url) for command in commands if "end" not in command}
    assert told["sessions delete --user ann"] == "1 record deleted\n"


def test_the_rollout_is_changed_over_http_F57(tmp_path: Path) -> None:
    page = (HOW_TO / "roll-out.md").read_text("utf-8")
    block = next(block for block in shell_blocks(page) if "rollout.json" in block)
    path = f"{sysconfig.get_path('scripts')}:{os.environ['PATH']}"
    environ = inherited("PYTHONPATH") | {"PATH": path, "JWT_SECRET": SECRET}
    with running_gateway(tmp_path) as gateway:
        ran = subprocess.run(
            ["bash", "-euc", block.replace("8000", str(gateway.port))],
            cwd=tmp_path,
            env=environ,
            capture_output=True,
            text=True,
            timeout=30,
            check=True,
        )
    changed, barred = ran.stdout.replace("}{", "}\n{", 1).splitlines()
    assert json.loads(changed)["percent"] == 25
    assert json.loads(barred)["changed"] is True
