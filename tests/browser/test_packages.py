"""The packed client in real bundlers (F28): installed, built, and spoken to in a browser."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest

from tests.support.browser_driver import Visit, running_gateway, silence, wait_until
from tests.support.browser_measurements import QUESTION, spoken
from tests.support.bundled_examples import (
    Project,
    gateway_url,
    pack_client,
    served_as_files,
    served_by_next,
    served_by_vite,
)
from tests.support.deployment import token
from tests.support.node import node, package_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from playwright.sync_api import Page

    from tests.support.browser_driver import BrowserGateway, Browsers

pytestmark = pytest.mark.timeout(200)  # the first run installs and builds

# The loudest sample that reached a loudspeaker, and the worklets that were loaded. A development server has a socket of
# its own, which does not count.
_WATCH = """
(() => {
  sockets.push = (socket) => socket.url.includes("/ws/voice") && Array.prototype.push.call(sockets, socket);
  window.worklets = [];
  const addModule = Worklet.prototype.addModule;
  Worklet.prototype.addModule = async function (url) {
    await addModule.call(this, url);
    worklets.push(new URL(url, location).href);
  };
  window.loudest = 0;
  const connect = AudioNode.prototype.connect;
  AudioNode.prototype.connect = function (target, ...more) {
    if (target instanceof AudioDestinationNode && this instanceof GainNode) {
      const analyser = this.context.createAnalyser(), samples = new Float32Array(analyser.fftSize);
      connect.call(this, analyser);
      setInterval(() => {
        analyser.getFloatTimeDomainData(samples);
        window.loudest = Math.max(window.loudest, ...samples.map(Math.abs));
      }, 20);
    }
    return connect.call(this, target, ...more);
  };
})();
"""
COMPILE_SECONDS_MAX = 60  # a development server compiles each route at its first request
_WORKLETS = ("voice-capture", "voice-playback")


@pytest.fixture(scope="module")
def cache(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return package_cache(request, tmp_path_factory)


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[BrowserGateway]:
    """One for all tests, whose answers are long enough to be interrupted."""
    with running_gateway(tmp_path_factory.mktemp("gateway"), answer_ms=4000) as started:
        yield started


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return pack_client(tmp_path_factory.mktemp("packed"))


class ExampleVisit(Visit):
    """A page of an example."""

    def __init__(self, page: Page, origin: str) -> None:
        super().__init__(page)
        self._origin = origin
        page.goto(origin, timeout=1000 * COMPILE_SECONDS_MAX)

    def shows(self, state: str) -> None:
        wait_until(self.page, f"Boolean(document.querySelector('[data-state={state}]'))", COMPILE_SECONDS_MAX)

    def loaded_the_worklets_from_its_own_origin(self) -> None:
        loaded = self.page.evaluate("worklets")
        assert all(url.startswith(f"{self._origin}/") for url in loaded), loaded
        assert [any(name in url for url in loaded) for name in _WORKLETS] == [True, True], loaded


@pytest.fixture
def visit(browsers: Browsers) -> Iterator[Callable[..., ExampleVisit]]:
    """Opens a page: `visit(origin, speech=…)`; the microphone receives `speech` once."""
    opened = []

    def open_page(origin: str, *, speech: bytes | None = None) -> ExampleVisit:
        page, to_close = browsers.new_page(speech=speech, script=_WATCH)
        opened.append(to_close)
        return ExampleVisit(page, origin)

    yield open_page
    for each in opened:
        each.close()


def is_spoken_to(it: ExampleVisit) -> None:
    """A spoken question, its answer aloud, the document behind it, an interruption."""
    it.press("Start talking")
    it.shows("listening")
    it.shows("speaking")
    wait_until(it.page, "window.loudest > 0.01")
    assert it.page.locator(".user").inner_text().strip() == QUESTION
    it.press("Brooding")
    assert "34 degrees" in it.page.get_by_role("dialog").inner_text()
    it.page.keyboard.press("Escape")
    it.page.set_viewport_size({"width": 360, "height": 780})
    assert it.page.evaluate("document.documentElement.scrollWidth") == 360, "it fits a phone"
    it.press("Interrupt")
    it.shows("listening")
    assert it.page.evaluate("sockets.length") == 1
    it.loaded_the_worklets_from_its_own_origin()


def goes_and_comes_back(it: ExampleVisit, go: Callable[[], None], come_back: Callable[[], None]) -> None:
    """Unmounting leaves nothing open; mounting again gives a component that goes on with the same conversation."""
    go()
    it.has_left_nothing_behind()
    come_back()
    assert it.page.get_by_role("status").inner_text() == "Press to continue"
    it.press("Start talking")
    it.shows("listening")
    it.page.get_by_label("Your question").fill(QUESTION)
    it.page.keyboard.press("Enter")
    it.shows("speaking")
    it.press("End")
    it.shows("idle")
    it.has_left_nothing_behind()


def is_the_vite_example(it: ExampleVisit) -> None:
    """Speak to the Vite example, close its panel and open it again."""
    it.press("Ask the handbook")
    is_spoken_to(it)
    goes_and_comes_back(it, lambda: it.press("Close"), lambda: it.press("Ask the handbook"))
    assert it.console_errors == []


def is_the_next_example(it: ExampleVisit) -> None:
    """Speak to the Next.js example, go to another route and come back."""

    def follow(name: str) -> None:
        it.page.get_by_role("link", name=name, exact=True).click()

    is_spoken_to(it)
    goes_and_comes_back(it, lambda: follow("About"), lambda: follow("Talk"))
    assert it.console_errors == []


@pytest.mark.parametrize("react", ["18", pytest.param("19", marks=pytest.mark.slow)])
def test_the_vite_example_is_built_from_the_package_and_spoken_to_F28(
    cache: Path, client: Path, visit: Callable[..., ExampleVisit], gateway: BrowserGateway, react: str
) -> None:
    """Under a policy that allows scripts of the page's own origin only."""
    project = Project(cache, "vite-react", react, client)
    project.build(VITE_VOICE_URL=gateway_url(gateway.port))
    with served_as_files(project.folder / "dist") as origin:
        is_the_vite_example(visit(origin, speech=silence(1) + spoken(QUESTION)))


def test_strict_mode_of_vites_development_server_begins_one_conversation_F28(
    cache: Path, client: Path, visit: Callable[..., ExampleVisit], gateway: BrowserGateway
) -> None:
    """Only development builds mount twice; this server also moves modules of packages away from their files."""
    project = Project(cache, "vite-react", "18", client)
    with served_by_vite(project, gateway.port) as origin:
        it = visit(origin)
        it.page.wait_for_load_state("networkidle")  # at its first start it may find a package late, and reload the page
        it.press("Ask the handbook")
        it.press("Start talking")
        it.shows("listening")
        assert it.page.evaluate("sockets.length") == 1
        it.loaded_the_worklets_from_its_own_origin()
        goes_and_comes_back(it, lambda: it.press("Close"), lambda: it.press("Ask the handbook"))


def test_a_bundler_that_emits_no_files_is_told_where_the_worklets_are_F28(
    cache: Path, client: Path, visit: Callable[..., ExampleVisit], gateway: BrowserGateway, tmp_path: Path
) -> None:
    """Rolldown here, as Rollup and esbuild do: it leaves `new URL(…, import.meta.url)` as it is."""
    project = Project(cache, "vite-react", "18", client)
    (project.folder / "plain.js").write_text(_PLAIN % (gateway_url(gateway.port), token()))
    bundler = project.folder / "node_modules" / "rolldown" / "bin" / "cli.mjs"
    project.run(node(str(bundler), "plain.js", "--file", str(tmp_path / "plain.js")))
    (tmp_path / "index.html").write_text(
        '<link rel="icon" href="data:,"><script type="module" src="plain.js"></script>'
    )
    for name in _WORKLETS:
        (tmp_path / "worklets").mkdir(exist_ok=True)
        shutil.copy(project.folder / "node_modules" / "voice-trio" / "src" / f"{name}.js", tmp_path / "worklets")
    with served_as_files(tmp_path) as origin:
        it = visit(origin)
        it.shows("listening")
        wait_until(it.page, "worklets.length === 2")
        assert sorted(it.page.evaluate("worklets")) == [f"{origin}/worklets/{name}.js" for name in _WORKLETS]
        assert it.console_errors == []


_PLAIN = """
import { VoiceClient } from "voice-trio";

const voice = new VoiceClient({ url: "%s", token: "%s", workletBase: "/worklets" });
voice.addEventListener("state", ({ detail }) => { document.documentElement.dataset.state = detail.state; });
voice.start();
"""


@pytest.mark.parametrize("bundler", ["--turbopack", pytest.param("--webpack", marks=pytest.mark.slow)])
def test_the_next_example_is_built_from_the_package_and_spoken_to_F28(
    cache: Path, client: Path, visit: Callable[..., ExampleVisit], gateway: BrowserGateway, bundler: str
) -> None:
    project = Project(cache, "next", "19", client)
    project.build(bundler)
    with served_by_next(project, gateway.port) as origin:
        is_the_next_example(visit(origin, speech=silence(1) + spoken(QUESTION)))


@pytest.mark.slow
def test_files_copied_into_a_vite_project_are_spoken_to_F28(
    cache: Path, visit: Callable[..., ExampleVisit], gateway: BrowserGateway
) -> None:
    project = Project(cache, "vite-react", "18", None)
    project.copy_client_files("src")
    project.build(VITE_VOICE_URL=gateway_url(gateway.port))
    with served_as_files(project.folder / "dist") as origin:
        is_the_vite_example(visit(origin, speech=silence(1) + spoken(QUESTION)))


@pytest.mark.slow
@pytest.mark.parametrize("bundler", ["--turbopack", "--webpack"])
def test_files_copied_into_a_next_project_are_spoken_to_F28(
    cache: Path, visit: Callable[..., ExampleVisit], gateway: BrowserGateway, bundler: str
) -> None:
    project = Project(cache, "next", "19", None)
    project.copy_client_files("app")
    project.build(bundler)
    with served_by_next(project, gateway.port) as origin:
        is_the_next_example(visit(origin, speech=silence(1) + spoken(QUESTION)))


@pytest.mark.slow
@pytest.mark.parametrize("bundler", ["--turbopack", "--webpack"])
def test_strict_mode_of_nexts_development_server_begins_one_conversation_F28(
    cache: Path, client: Path, visit: Callable[..., ExampleVisit], gateway: BrowserGateway, bundler: str
) -> None:
    project = Project(cache, "next", "19", client)
    with served_by_next(project, gateway.port, "dev", bundler) as origin:
        is_the_next_example(visit(origin, speech=silence(1) + spoken(QUESTION)))


@pytest.mark.slow
@pytest.mark.parametrize("resolution", ["bundler", "nodenext"])
def test_the_types_of_the_package_are_those_of_its_modules_F28(cache: Path, client: Path, resolution: str) -> None:
    """Strict, and with the declarations themselves checked; a wrong use is an error."""
    project = Project(cache, "next", "19", client)
    (project.folder / "uses.mts").write_text(_USES)
    options = ("--strict", "--noEmit", "--skipLibCheck", "false", "--ignoreConfig", "--target", "es2022")
    module = "esnext" if resolution == "bundler" else "nodenext"
    compiler = project.folder / "node_modules" / "typescript" / "bin" / "tsc"
    project.run(node(str(compiler), *options, "--module", module, "--moduleResolution", resolution, "uses.mts"))


_USES = """
import { STATES, VoiceClient, type VoiceEvents, type VoiceState } from "voice-trio";
import { useVoice } from "voice-trio/react";

const voice = new VoiceClient({ url: "wss://gateway.example/v1/ws/voice", token: async () => "", workletBase: "/w/" });
voice.addEventListener("transcript", ({ detail }) => { const text: string = detail.text; });
const states: readonly VoiceState[] = STATES;
const said = ({ role }: VoiceEvents["transcript"]): "user" | "assistant" => role;
const hook = useVoice({ token: "" }, { transcript: said });
const started: Promise<void> = hook.startConversation();
// @ts-expect-error: there is no such event
useVoice({}, { transcripts: said });
// @ts-expect-error: a token is text
new VoiceClient({ token: 1 });
"""
