"""A gateway as the target of SDKs, with or without TLS, and the report of a client that runs in its own process.

`VOICE_SDK_TARGET=model pytest tests/sdk` connects the SDKs to the model directly: tests that fail then do not fail
because of the gateway.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import trio

from tests.support.certificates import certificate
from tests.support.deployment import environment, fill_knowledge, serve_gateway, token
from tests.support.sdk_model import AgreeableModel
from voice_trio.settings import load_settings
from voice_trio.testing import serve_scripted_model
from voice_trio.testing.sounds import tone_pcm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
    from pathlib import Path

    from voice_trio.server.server import Tls

IS_DIRECT = os.environ.get("VOICE_SDK_TARGET") == "model"
MODEL_NAME = "gpt-realtime-2.1"
CLIENT_SECONDS_MAX = 40
SPOKEN_MS, SILENCE_MS = 2500, 800


@dataclass(frozen=True, slots=True)
class ClientReport:
    """A client's report: every raw server event, every error it saw, and its further fields in `more`.

    `sent` has the events that the model received for this client, without audio.
    """

    events: list[dict[str, Any]]
    errors: list[str]
    more: dict[str, Any] = field(default_factory=dict)
    text: str = field(default="", repr=False)
    sent: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def of(self, event_type: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == event_type]

    @property
    def texts(self) -> list[str]:
        """The text of each response, spoken or written, in order."""
        ends = {"response.output_audio_transcript.done": "transcript", "response.output_text.done": "text"}
        return [event[ends[event["type"]]] for event in self.events if event["type"] in ends]


@dataclass(frozen=True, slots=True)
class SdkTarget:
    """The server that a client connects to: `url` for WebSockets, `base_url` for HTTP clients."""

    base_url: str
    folder: Path
    model: AgreeableModel
    tls: Tls | None = None

    @property
    def url(self) -> str:
        return f"{self.base_url.replace('http', 'ws', 1)}/realtime?model={MODEL_NAME}"

    async def run(self, command: Sequence[str], *, cwd: Path | None = None, **more: str) -> ClientReport:
        """Run a client to its end."""
        job = {
            "url": self.url,
            "base_url": self.base_url,
            "token": token(),
            "token_of_free_plan": token("eve", plan="free"),
            "model": MODEL_NAME,
            "sound": str(self.folder / "question.pcm"),
            "seconds_max": CLIENT_SECONDS_MAX,
        }
        environ = {"PATH": os.environ["PATH"], "HOME": str(self.folder), "OPENAI_AGENTS_DISABLE_TRACING": "1", **more}
        if self.tls is not None:
            environ |= {"NODE_EXTRA_CA_CERTS": self.tls.certfile, "SSL_CERT_FILE": self.tls.certfile}
        with trio.fail_after(CLIENT_SECONDS_MAX + 10):
            done = await trio.run_process(
                [*command, json.dumps(job)],
                cwd=cwd,
                env=environ,
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
        assert done.returncode == 0, self._failure_report(done.stderr.decode())
        text = done.stdout.decode()
        report = json.loads(text)
        return ClientReport(report.pop("events"), report.pop("errors"), report, text, self._sent_for(text))

    def _sent_for(self, text: str) -> list[dict[str, Any]]:
        """The events of this client's connection, whose number is part of the model's ids."""
        found = re.search(r'"resp_(\d+)_', text)
        number = int(found[1]) if found else None
        return [entry.event for entry in self.model.received if entry.session == number]

    def _failure_report(self, stderr: str) -> str:
        last = [entry.type for entry in self.model.received][-12:]
        return f"{stderr[-3000:]}\nthe last events that the model received: {last}"


async def run_together(clients: Mapping[str, Callable[[], Awaitable[ClientReport]]]) -> dict[str, ClientReport]:
    """The reports of several clients that run at the same time, by name."""
    report: dict[str, ClientReport] = {}

    async def run_one(name: str, run: Callable[[], Awaitable[ClientReport]]) -> None:
        report[name] = await run()

    async with trio.open_nursery() as nursery:
        for name, run in clients.items():
            nursery.start_soon(run_one, name, run)
    return report


@asynccontextmanager
async def sdk_target(
    folder: Path, *, tls: bool = False, direct: bool = IS_DIRECT, **variables: str
) -> AsyncIterator[SdkTarget]:
    """A gateway in this process, with `variables` set and the model behind it; `direct`: the model only."""
    (folder / "question.pcm").write_bytes(tone_pcm(0, SPOKEN_MS) + bytes(48 * SILENCE_MS))
    knowledge = folder / "knowledge.sqlite3"
    fill_knowledge(knowledge)
    async with trio.open_nursery() as nursery:
        model = AgreeableModel()
        model_url: str = await nursery.start(serve_scripted_model, model)
        if direct:
            yield SdkTarget(model_url.replace("ws", "http", 1).removesuffix("/realtime"), folder, model)
        else:
            server_tls = certificate(folder) if tls else None
            slow_machine = {"RAG_WAIT_MS": "1000"}  # these tests check no latency, and a busy machine is slow
            settings = load_settings(environment(model_url, knowledge, **(slow_machine | variables)))
            port = await nursery.start(serve_gateway, settings, server_tls)
            yield SdkTarget(
                f"https://localhost:{port}/v1" if server_tls else f"http://127.0.0.1:{port}/v1",
                folder,
                model,
                server_tls,
            )
        nursery.cancel_scope.cancel()
