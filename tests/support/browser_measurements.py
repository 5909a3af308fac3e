"""Measures what a browser plays and shows, and keeps measurements and screenshots in `artefacts/`."""

from __future__ import annotations

import itertools
import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.browser_driver import RATE, ROOT
from voice_trio.embedded.local import missing_packages
from voice_trio.testing.sounds import tone_pcm

if TYPE_CHECKING:
    from playwright.sync_api import Page

    from tests.support.browser_driver import BrowserDriver

ARTEFACTS = ROOT / "artefacts"
QUESTION = "How warm must the brooder be in the first week?"
ERROR_MS_MAX = 20.0
TOUCH_PX_MIN = 36

# Receives the audio that goes to the loudspeaker, and records the frames that are not silent.
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


# Of each visible text: its beginning, its colour, and the nearest colour behind it that is not transparent.
_TEXT_COLOURS = r"""
() => {
  const rgba = (text) => text.match(/[\d.]+/g).map(Number);
  const behind = (element) => {
    for (let at = element; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] !== 0) return colour.slice(0, 3);
    }
    return rgba(getComputedStyle(document.body).backgroundColor).slice(0, 3);
  };
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const found = [];
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    const text = walker.currentNode.data.trim();
    const isShown = element.checkVisibility({ visibilityProperty: true }) && !element.closest(".unseen, .skip, option");
    if (!text || !isShown) continue;
    const { color, fill } = getComputedStyle(element);
    found.push([text.slice(0, 30), rgba(element.closest("svg") ? fill : color).slice(0, 3), behind(element)]);
  }
  return found;
}
"""


def spoken(text: str) -> bytes:
    """`text` as synthesised speech; without the speech packages a tone of similar length and volume."""
    if missing_packages():
        return tone_pcm(0, 2600)
    from voice_trio.embedded.speech.synthesis.voice import SynthesisVoice

    return b"".join(piece.pcm for piece in SynthesisVoice().speak(text, language="en"))


def attach_meter(page: Page) -> None:
    """From now on the page's `loudest` is the loudest sample it has played, by an AnalyserNode."""
    page.evaluate(_ATTACH, "")


def attach_recorder(page: Page) -> None:
    """Record every sample from now on; the page must be opened `with_recorder`."""
    page.evaluate(_ATTACH, _RECORDER)


@dataclass(frozen=True, slots=True)
class PlayedAudio:
    """One stretch of audio in ms of the context's clock; `sound_ms` leaves out the gaps of underruns."""

    begins_ms: float
    ends_ms: float
    sound_ms: float


def played_audio(page: Page, apart_ms: float = 600) -> list[PlayedAudio]:
    """The stretches of audio so far, separated by at least `apart_ms` of silence."""
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


def measure_cuts(driver: BrowserDriver, page: Page) -> tuple[list[float], list[float]]:
    """For each interrupted response, in ms: the reported minus the played audio, and the audio after the flush."""
    sounds = played_audio(page, apart_ms=120)
    reports = driver.wire.positions(flushed=True)
    cuts = page.evaluate("cuts")
    errors, delays = [], []
    for sound, report in zip(sounds, reports, strict=True):
        errors.append(round(report["played_ms"] - sound.sound_ms, 1))
        orders = [1000 * cut["at"] for cut in cuts if sound.begins_ms <= 1000 * cut["at"] <= sound.ends_ms + 100]
        delays.append(round(max(0.0, sound.ends_ms - min(orders)), 1))
    return errors, delays


def contrast(page: Page, selector: str) -> float:
    """WCAG 2 contrast of an element's text against the page."""
    colours: list[list[float]] = page.evaluate(
        """(selector) => {
          const element = document.querySelector(selector);
          const rgb = (text) => text.match(/[\\d.]+/g).slice(0, 3).map(Number);
          return [rgb(getComputedStyle(element).color), rgb(getComputedStyle(document.body).backgroundColor)];
        }""",
        selector,
    )
    return _ratio(*colours)


def faint_texts(page: Page) -> list[str]:
    """The visible texts whose WCAG 2 contrast with what is behind them is below AA, 4.5."""
    found: list[list[Any]] = page.evaluate(_TEXT_COLOURS)
    return [f"{text}: {_ratio(colour, behind):.2f}" for text, colour, behind in found if _ratio(colour, behind) < 4.5]


def check_layout(page: Page) -> None:
    """No element overflows the width, and each button is large enough to press."""
    wide = "[...document.querySelectorAll('body *')].filter((it) => it.getBoundingClientRect().right > innerWidth + 1)"
    assert page.evaluate(wide + ".map((it) => it.outerHTML.slice(0, 80))") == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    for button in page.locator("button:visible, #settings summary").all():
        box = button.bounding_box()
        assert box is not None
        assert min(box["width"], box["height"]) >= TOUCH_PX_MIN, button.evaluate("it => it.outerHTML.slice(0, 80)")


def keep_picture(page: Page, name: str) -> None:
    """Save a screenshot in `artefacts/`, for review by a person."""
    ARTEFACTS.mkdir(exist_ok=True)
    page.screenshot(path=ARTEFACTS / f"{name}.png")


def keep_measurements(name: str, figures: dict[str, Any]) -> None:
    """Save measurements beside the screenshots."""
    ARTEFACTS.mkdir(exist_ok=True)
    (ARTEFACTS / f"{name}.json").write_text(json.dumps(figures, indent=2))


def _measured(frames: list[int]) -> PlayedAudio:
    # A tone crosses zero: a few silent samples belong to it, more than 2 ms are a gap.
    gaps = sum(b - a - 1 for a, b in itertools.pairwise(frames) if b - a > RATE * 2 // 1000)
    per_ms = RATE / 1000
    whole = frames[-1] - frames[0] + 1
    return PlayedAudio(frames[0] / per_ms, (frames[-1] + 1) / per_ms, (whole - gaps) / per_ms)


def _ratio(one: list[float], other: list[float]) -> float:
    light, dark = sorted((_luminance(colour) for colour in (one, other)), reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _luminance(colour: list[float]) -> float:
    linear = [c / 255 / 12.92 if c <= 10.31 else ((c / 255 + 0.055) / 1.055) ** 2.4 for c in colour]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
