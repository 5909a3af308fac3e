"""The running part of `measure_shape`: how far one event walks through the code, counted by `sys.setprofile`.

A whole session runs in memory, on virtual time: the fake client, the session with its bill, the scripted model. Two
events are followed. One is the third audio delta of an answer (the state is steady by then; the delta carries no text).
The other is the client's interruption of that answer. A walk begins when the link's `receive` returns the event to the
session. It is counted up to the send named in its name, and "until idle": up to the moment at which no task has
anything left to do at this instant of virtual time.

- calls: Python calls into files of `voice_trio/`, `testing/` excepted, as `sys.setprofile` reports them. A coroutine or
  generator that is resumed counts, and so does a comprehension where the interpreter runs it as a function.
- files: distinct files among those calls.
- moves: pairs of consecutive calls in different files.

Only the session's own tasks count. The tasks of the client and the model do not, because their code may share modules
with the session. Trio shuffles tasks that are ready at the same instant, so each number is the median of `SHUFFLES`
seeded shuffles; a run before them warms the caches. The numbers are the same in every run.

A first measurement of the old code gave 67 / 21 / 46 for the delta: the walk until idle, and the two calls by which the
fake client decodes the sound. Without these it is 65 / 21 / 45. The same measurement gave 326 / 31 / 233 for the
interruption. No counting reproduces that exactly; the nearest, 345 / 32 / 228, is the walk to `response.done` of a
session without a bill.
"""

from __future__ import annotations

import ast
import contextlib
import importlib
import inspect
import io
import itertools
import json
import os
import statistics
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio
import trio.testing

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import CodeType, FrameType

PACKAGE = "voice_trio"
NOT_COUNTED = "testing"
SHUFFLES = 11
DELTA = 3  # the one that is followed
UNIX_TIME = 1_800_000_000.0
QUESTION = "how warm must the brooder be in winter"
PASSAGE = ("p1", "Brooding", "The brooder must be at 34 degrees in the first week.", "handbook 1")


# What depends on the version that is measured. Names are looked up wherever the package defines them.


def make_session(find: Callable[..., Any], client: Any, dial: Callable[[trio.Nursery], Any]) -> Any:
    """A session with a bill and one document, as the gateway would open it."""
    upstream = find("SessionConfig", "UpstreamConfig", "RealtimeConfig", under=("dialects", "protocols"))
    config = find("Terms", "SessionConfig", "SessionParams", under=("session",))
    daily_budget = find("Treasury", "DailyBudget")
    settings = find("load_settings")({})
    state = find("MemoryState")(find("Quotas")(5, 2), find("first_rollout")(settings.access))
    terms = config("sess_walk", upstream(model="gpt-realtime-2.1", instructions="Be brief."))
    bill = daily_budget(find("load_prices")(), state, settings.limits).open(terms)
    session = find("Session", under=("session",))
    parameters = inspect.signature(session).parameters
    meter = next(name for name in ("account", "cost_meter", "meter", "bill") if name in parameters)
    knowledge = find("MemoryKnowledge")((find("Passage")(*PASSAGE),))
    return session(client, dial, knowledge, terms, unix_time=lambda: UNIX_TIME, **{meter: bill})


class Finder:
    """Imports a class or function by its name from the one module under `root` that defines it."""

    def __init__(self, root: Path) -> None:
        self._places: dict[str, list[str]] = {}
        for path in sorted((root / PACKAGE).rglob("*.py")):
            module = ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")
            for node in ast.parse(path.read_text("utf-8")).body:
                if isinstance(node, ast.ClassDef | ast.FunctionDef):
                    self._places.setdefault(node.name, []).append(module)

    def __call__(self, *names: str, under: tuple[str, ...] = ()) -> Any:
        """The first of `names` that is defined, in one of the folders `under` if there are any."""
        for name in names:
            places = [place for place in self._places.get(name, ()) if not under or place.split(".")[1] in under]
            if len(places) == 1:
                return getattr(importlib.import_module(places[0]), name)
        raise LookupError(f"{PACKAGE} defines none of {names} exactly once: adapt `make_session`")


# The recording


class Recorder(trio.abc.Instrument):
    """Follows one event at a time; `walks` has the code called so far, by the names of the walks that ended there."""

    def __init__(self, package: Path) -> None:
        self.walks: dict[str, list[CodeType]] = {}
        self._inside = str(package) + os.sep
        self._outside = str(package / NOT_COUNTED) + os.sep
        self._session: trio.lowlevel.Task | None = None
        self._event = ""
        self._began = 0.0
        self._calls: list[CodeType] = []

    async def follow(self, run: Callable[[], Any]) -> None:
        """Run a session: this task and its descendants are those that count."""
        self._session = trio.lowlevel.current_task()
        await run()

    def begin(self, event: str) -> None:
        """The event has arrived."""
        self._event, self._began, self._calls = event, trio.current_time(), []
        sys.setprofile(self._profile)

    def mark(self, event: str, where: str) -> None:
        """The event's walk has come this far, if it is being followed and has not been there before."""
        if self._event == event:
            self.walks.setdefault(f"{event}, {where}", list(self._calls))

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        """Called by Trio. Time moves only when nothing is left to do, so its next instant ends the walk."""
        if self._event and trio.current_time() > self._began:
            sys.setprofile(None)
            self.mark(self._event, "until idle")
            self._event = ""

    def _profile(self, frame: FrameType, event: str, argument: object) -> None:
        file = frame.f_code.co_filename
        if event != "call" or not file.startswith(self._inside) or file.startswith(self._outside):
            return
        if self._is_of_session(trio.lowlevel.current_task()):
            self._calls.append(frame.f_code)

    def _is_of_session(self, task: trio.lowlevel.Task | None) -> bool:
        while task is not None and task is not self._session:
            task = task.parent_nursery.parent_task if task.parent_nursery else None
        return task is not None


class WatchedLink:
    """A link that tells the type of each frame: `received` before the session has it, `sent` before the peer has it."""

    def __init__(self, link: Any, received: Callable[[str], None], sent: Callable[[str], None]) -> None:
        self._link = link
        self._received = received
        self._sent = sent

    @property
    def account(self) -> Any:
        return self._link.account

    async def receive(self) -> str | bytes:
        frame: str | bytes = await self._link.receive()
        self._received(json.loads(frame)["type"])
        return frame

    def send_nowait(self, message: str | bytes) -> bool:
        if not self._link.send_nowait(message):
            return False
        self._sent(json.loads(message)["type"])  # the peer runs later: it does not have the frame yet
        return True

    @property
    def is_behind(self) -> bool:
        return bool(self._link.is_behind)

    async def drain(self) -> None:
        await self._link.drain()

    async def send(self, message: str | bytes) -> None:
        self._sent(json.loads(message)["type"])
        await self._link.send(message)

    async def aclose(self, code: int = 1000, reason: str = "") -> None:
        await self._link.aclose(code, reason)


class Watcher:
    """Sees the frames of both links of a session, and tells the recorder when a walk begins and where it is."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder
        self._deltas_received = 0
        self._deltas_sent = 0

    def upstream(self, link: Any) -> WatchedLink:
        return WatchedLink(link, self._upstream_received, lambda kind: None)

    def client(self, link: Any) -> WatchedLink:
        return WatchedLink(link, self._client_received, self._client_sent)

    def _upstream_received(self, kind: str) -> None:
        self._deltas_received += kind == "response.output_audio.delta"
        if kind == "response.output_audio.delta" and self._deltas_received == DELTA:
            self._recorder.begin("audio delta")

    def _client_received(self, kind: str) -> None:
        if kind == "interrupt":
            self._recorder.begin("interruption")

    def _client_sent(self, kind: str) -> None:
        self._deltas_sent += kind == "response.audio.delta"
        if kind == "response.audio.delta" and self._deltas_sent == DELTA:
            self._recorder.mark("audio delta", "to its send")
        elif kind in ("playback.flush", "response.done"):
            self._recorder.mark("interruption", f"to {kind}")


# The session


async def _converse(find: Finder, recorder: Recorder) -> None:
    """One question, one answer, one interruption two deltas after the one that is followed."""
    testing = importlib.import_module(f"{PACKAGE}.{NOT_COUNTED}")
    watcher = Watcher(recorder)
    async with trio.open_nursery() as nursery:
        model = testing.ScriptedModel(nursery)
        # One word, and so one transcript delta, which comes with the last piece of sound.
        model.answers_with("Thirty-three.", audio_ms=4000)
        ours, theirs = testing.memory_link_pair()
        client = testing.FakeClient(theirs)

        async def dial(sockets: trio.Nursery) -> WatchedLink:
            await trio.lowlevel.checkpoint()
            return watcher.upstream(model.connect())

        session = make_session(find, watcher.client(ours), dial)
        nursery.start_soon(client.run)
        nursery.start_soon(recorder.follow, session.run)
        await client.hears("session.updated")
        await model.hear_speech(QUESTION)
        for _ in range(DELTA + 2):
            await client.hears("response.audio.delta")
        await trio.sleep(0.01)  # between two deltas
        await client.interrupt()
        await client.hears("response.done")
        await trio.sleep(1.0)
        nursery.cancel_scope.cancel()


def _run(find: Finder, package: Path, seed: int) -> dict[str, list[CodeType]]:
    recorder = Recorder(package)
    clock = trio.testing.MockClock(autojump_threshold=0)
    shuffle = trio._core._run._r  # Trio has no public way to choose its order of tasks
    before = shuffle.getstate()
    shuffle.seed(seed)
    try:
        with contextlib.redirect_stdout(io.StringIO()):  # the session's log
            trio.run(_converse, find, recorder, clock=clock, instruments=[recorder])
    finally:
        shuffle.setstate(before)
    return recorder.walks


def measure_walks(root: Path, *, shuffles: int = SHUFFLES, trace: bool = False) -> dict[str, dict[str, Any]]:
    """Each walk of the `voice_trio` in `root`, which must be the one that Python finds: calls, files and moves.

    With `trace` each has the calls of one shuffle, too, in order.
    """
    package = Path(importlib.import_module(PACKAGE).__file__ or "").parent
    if package != root / PACKAGE:
        raise RuntimeError(f"{PACKAGE} was imported from {package}, not from {root}")
    find = Finder(root)
    _run(find, package, seed=shuffles)
    runs = [_run(find, package, seed) for seed in range(shuffles)]
    walks: dict[str, dict[str, Any]] = {}
    for name, calls in runs[0].items():
        walks[name] = _median([[code.co_filename for code in run[name]] for run in runs])
        if trace:
            walks[name]["trace"] = [
                f"{Path(code.co_filename).relative_to(package)} {code.co_qualname}" for code in calls
            ]
    return walks


def _median(walks: list[list[str]]) -> dict[str, int]:
    return {
        "calls": statistics.median_low(map(len, walks)),
        "files": statistics.median_low(len(set(walk)) for walk in walks),
        "moves": statistics.median_low(sum(a != b for a, b in itertools.pairwise(walk)) for walk in walks),
    }
