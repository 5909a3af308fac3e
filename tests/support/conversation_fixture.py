"""A conversation of either policy, without trio: time moves when the test says so, and every command is kept."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from voice_trio.conversation import commands, events
from voice_trio.conversation.managed.conversation import ManagedConversation
from voice_trio.conversation.passthrough import PassthroughConversation
from voice_trio.conversation.policy import Policy
from voice_trio.conversation.retrieval.passage import Passage

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.conversation.full_duplex.events import FullDuplexEvent
    from voice_trio.conversation.passthrough import requests
    from voice_trio.conversation.turn.record import TurnRecord
    from voice_trio.conversation.turn.snapshot import OpenTurn

M = TypeVar("M", bound=commands.UpstreamCommand)
C = TypeVar("C")

BROODING = Passage("p1", "Brooding", "Start chicks at 34 degrees.", "handbook 1", 2.0)
LAYERS = Passage("p2", "Layers", "Layers need 16 hours of light.", "handbook 2", 1.0)


def as_injected(*passages: Passage) -> tuple[commands.InjectedPassage, ...]:
    """The passages as `ContextInjected` names them."""
    return tuple([commands.InjectedPassage(each.title, each.source, each.text) for each in passages])


_SAMPLE_VALUES: dict[str, object] = {"str": "x", "str | None": None, "int": 1, "float": 1.0, "bool": False, "Body": {}}


def sample(kind: type[Any]) -> Any:
    """An event or request of that kind, with something in each field that has no default."""
    required = [field for field in fields(kind) if field.default is MISSING and field.default_factory is MISSING]
    return kind(**{field.name: _SAMPLE_VALUES.get(str(field.type), ()) for field in required})


class Core(Protocol):
    """A conversation of either policy."""

    def handle(self, event: Any, now: float) -> list[commands.Command]: ...

    def close(self, now: float) -> list[commands.Command]: ...

    def is_answering(self, now: float) -> bool: ...

    def quiet_since(self, now: float) -> float | None: ...

    def open_turns(self, now: float) -> tuple[OpenTurn, ...]: ...


CoreT = TypeVar("CoreT", bound=Core)


class ConversationDriver(Generic[CoreT]):
    """Feeds events at exact times to a conversation of either policy and keeps what came of them, with its time."""

    def __init__(self, conversation: CoreT) -> None:
        self.now = 0.0
        self.conversation = conversation
        self.commands: list[tuple[float, commands.Command]] = []
        self.open_turns: set[int] = set()
        self._timers: list[tuple[float, int, commands.ScheduleEvent]] = []
        self._order = itertools.count()
        self._items = itertools.count(1)
        self._responses = itertools.count(1)
        self.feed(events.UpstreamReady())

    # Time

    def until(self, at: float) -> None:
        while self._timers and self._timers[0][0] <= at:
            due, _, timer = heapq.heappop(self._timers)
            self.now = max(self.now, due)
            if timer.turn_id is None or timer.turn_id in self.open_turns:
                self.feed(timer.event)
        self.now = at

    def wait(self, seconds: float) -> None:
        self.until(self.now + seconds)

    def feed(self, event: events.Event | FullDuplexEvent | requests.Request) -> list[commands.Command]:
        issued = self.conversation.handle(event, self.now)
        for command in issued:
            self.commands.append((self.now, command))
            match command:
                case commands.BeginTurn(turn_id):
                    self.open_turns.add(turn_id)
                case commands.EndTurn(turn_id):
                    self.open_turns.discard(turn_id)
                case commands.ScheduleEvent():
                    heapq.heappush(self._timers, (command.at, next(self._order), command))
        return issued

    # What happens

    def speak(self, text: str = "", *, item: str | None = None) -> str:
        """The user starts speaking; the words come at once."""
        item = item or f"item_{next(self._items)}"
        self.feed(events.SpeechStarted(item))
        if text:
            self.words(item, text)
        return item

    def words(self, item: str, text: str) -> None:
        for word in text.split():
            self.feed(events.TranscriptDelta(item, " " + word))

    def commit(self, item: str) -> None:
        self.feed(events.SpeechStopped(item))
        self.feed(events.SpeechCommitted(item))

    def found(self, search_id: int, *passages: Passage) -> None:
        self.feed(events.SearchFinished(search_id, passages))

    def ask(self, text: str = "how warm must chicks be kept at first") -> str:
        """A whole question whose context is in at commit."""
        item = self.speak(text)
        for search in self.searches():
            self.found(search.search_id, BROODING)
        for search in self.searches():
            self.found(search.search_id, BROODING)
        self.commit(item)
        for search in self.searches():
            self.found(search.search_id, BROODING)
        return item

    def begin_response(self, *, audio_ms: float = 0.0, sent: bool = True, metadata: bool = True) -> tuple[str, str]:
        """The upstream creates the response we asked for and produces some audio at once."""
        response, item = f"resp_{next(self._responses)}", f"answer_{next(self._items)}"
        tag = dict(self.creates()[-1].metadata) if metadata else {}
        self.feed(events.ResponseCreated(response, tag))
        self.feed(events.OutputItemAdded(response, item))
        if audio_ms:
            self.audio(response, item, audio_ms, sent=sent)
        return response, item

    def audio(self, response: str, item: str, ms: float, *, sent: bool = True) -> None:
        before = len(self.to_client(events.ResponseAudioDelta))
        self.feed(events.ResponseTranscriptDelta(response, item, f" {ms:.0f}"))
        self.feed(events.ResponseAudioDelta(response, item, "AAAA", ms))
        if sent and len(self.to_client(events.ResponseAudioDelta)) > before:
            self.feed(events.AudioSent(item, ms))

    def done(self, response: str, status: str = "completed", *, reason: str = "", error_code: str = "") -> None:
        self.feed(events.ResponseDone(response, status, reason, error_code))

    # What came of it

    def of(self, kind: type[C]) -> list[C]:
        return [command for _, command in self.commands if isinstance(command, kind)]

    def searches(self) -> Iterator[commands.StartSearch]:
        return iter(self.of(commands.StartSearch))

    def queries(self) -> list[str]:
        return [search.query for search in self.searches()]

    def to_upstream(self, kind: type[M]) -> list[M]:
        sent = [command.command for command in self.of(commands.SendToUpstream)]
        return [command for command in sent if isinstance(command, kind)]

    def to_client(self, kind: type[C]) -> list[C]:
        return [command.event for command in self.of(commands.SendToClient) if isinstance(command.event, kind)]

    def creates(self) -> list[commands.CreateResponse | commands.CreateClientResponse]:
        """Every `response.create`, by whichever policy."""
        return [*self.to_upstream(commands.CreateResponse), *self.to_upstream(commands.CreateClientResponse)]

    def created_at(self) -> list[float]:
        """When each `response.create` left."""
        return [*self.times(commands.CreateResponse), *self.times(commands.CreateClientResponse)]

    def last(self, kind: type[M]) -> M:
        return self.to_upstream(kind)[-1]

    def times(self, kind: type[object]) -> list[float]:
        return [
            at
            for at, command in self.commands
            if isinstance(command, commands.SendToUpstream) and isinstance(command.command, kind)
        ]

    def upstream_log(self) -> list[str]:
        """What was sent to the upstream, in order, by name."""
        return [type(command.command).__name__ for command in self.of(commands.SendToUpstream)]

    def records(self) -> list[TurnRecord]:
        return [command.record for command in self.of(commands.ReportTurn)]

    def errors(self) -> list[str]:
        return [notice.code for notice in self.to_client(commands.ErrorNotice)]


class Scene(ConversationDriver[ManagedConversation]):
    """The managed conversation, which most tests are about."""

    def __init__(self, policy: Policy | None = None) -> None:
        super().__init__(ManagedConversation(policy or Policy()))


class PassthroughScene(ConversationDriver[PassthroughConversation]):
    """A client of OpenAI's protocol whose session responds to each commit by itself, unless it is told otherwise."""

    def __init__(self, policy: Policy | None = None) -> None:
        super().__init__(PassthroughConversation(policy or Policy()))
