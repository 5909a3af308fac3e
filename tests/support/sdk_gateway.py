"""A gateway for SDKs to talk to, plain or behind TLS, and what a client of one of them, in a process of its own, saw.

`VOICE_SDK_TARGET=model pytest tests/sdk` leaves the gateway out: what fails then is no fault of the gateway's.
"""

from __future__ import annotations

import json
import os
import re
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

import trio

from tests.support.deployment import environment, fill_knowledge, token
from tests.support.sdk_model import AgreeableModel
from tests.wire.test_tls import certificate
from voice_trio.net.listeners import open_listener
from voice_trio.server.server import run_server
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
class Seen:
    """What a client reported: every raw server event, everything it took for an error, and what else it tells.

    `sent` is what the model was sent meanwhile for this client, but for its sound.
    """

    events: list[dict[str, Any]]
    errors: list[str]
    more: dict[str, Any] = field(default_factory=dict)
    text: str = field(default="", repr=False)
    sent: list[dict[str, Any]] = field(default_factory=list, repr=False)

    def of(self, event_type: str) -> list[dict[str, Any]]:
        return [event for event in self.events if event["type"] == event_type]

    @property
    def said(self) -> list[str]:
        """The words of each answer, spoken or written, in order."""
        ends = {"response.output_audio_transcript.done": "transcript", "response.output_text.done": "text"}
        return [event[ends[event["type"]]] for event in self.events if event["type"] in ends]


@dataclass(frozen=True, slots=True)
class Desk:
    """`url` is the WebSocket's, `base_url` what an HTTP client is given."""

    base_url: str
    folder: Path
    model: AgreeableModel
    tls: Tls | None = None

    @property
    def url(self) -> str:
        return f"{self.base_url.replace('http', 'ws', 1)}/realtime?model={MODEL_NAME}"

    async def run(self, command: Sequence[str], *, cwd: Path | None = None, **more: str) -> Seen:
        """A client from its start to its end."""
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
        assert done.returncode == 0, self._autopsy(done.stderr.decode())
        text = done.stdout.decode()
        report = json.loads(text)
        return Seen(report.pop("events"), report.pop("errors"), report, text, self._sent_for(text))

    def _sent_for(self, text: str) -> list[dict[str, Any]]:
        """The model's ids have the number of the connection in them."""
        found = re.search(r'"resp_(\d+)_', text)
        number = int(found[1]) if found else None
        return [entry.event for entry in self.model.received if entry.session == number]

    def _autopsy(self, stderr: str) -> str:
        last = [entry.type for entry in self.model.received][-12:]
        return f"{stderr[-3000:]}\nthe model was last sent {last}"


async def run_together(clients: Mapping[str, Callable[[], Awaitable[Seen]]]) -> dict[str, Seen]:
    """What several clients saw at the same time, by name."""
    seen: dict[str, Seen] = {}

    async def run_one(name: str, run: Callable[[], Awaitable[Seen]]) -> None:
        seen[name] = await run()

    async with trio.open_nursery() as nursery:
        for name, run in clients.items():
            nursery.start_soon(run_one, name, run)
    return seen


@asynccontextmanager
async def desk(folder: Path, *, tls: bool = False, direct: bool = IS_DIRECT, **variables: str) -> AsyncIterator[Desk]:
    """A gateway in this process, told `variables`, with the agreeable model behind it; `direct`: only that."""
    (folder / "question.pcm").write_bytes(tone_pcm(0, SPOKEN_MS) + bytes(48 * SILENCE_MS))
    knowledge = folder / "knowledge.sqlite3"
    fill_knowledge(knowledge)
    async with trio.open_nursery() as nursery:
        model = AgreeableModel()
        model_url: str = await nursery.start(serve_scripted_model, model)
        if direct:
            yield Desk(model_url.replace("ws", "http", 1).removesuffix("/realtime"), folder, model)
        else:
            made = certificate(folder) if tls else None
            patient = {"RAG_WAIT_MS": "1000"}  # here nobody asks how soon passages come; on a busy machine it is late
            settings = load_settings(environment(model_url, knowledge, **(patient | variables)))
            listener = open_listener("127.0.0.1:0")
            started = trio.Event()
            port = listener.getsockname()[1]
            nursery.start_soon(partial(run_server, settings, listener, tls=made, when_started=started.set))
            await started.wait()
            yield Desk(f"https://localhost:{port}/v1" if made else f"http://127.0.0.1:{port}/v1", folder, model, made)
        nursery.cancel_scope.cancel()
