"""Drives a browser for tests, and measures what its page plays."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import wave
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.deployment import token

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager

    from playwright.sync_api import Browser, BrowserContext, Page, Playwright, WebSocket

    StartGateway = Callable[..., AbstractContextManager["BrowserGateway"]]

CHROMIUM = "/usr/bin/chromium"
ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "artefacts"
RATE = 24_000
WIDTHS = {"phone": (360, 780), "tablet": (768, 1024), "desk": (1280, 800)}

# Without the network flags Chromium contacts servers of Google at every start.
_FLAGS = (
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


# Records the sockets, microphones and audio contexts that a page opens; must run before the page's own scripts.
TRACK_OPEN_RESOURCES = """
(() => {
  const kept = (made, name) => {
    window[name] = [];
    return class extends made {
      constructor(...given) {
        super(...given);
        window[name].push(this);
      }
    };
  };
  window.WebSocket = kept(WebSocket, "sockets");
  window.AudioContext = kept(AudioContext, "contexts");
  window.tracks = [];
  const getUserMedia = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
  navigator.mediaDevices.getUserMedia = async (...given) => {
    const stream = await getUserMedia(...given);
    tracks.push(...stream.getTracks());
    return stream;
  };
})();
"""
_OPEN = """() => ({
  sockets: sockets.filter(({ readyState }) => readyState !== WebSocket.CLOSED).length,
  microphones: tracks.filter(({ readyState }) => readyState === "live").length,
  contexts: contexts.filter(({ state }) => state !== "closed").length,
})"""


_LOG = """
() => {
  window.log = [];
  for (const name of %s)
    voiceTrio.addEventListener(name, ({ detail }) => log.push({ name, at: performance.now(), ...detail }));
}
"""
_LOGGED = ("state", "ready", "speech", "transcript", "context", "cut", "microphone", "error", "ended", "reconnecting")


@contextmanager
def running_process(
    command: list[str], variables: dict[str, str], says: str
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process, and its first output line that contains `says`; killed at the end together with its children."""
    environ = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", ""), "LOG_FORMAT": "json", **variables}
    with subprocess.Popen(
        command, cwd=ROOT, env=environ, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            assert process.stdout is not None
            ready = next((line for line in process.stdout if says in line), None)
            assert ready is not None, "the gateway did not start"
            yield process, ready
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


@dataclass(frozen=True, slots=True)
class BrowserGateway:
    """A gateway in its own process."""

    port: int
    process: subprocess.Popen[str]

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}/v1/ws/voice"

    def kill(self) -> None:
        """Kill it at once, without a shutdown."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@contextmanager
def running_gateway(
    folder: Path, *, answer_ms: int = 3000, port: int = 0, **variables: str
) -> Iterator[BrowserGateway]:
    """A gateway of `tests.support.browser_fixture`, whose knowledge base is in `folder`; port 0 is any."""
    command = [sys.executable, "-m", "tests.support.browser_fixture", str(folder)]
    command += ["--bind", f"127.0.0.1:{port}", "--answer-ms", str(answer_ms)]
    with running_process(command, variables, '{"port"') as (process, line):
        yield BrowserGateway(json.loads(line)["port"], process)


@dataclass
class WireLog:
    """The text frames of the page's WebSockets, and the sizes of the binary frames it sent."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    binary_bytes: list[int] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    def attach(self, socket: WebSocket) -> None:
        self.urls.append(socket.url)
        socket.on("framesent", self._note_sent)
        socket.on("framereceived", lambda frame: self.received.append(json.loads(frame)))

    def _note_sent(self, frame: str | bytes) -> None:
        if isinstance(frame, bytes):
            self.binary_bytes.append(len(frame))
        else:
            self.sent.append(json.loads(frame))

    def positions(self, *, flushed: bool) -> list[dict[str, Any]]:
        return [e for e in self.sent if e["type"] == "playback.position" and e.get("flushed", False) == flushed]


class Browsers:
    """The browsers of one test module; all tests share the one whose microphone receives silence."""

    def __init__(self, playwright: Playwright, folder: Path) -> None:
        self._playwright = playwright
        self._folder = folder
        self._silent: Browser | None = None

    def with_silence(self) -> Browser:
        if self._silent is None:
            self._silent = self.with_microphone(b"")
        return self._silent

    def with_microphone(self, pcm: bytes, *flags: str) -> Browser:
        """A browser whose microphone receives `pcm` once, then silence."""
        path = self._folder / f"microphone-{time.monotonic_ns()}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(pcm + silence(60))
        microphone = f"--use-file-for-fake-audio-capture={path}%noloop"
        return self.launch("--use-fake-ui-for-media-stream", microphone, *flags)

    def launch(self, *flags: str) -> Browser:
        return self._playwright.chromium.launch(executable_path=CHROMIUM, args=[*_FLAGS, *flags])

    def new_page(
        self,
        *,
        speech: bytes | None = None,
        allow_microphone: bool = True,
        flags: tuple[str, ...] = (),
        script: str = "",
        **of_context: Any,
    ) -> tuple[Page, Browser | BrowserContext]:
        """A page in a new context, and what to close after it: the context, or a browser that was started for it.

        Its microphone receives `speech` once. `script` runs before the page's own scripts.
        """
        is_shared = allow_microphone and speech is None and not flags
        if is_shared:
            browser = self.with_silence()
        else:
            browser = self.with_microphone(speech or b"", *flags) if allow_microphone else self.launch(*flags)
        context = browser.new_context(**of_context)
        page = context.new_page()
        page.add_init_script(TRACK_OPEN_RESOURCES + script)
        page.set_default_timeout(15_000)
        return page, context if is_shared else browser

    def close(self) -> None:
        if self._silent is not None:
            self._silent.close()


class BrowserDriver:
    """Opens one page at a time."""

    def __init__(self, browsers: Browsers) -> None:
        self._browsers = browsers
        self._opened: Browser | BrowserContext | None = None
        self.console_errors: list[str] = []
        self.wire = WireLog()

    def open(
        self,
        port: int,
        *,
        speech: bytes | None = None,
        bearer: str | None = "",
        width: str = "desk",
        dark: bool = False,
        allow_microphone: bool = True,
        motion: bool = True,
        with_recorder: bool = False,
        flags: tuple[str, ...] = (),
        script: str = "",
    ) -> Page:
        """Open the console in a new context; its microphone receives `speech` (PCM16, 24 kHz) once.

        `with_recorder` disables the page's Content-Security-Policy, which would block the recorder. With `flags` of its
        own Chromium is started anew. `script` runs before the page's own scripts, and without a gesture of the user,
        as which each `evaluate` counts.
        """
        self.close()
        page, self._opened = self._browsers.new_page(
            speech=speech,
            allow_microphone=allow_microphone,
            flags=flags,
            script=script,
            viewport={"width": WIDTHS[width][0], "height": WIDTHS[width][1]},
            color_scheme="dark" if dark else "light",
            reduced_motion="no-preference" if motion else "reduce",
            bypass_csp=with_recorder,
        )
        self.console_errors, self.wire = errors_of(page), WireLog()
        page.on("websocket", self.wire.attach)
        fragment = "" if bearer is None else f"#token={bearer or token()}"
        page.goto(f"http://127.0.0.1:{port}/{fragment}")
        self.watch(page)
        return page

    def watch(self, page: Page) -> None:
        """Record the client's events from now on; call it again after a reload."""
        wait_until(page, "Boolean(window.voiceTrio)")
        page.evaluate(_LOG % json.dumps(_LOGGED))

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None


class Visit:
    """A page that is not the console, such as an example's; `console_errors` has its errors and warnings."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.console_errors = errors_of(page)

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def has_left_nothing_behind(self) -> None:
        """No socket, no microphone, no sound: all closed."""
        wait_until_open(self.page, sockets=0, microphones=0, contexts=0)


def errors_of(page: Page) -> list[str]:
    """A list that gets the page's errors and warnings from now on."""
    errors: list[str] = []
    page.on("console", lambda said: errors.append(said.text) if said.type in {"error", "warning"} else None)
    page.on("pageerror", lambda error: errors.append(str(error)))
    return errors


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE))


def start_talking(page: Page) -> None:
    """Press the button, and wait until the gateway is listening."""
    page.get_by_role("button", name="Start talking").click()
    wait_for_state(page, "listening")


def ask_in_writing(page: Page, text: str) -> None:
    """Type a question and send it."""
    page.get_by_label("Your question").fill(text)
    page.keyboard.press("Enter")


def wait_for_state(page: Page, state: str, seconds_max: float = 15) -> None:
    wait_until(page, f"voiceTrio.state === {state!r}", seconds_max)


def wait_until(page: Page, expression: str, seconds_max: float = 15) -> None:
    """Wait until `expression` is true. Playwright's own wait uses `eval` in the page, which its policy forbids."""
    deadline = time.monotonic() + seconds_max
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"still not: {expression}"
        page.wait_for_timeout(20)


def wait_until_open(page: Page, *, sockets: int, microphones: int, contexts: int, seconds_max: float = 5) -> None:
    """Wait until the page has exactly these numbers open, of all that it ever opened; fails after `seconds_max`."""
    wanted = {"sockets": sockets, "microphones": microphones, "contexts": contexts}
    deadline = time.monotonic() + seconds_max
    while (found := page.evaluate(_OPEN)) != wanted:
        assert time.monotonic() < deadline, f"open are {found}, not {wanted}"
        page.wait_for_timeout(20)


def logged(page: Page, name: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = page.evaluate("name => log.filter((entry) => entry.name === name)", name)
    return entries
