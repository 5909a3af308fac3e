"""The servers this suite can be run against, each as a URL with what a client must bring.

voice_trio's scripted model, in its version that needs no script
the embedded server with engines that need no extra
the embedded server with this machine's own speech engines, where the `local` extra is installed
the gateway's /v1/realtime, with an embedded server behind it
any other: VOICE_CONFORMANCE_URL=wss://api.openai.com/v1/realtime OPENAI_API_KEY=… pytest tests/conformance
"""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import pytest

from tests.support.deployment import gateway, token
from tests.support.fake_engines import FakeRecognizer, fake_engines
from voice_trio.embedded.local import missing_packages, open_local_engines
from voice_trio.embedded.server import ServerSettings, serve_embedded
from voice_trio.settings import CLIENT_SETTINGS
from voice_trio.testing.model_server import serve_scripted_model
from voice_trio.testing.rule_based import RuleBasedModel
from voice_trio.testing.sounds import tone_pcm

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    import trio

    from voice_trio.embedded.engines import Engines

QUESTION = "how warm should the brooder be in the first week"
DOCUMENT = "# Brooding\nThe brooder should be 32 to 35 degrees Celsius in the first week. Chicks must be warm."
NAMES = ["scripted", "embedded-fake", "embedded-real", "gateway"]
REMOTE = os.environ.get("VOICE_CONFORMANCE_URL", "")
if REMOTE:
    NAMES.append("remote")


@dataclass(frozen=True, slots=True)
class Server:
    """`headers` are what it wants to see of a client; `seconds_max` bounds one test."""

    name: str
    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)
    seconds_max: float = 30.0


@asynccontextmanager
async def running(name: str, nursery: trio.Nursery, cache_dir: Path) -> AsyncIterator[Server]:
    """One of `NAMES`, ready."""
    match name:
        case "scripted":
            model = RuleBasedModel([QUESTION], answer_ms=4000)
            yield Server(name, await nursery.start(serve_scripted_model, model))
        case "embedded-fake":
            yield Server(name, await _embedded(nursery, fake_engines(FakeRecognizer(QUESTION))))
        case "embedded-real":
            _need_speech()
            async with open_local_engines([DOCUMENT], recognizers_max=1, adapted=False, cache_dir=cache_dir) as engines:
                yield Server(name, await _embedded(nursery, engines))
        case "gateway":  # before an embedded server: the same suite, and what differs on purpose says so
            behind = await _embedded(nursery, fake_engines(FakeRecognizer(QUESTION)))
            allowed = ",".join(CLIENT_SETTINGS)
            with TemporaryDirectory() as folder:
                async with gateway(Path(folder), OPENAI_REALTIME_URL=behind, VOICE_CLIENT_CONFIG=allowed) as deployment:
                    url = f"ws://127.0.0.1:{deployment.port}/v1/realtime"
                    yield Server(name, url, {"authorization": f"Bearer {token()}"})
        case _:
            yield _remote()


async def _embedded(nursery: trio.Nursery, engines: Engines) -> str:
    url: str = await nursery.start(serve_embedded, "127.0.0.1", 0, engines, ServerSettings())
    return url


def _remote() -> Server:
    key = os.environ.get("OPENAI_API_KEY")
    headers = {"authorization": f"Bearer {key}"} if key else {}
    model = os.environ.get("VOICE_CONFORMANCE_MODEL", "gpt-realtime-2.1-mini")
    return Server("remote", f"{REMOTE}?model={model}", headers, seconds_max=60.0)


def _need_speech() -> None:
    if missing := missing_packages():
        pytest.skip(f"needs {', '.join(missing)}")


def spoken_question(name: str) -> bytes:
    """The question as PCM16 mono 24 kHz: speech, where speech can be made; a tone is enough for pretended ears."""
    if missing_packages():
        if name in ("embedded-real", "remote"):
            _need_speech()
        return tone_pcm(0, 2000)
    from voice_trio.embedded.speech.synthesis.espeak import SpeakingStyle  # here: it needs the extra
    from voice_trio.embedded.speech.synthesis.voice import pcm_of

    return pcm_of(QUESTION, SpeakingStyle("en-us", 150))
