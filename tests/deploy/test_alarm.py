"""The alarm is seen to fire: Prometheus, with the shipped files and a token, scrapes a gateway that is then stopped."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.deployment import free_port, gateway_process, http

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

DEPLOY = Path(__file__).parents[2] / "deploy"
PROMETHEUS = shutil.which("prometheus")
TOKEN = "4f1c7a90d2e85b36a07f4f1c7a90d2e8"
pytestmark = pytest.mark.skipif(
    not PROMETHEUS, reason="SKIPPED LOUDLY: no prometheus here (Debian: prometheus); no alarm was seen to fire"
)


def install(folder: Path, port: int, token: str) -> None:
    """The shipped files and the token; only the target, the intervals and the times of `for` are others."""
    config = (DEPLOY / "prometheus.yml").read_text("utf-8")
    config, targets = re.subn(r"targets: \[.*gateway-1.*\]", f'targets: ["127.0.0.1:{port}"]', config)
    config, intervals = re.subn(r"_interval: 15s", "_interval: 300ms", config)
    alerts, waits = re.subn(r"for: \d+m", "for: 600ms", (DEPLOY / "alerts.yml").read_text("utf-8"))
    assert (targets, intervals) == (1, 2)
    assert waits > 5
    (folder / "prometheus.yml").write_text(config, "utf-8")
    (folder / "alerts.yml").write_text(alerts, "utf-8")
    (folder / "metrics-token").write_text(token, "utf-8")


class Prometheus:
    """A running Prometheus, asked by its HTTP API."""

    def __init__(self, port: int) -> None:
        self._port = port

    async def ask(self, path: str) -> Any:
        try:
            return json.loads((await http(self._port, path)).body)["data"]
        except (OSError, json.JSONDecodeError):  # it is starting
            return {}

    async def target(self) -> dict[str, str]:
        """The one target: its health, and the last error of a scrape."""
        targets = (await self.ask("/api/v1/targets")).get("activeTargets") or [{}]
        return {name: targets[0].get(name, "") for name in ("health", "lastError")}

    async def firing(self) -> set[str]:
        alerts = (await self.ask("/api/v1/alerts")).get("alerts", [])
        return {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}

    async def wait_for_target(self, health: str) -> str:
        while (target := await self.target())["health"] != health:  # noqa: ASYNC110  # as below
            await trio.sleep(0.05)
        return target["lastError"]

    async def wait_for_alert(self, name: str) -> None:
        while name not in await self.firing():  # noqa: ASYNC110  # in another process: no event to wait for
            await trio.sleep(0.05)

    async def wait_for_silence(self) -> None:
        while await self.firing():  # noqa: ASYNC110  # as above
            await trio.sleep(0.05)


@asynccontextmanager
async def prometheus(folder: Path) -> AsyncIterator[Prometheus]:
    port = free_port()
    command = [
        PROMETHEUS or "",
        f"--config.file={folder / 'prometheus.yml'}",
        f"--storage.tsdb.path={folder / 'data'}",
        f"--web.listen-address=127.0.0.1:{port}",
        "--web.enable-lifecycle",
    ]
    with (folder / "prometheus.log").open("wb") as log:
        process = await trio.lowlevel.open_process(command, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield Prometheus(port)
        finally:
            process.kill()
            with trio.CancelScope(shield=True):
                await process.wait()


async def test_a_gateway_that_is_stopped_raises_the_alarm_and_so_does_a_wrong_token_F54(tmp_path: Path) -> None:
    with trio.fail_after(30):
        async with gateway_process(tmp_path, METRICS_TOKEN=TOKEN) as deployment:
            assert deployment.process is not None
            install(tmp_path, deployment.port, "0" + TOKEN[1:])
            async with prometheus(tmp_path) as watching:
                assert "401" in await watching.wait_for_target("down")
                await watching.wait_for_alert("VoiceGatewayDown")
                (tmp_path / "metrics-token").write_text(TOKEN, "utf-8")  # read again at each scrape
                assert await watching.wait_for_target("up") == ""
                await watching.wait_for_silence()
                deployment.process.signal(signal.SIGKILL)
                await watching.wait_for_alert("VoiceGatewayDown")


async def test_a_job_of_another_name_raises_the_alarm_F54(tmp_path: Path) -> None:
    install(tmp_path, free_port(), TOKEN)
    config = (tmp_path / "prometheus.yml").read_text("utf-8")
    (tmp_path / "prometheus.yml").write_text(config.replace("job_name: voice-trio", "job_name: voice"), "utf-8")
    with trio.fail_after(30):
        async with prometheus(tmp_path) as watching:
            await watching.wait_for_alert("VoiceGatewaysUnknown")
