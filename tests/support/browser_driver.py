"""What a test does at a browser, in verbs; and what it can measure there."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import time
import wave
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.deployment import token

if TYPE_CHECKING:
    from collections.abc import Iterator

    from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, Playwright, WebSocket

CHROMIUM = "/usr/bin/chromium"
ROOT = Path(__file__).parents[2]
ARTEFACTS = ROOT / "artefacts"
RATE = 24_000
WIDTHS = {"phone": (360, 780), "tablet": (768, 1024), "desk": (1280, 800)}

# Without the network flags Chromium looks for its maker's servers at every start.
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

# Listens where the loudspeaker would be, and notes each quantum that is not silent.
_RECORDER = """
registerProcessor("recorder", class extends AudioWorkletProcessor {
  constructor() {
    super();
    this.sound = [];
    this.port.onmessage = () => this.port.postMessage(this.sound);
  }
  process([[heard]]) {
    if (heard) heard.forEach((sample, i) => { if (sample !== 0) this.sound.push(currentFrame + i); });
    return true;
  }
});
"""

# Keeps what a page opens and must not leave open; to be run before the page's own scripts.
KEEP_WHAT_IS_OPENED = """
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

_ATTACH = """
async (source) => {
  const output = voiceTrio.output, context = output.context;
  if (source) {
    await context.audioWorklet.addModule(URL.createObjectURL(new Blob([source], { type: "text/javascript" })));
    window.recorder = new AudioWorkletNode(context, "recorder");
    output.connect(recorder).connect(context.destination);
  }
  const analyser = context.createAnalyser();
  output.connect(analyser);
  window.loudest = 0;
  window.cuts = [];
  const samples = new Float32Array(analyser.fftSize);
  setInterval(() => {
    analyser.getFloatTimeDomainData(samples);
    window.loudest = Math.max(window.loudest, ...samples.map(Math.abs));
  }, 20);
  voiceTrio.addEventListener("event", ({ detail }) => {
    if (detail.type === "playback.flush") window.cuts.push({ by: "flush", at: context.currentTime });
  });
  const { interrupt } = voiceTrio;
  voiceTrio.interrupt = function () {
    window.cuts.push({ by: "interrupt", at: context.currentTime });
    return interrupt.call(this);
  };
}
"""

_LOG = """
() => {
  window.log = [];
  for (const name of %s)
    voiceTrio.addEventListener(name, ({ detail }) => log.push({ name, at: performance.now(), ...detail }));
}
"""
_LOGGED = ("state", "ready", "speech", "transcript", "context", "cut", "microphone", "error", "ended", "reconnecting")


@contextmanager
def serving(command: list[str], variables: dict[str, str], says: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """A process of ours, and the line with `says` by which it tells that it serves; killed at the end, children too."""
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
class Stage:
    """A gateway in a process of its own."""

    port: int
    process: subprocess.Popen[str]

    def kill(self) -> None:
        """It is gone at once, and says nothing."""
        os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()


@dataclass
class Wire:
    """What went over the page's WebSockets, text frames only."""

    sent: list[dict[str, Any]] = field(default_factory=list)
    received: list[dict[str, Any]] = field(default_factory=list)
    binary_bytes: list[int] = field(default_factory=list)
    urls: list[str] = field(default_factory=list)

    def tap(self, socket: WebSocket) -> None:
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
    """Those of one file of tests: a browser whose microphone hears silence serves them all."""

    def __init__(self, playwright: Playwright, folder: Path) -> None:
        self._playwright = playwright
        self._folder = folder
        self._quiet: Browser | None = None

    def quiet(self) -> Browser:
        if self._quiet is None:
            self._quiet = self.hearing(b"")
        return self._quiet

    def hearing(self, pcm: bytes) -> Browser:
        """One with a microphone that hears `pcm` once, and then silence."""
        path = self._folder / f"microphone-{time.monotonic_ns()}.wav"
        with wave.open(str(path), "wb") as file:
            file.setnchannels(1)
            file.setsampwidth(2)
            file.setframerate(RATE)
            file.writeframes(pcm + silence(60))
        return self.launch("--use-fake-ui-for-media-stream", f"--use-file-for-fake-audio-capture={path}%noloop")

    def launch(self, *flags: str) -> Browser:
        return self._playwright.chromium.launch(executable_path=CHROMIUM, args=[*_FLAGS, *flags])

    def close(self) -> None:
        if self._quiet is not None:
            self._quiet.close()


class Desk:
    """One page at a time."""

    def __init__(self, browsers: Browsers) -> None:
        self._browsers = browsers
        self._ours: Browser | BrowserContext | None = None
        self.complaints: list[str] = []
        self.wire = Wire()

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
        is_measured: bool = False,
    ) -> Page:
        """The console as a newcomer sees it; `speech` (PCM16, 24 kHz) is what its microphone hears, once.

        Where it `is_measured` the page's Content-Security-Policy is set aside, to let a recorder in.
        """
        self.leave()
        is_shared = allow_microphone and speech is None
        if is_shared:
            browser = self._browsers.quiet()
        else:
            self._ours = browser = (
                self._browsers.hearing(speech or b"") if allow_microphone else self._browsers.launch()
            )
        size = {"width": WIDTHS[width][0], "height": WIDTHS[width][1]}
        context = browser.new_context(
            viewport=size,  # type: ignore[arg-type]  # a TypedDict of exactly these two
            color_scheme="dark" if dark else "light",
            reduced_motion="no-preference" if motion else "reduce",
            bypass_csp=is_measured,
        )
        if is_shared:
            self._ours = context
        page = context.new_page()
        page.add_init_script(KEEP_WHAT_IS_OPENED)
        page.set_default_timeout(15_000)
        self.complaints, self.wire = [], Wire()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))
        page.on("websocket", self.wire.tap)
        fragment = "" if bearer is None else f"#token={bearer or token()}"
        page.goto(f"http://127.0.0.1:{port}/{fragment}")
        self.watch(page)
        return page

    def watch(self, page: Page) -> None:
        """Note the client's events from now on; again after a reload."""
        wait_until(page, "Boolean(window.voiceTrio)")
        page.evaluate(_LOG % json.dumps(_LOGGED))

    def leave(self) -> None:
        if self._ours is not None:
            self._ours.close()
            self._ours = None

    def _note(self, message: ConsoleMessage) -> None:
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)


def silence(seconds: float) -> bytes:
    return bytes(2 * round(seconds * RATE))


def talk(page: Page) -> None:
    """Press the button, and wait until the gateway listens."""
    page.get_by_role("button", name="Start talking").click()
    wait_for_state(page, "listening")


def wait_for_state(page: Page, state: str, seconds_max: float = 15) -> None:
    wait_until(page, f"voiceTrio.state === {state!r}", seconds_max)


def wait_until(page: Page, expression: str, seconds_max: float = 15) -> None:
    """Until `expression` is true. Playwright's own way to wait evaluates within the page, which its policy forbids."""
    deadline = time.monotonic() + seconds_max
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, f"still not: {expression}"
        page.wait_for_timeout(20)


def has_open(page: Page, *, sockets: int, microphones: int, contexts: int, seconds_max: float = 5) -> None:
    """Waits until the page has exactly so many of each open, of all it ever opened; fails if that does not come."""
    wanted = {"sockets": sockets, "microphones": microphones, "contexts": contexts}
    deadline = time.monotonic() + seconds_max
    while (found := page.evaluate(_OPEN)) != wanted:
        assert time.monotonic() < deadline, f"open are {found}, not {wanted}"
        page.wait_for_timeout(20)


def attach_meter(page: Page) -> None:
    """From now on `loudest` is the loudest sample played, as an AnalyserNode sees it."""
    page.evaluate(_ATTACH, "")


def attach_recorder(page: Page) -> None:
    """From now on every sample that is played can be measured; in a page that `is_measured`."""
    page.evaluate(_ATTACH, _RECORDER)


def logged(page: Page, name: str) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = page.evaluate("name => log.filter((entry) => entry.name === name)", name)
    return entries


@dataclass(frozen=True, slots=True)
class Heard:
    """One stretch of sound, by the context's clock, in ms; gaps of underruns are not counted in `sound_ms`."""

    begins_ms: float
    ends_ms: float
    sound_ms: float


def heard(page: Page, apart_ms: float = 600) -> list[Heard]:
    """The stretches of sound so far, at least `apart_ms` of silence between two of them."""
    frames: list[int] = page.evaluate(
        "() => new Promise((resolve) => { recorder.port.onmessage = ({ data }) => resolve(data);"
        " recorder.port.postMessage(0); })"
    )
    stretches: list[list[int]] = []
    for frame in frames:
        if not stretches or frame - stretches[-1][-1] > apart_ms * RATE / 1000:
            stretches.append([])
        stretches[-1].append(frame)
    return [_measured(stretch) for stretch in stretches]


def _measured(frames: list[int]) -> Heard:
    # A tone crosses zero: a few silent samples are part of it, more than 2 ms are a gap.
    gaps = sum(b - a - 1 for a, b in itertools.pairwise(frames) if b - a > RATE * 2 // 1000)
    per_ms = RATE / 1000
    whole = frames[-1] - frames[0] + 1
    return Heard(frames[0] / per_ms, (frames[-1] + 1) / per_ms, (whole - gaps) / per_ms)


def keep_picture(page: Page, name: str) -> None:
    """A screenshot for people to look at, in `artefacts/`."""
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def keep_figures(name: str, figures: dict[str, Any]) -> None:
    """What was measured, beside the screenshots."""
    ARTEFACTS.mkdir(exist_ok=True)
    (ARTEFACTS / f"{name}.json").write_text(json.dumps(figures, indent=2))
