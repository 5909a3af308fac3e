"""`react.js` with real React, the two versions that are in use, in a real browser, from another origin than its own."""

from __future__ import annotations

import functools
import http.server
import shutil
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlencode

import pytest

from tests.support.browser_driver import Visit, silence, wait_until
from tests.support.browser_measurements import QUESTION, spoken
from tests.support.deployment import token
from tests.support.http_receiver import listening
from tests.support.node import installed, package_cache

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.support.browser_driver import BrowserGateway, Browsers, StartGateway

HERE = Path(__file__).parent
NEWEST = "19"
# React comes as CommonJS: each file is wrapped as the ES module that a bundler would make of it.
_MODULES = {
    "18": {
        "react.js": ("react/cjs/react.development.js", ()),
        "scheduler.js": ("scheduler/cjs/scheduler.development.js", ()),
        "react-dom-client.js": ("react-dom/cjs/react-dom.development.js", ("react", "scheduler")),
    },
    "19": {
        "react.js": ("react/cjs/react.development.js", ()),
        "scheduler.js": ("scheduler/cjs/scheduler.development.js", ()),
        "react-dom.js": ("react-dom/cjs/react-dom.development.js", ("react",)),
        "react-dom-client.js": (
            "react-dom/cjs/react-dom-client.development.js",
            ("react", "scheduler", "react-dom"),
        ),
    },
}
_EXPORTS = {
    "react.js": (
        "StrictMode",
        "createElement",
        "useEffect",
        "useMemo",
        "useRef",
        "useState",
        "useSyncExternalStore",
    ),
    "react-dom-client.js": ("createRoot",),
}
# In React 18 react-dom itself makes the root; it warns unless the call comes through its client module.
_BY_THE_CLIENT_MODULE = """
module.exports.__SECRET_INTERNALS_DO_NOT_USE_OR_YOU_WILL_BE_FIRED.usingClientEntryPoint = true;
"""


def as_module(source: str, needs: tuple[str, ...], exports: tuple[str, ...], last: str = "") -> str:
    imports = "".join(f'import needed{i} from "/{name}.js";\n' for i, name in enumerate(needs))
    table = ", ".join(f'"{name}": needed{i}' for i, name in enumerate(needs))
    head = f"const module = {{ exports: {{}} }}, exports = module.exports;\nconst needs = {{ {table} }};\n"
    head += 'const require = (name) => needs[name], process = { env: { NODE_ENV: "development" } };\n'
    named = "".join(f"export const {name} = module.exports.{name};\n" for name in exports)
    return f"{imports}{head}{source}\n{last}export default module.exports;\n{named}"


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def origin(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server of the page and of React, of which the gateway knows nothing."""
    version = getattr(request, "param", NEWEST)
    wanted = {"private": True, "dependencies": {"react": version, "react-dom": version}}
    packages = installed(package_cache(request, tmp_path_factory), wanted, "the React hook was not tested")
    folder = tmp_path_factory.mktemp(f"react{version}")
    for name, (path, needs) in _MODULES[version].items():
        source = (packages / "node_modules" / path).read_text("utf-8")
        last = _BY_THE_CLIENT_MODULE if (version, name) == ("18", "react-dom-client.js") else ""
        (folder / name).write_text(as_module(source, needs, _EXPORTS.get(name, ()), last), "utf-8")
    shutil.copy(HERE / "react_page.html", folder / "index.html")
    serve = functools.partial(_Quiet, directory=str(folder))
    with listening(http.server.ThreadingHTTPServer(("127.0.0.1", 0), serve)) as server:
        yield f"http://127.0.0.1:{server.server_port}"


class ReactVisit(Visit):
    """The page of the hook."""

    def shows(self, state: str) -> None:
        wait_until(self.page, f"document.getElementById('state')?.textContent === {state!r}")

    def sessions(self) -> list[str]:
        """The session of each `ready` so far."""
        found: list[str] = self.page.evaluate("heard.flatMap(({ ready }) => ready?.sessionId ?? [])")
        return found


@pytest.fixture
def visit(browsers: Browsers, origin: str) -> Iterator[Callable[..., ReactVisit]]:
    """Opens the page: `visit(gateway, strict=…, speech=…, bearer=…, allow_microphone=…)`."""
    opened = []

    def open_page(
        gateway: BrowserGateway,
        *,
        strict: bool = True,
        speech: bytes | None = None,
        bearer: str = "",
        allow_microphone: bool = True,
    ) -> ReactVisit:
        page, to_close = browsers.new_page(speech=speech, allow_microphone=allow_microphone)
        opened.append(to_close)
        it = ReactVisit(page)
        asked = {"port": gateway.port, "bearer": bearer or token(), **({"strict": "1"} if strict else {})}
        page.goto(f"{origin}/?{urlencode(asked)}")
        it.shows("idle")
        return it

    yield open_page
    for each in opened:
        each.close()


@pytest.mark.parametrize("origin", [pytest.param("18", marks=pytest.mark.slow), NEWEST], indirect=True)
def test_a_spoken_conversation_interrupted_and_ended_in_strict_mode(
    visit: Callable[..., ReactVisit], start_gateway: StartGateway, request: pytest.FixtureRequest
) -> None:
    with start_gateway(answer_ms=4000) as gateway:
        it = visit(gateway, speech=silence(1) + spoken(QUESTION))
        assert it.page.evaluate("reactVersion").split(".")[0] in request.node.name
        it.press("Talk")
        it.shows("listening")
        assert it.page.locator("#states").inner_text() == "isConnected isListening"
        it.shows("speaking")
        assert it.page.locator("#states").inner_text() == "isConnected isSpeaking"
        wait_until(it.page, "voice.audioLevel > 0.01")
        it.press("Interrupt")
        it.shows("listening")
        wait_until(it.page, f"heard.some(({{ role, text }}) => role === 'user' && text.trim() === {QUESTION!r})")
        assert next(entry["cut"]["by"] for entry in it.page.evaluate("heard") if "cut" in entry) == "user"
        assert it.page.evaluate("sockets.length") == 1, "strict mode mounts twice, and connects once"
        it.press("Stop")
        it.shows("idle")
        assert it.page.evaluate("voice.audioLevel") == 0
        it.has_left_nothing_behind()
        assert it.console_errors == []


def test_a_typed_question_and_a_second_conversation_after_the_first(
    visit: Callable[..., ReactVisit], gateway: BrowserGateway
) -> None:
    it = visit(gateway)
    for conversation in (1, 2):
        it.press("Talk")
        it.shows("listening")
        it.press("Ask")
        it.shows("speaking")
        it.shows("listening")
        it.press("Stop")
        it.shows("idle")
        assert it.page.evaluate("sockets.length") == conversation
    it.has_left_nothing_behind()
    assert it.console_errors == []


def test_two_clicks_begin_one_conversation(visit: Callable[..., ReactVisit], gateway: BrowserGateway) -> None:
    it = visit(gateway)
    it.page.evaluate("() => { voice.startConversation(); voice.startConversation(); }")
    it.shows("listening")
    assert it.page.evaluate("sockets.length") == 1


@pytest.mark.parametrize("after", ["listening", "connecting", "speaking"])
def test_a_component_that_goes_takes_its_conversation_along(
    visit: Callable[..., ReactVisit], gateway: BrowserGateway, after: str
) -> None:
    it = visit(gateway)
    if after == "connecting":
        it.page.evaluate("() => { voice.startConversation(); }")
    else:
        it.press("Talk")
        it.shows("listening")
    if after == "speaking":
        it.press("Ask")
        it.shows("speaking")
    it.page.evaluate("unmount()")
    it.has_left_nothing_behind()
    it.page.evaluate("() => { voice.startConversation(); }")  # a kept reference: no component could stop it any more
    it.page.wait_for_timeout(200)
    it.has_left_nothing_behind()
    it.page.evaluate("mount()")
    it.shows("idle")
    it.press("Talk")
    it.shows("listening")
    assert it.console_errors == []


def test_a_refusal_is_an_error_state_and_the_next_try_clears_it(
    visit: Callable[..., ReactVisit], start_gateway: StartGateway
) -> None:
    with start_gateway() as gateway:  # its own gateway: one with many refusals refuses at the handshake
        it = visit(gateway, bearer="nonsense", strict=False)
        it.press("Talk")
        it.shows("error")
        assert it.page.locator("#error").inner_text() == "token_invalid"
        assert it.page.evaluate("voice.error.isFatal")
        it.has_left_nothing_behind()
        it.page.evaluate("bearer => { window.bearer = bearer; }", token())
        it.press("Talk")
        it.shows("listening")
        assert it.page.locator("#error").inner_text() == ""


def test_a_component_that_comes_back_has_its_conversation_again_F31(
    visit: Callable[..., ReactVisit], gateway: BrowserGateway
) -> None:
    """At once: the same connection. After longer, or after an error: the same session, without another start of one."""
    it = visit(gateway)
    it.press("Talk")
    it.shows("listening")
    it.page.evaluate("() => { unmount(); mount(); }")
    it.shows("listening")
    it.press("Ask")
    it.shows("speaking")
    assert it.page.evaluate("sockets.length") == 1
    it.page.evaluate("unmount()")
    it.has_left_nothing_behind()
    it.page.evaluate("mount()")
    it.shows("idle")
    assert it.page.evaluate("voice.canResume")
    it.press("Talk")
    it.shows("listening")
    it.page.evaluate("() => sockets.at(-1).onclose({ code: 1009, reason: 'Message over the limit' })")
    it.shows("error")
    it.press("Talk")
    it.shows("listening")
    first, second, third = it.sessions()
    assert first == second == third
    assert it.console_errors == []


def test_levels_reach_a_meter_without_a_render_unless_the_component_reads_them_F32(
    visit: Callable[..., ReactVisit], gateway: BrowserGateway
) -> None:
    it = visit(gateway)
    it.press("Talk")
    it.shows("listening")
    it.page.evaluate(
        """() => {
          window.levels = [];
          voice.subscribeLevels((level) => levels.push({ at: performance.now(), ...level }));
          voice.sendText("How warm must the brooder be?");
        }"""
    )
    it.shows("speaking")
    counted = "({ renders, levels: levels.length, words: heard.length })"
    before, told, words = it.page.evaluate(counted).values()
    it.page.wait_for_timeout(500)
    after, told_after, words_after = it.page.evaluate(counted).values()
    assert told_after - told >= 5
    assert after - before <= 2 * (words_after - words)  # each word renders, twice in strict mode; no level does
    it.shows("listening")
    levels = it.page.evaluate("levels.filter(({ output }) => output > 0)")
    spoken_seconds = (levels[-1]["at"] - levels[0]["at"]) / 1000
    assert len(levels) <= 20 * spoken_seconds + 2
    loud = [level["output"] for level in levels if level["at"] < levels[0]["at"] + 600]
    assert min(loud[1:]) > 0.05, "not 0, 0.12, 0, 0.4"
    it.page.evaluate("voice.audioLevel")
    it.press("Ask")
    wait_until(it.page, "voice.audioLevel > 0.05")
    assert it.page.evaluate("voice.levels.output") > 0


def test_what_a_page_must_show_is_there_F33(visit: Callable[..., ReactVisit], gateway: BrowserGateway) -> None:
    it = visit(gateway, allow_microphone=False)
    it.press("Talk")
    it.shows("listening")
    wait_until(it.page, "voice.microphone === 'refused'")
    assert it.page.evaluate("voice.microphoneReason") == "denied"
    it.press("Ask")
    it.shows("speaking")
    assert it.page.evaluate("voice.output") == "running"
    it.shows("listening")
    question, answer = it.page.evaluate("voice.transcripts.map(({ role, text }) => [role, text])")
    assert question == ["user", "How warm must the brooder be?"]
    assert answer[0] == "assistant"
    assert "34" in answer[1]
    passages = it.page.evaluate("voice.context.passages.map(({ title }) => title)")
    assert passages
    assert it.page.evaluate("voice.getPassage(voice.context.passages[0].id).then(({ text }) => text.length > 0)")
    assert it.page.evaluate("voice.expiresAt - Date.now()") > 0
    it.page.evaluate("() => sockets.at(-1).close(3000)")
    wait_until(it.page, "voice.isReconnecting")
    assert it.page.evaluate("voice.reconnecting.attempt") == 1
    it.shows("listening")
    assert not it.page.evaluate("voice.isReconnecting")
    assert len(set(it.sessions())) == 1
    it.press("Stop")
    it.shows("idle")
    assert it.page.evaluate("[voice.expiresAt, voice.canResume, voice.output]") == [None, False, "closed"]
