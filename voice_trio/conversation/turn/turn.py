"""One turn: what the user said, how far its response has come, and what is reported of it in the end."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from voice_trio.conversation.commands import InjectedPassage
from voice_trio.conversation.retrieval.context import Context, render_context
from voice_trio.conversation.turn.history import heard_part, spoken_part
from voice_trio.conversation.turn.record import Outcome, TurnRecord, TurnTimestamps

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.conversation.retrieval.prefetch import Prefetch
    from voice_trio.conversation.turn.playback import Heard


class TurnState(Enum):
    LISTENING = "the user is speaking"
    WAITING = "committed; a fresher result may still come"
    READY = "the context is settled; response.create leaves as soon as the slot is free"
    ASKED = "response.create has left"
    OVER = "answered and heard, interrupted, failed, or merged into the next turn"


@dataclass(slots=True)
class Turn:
    id: int
    prefetch: Prefetch
    typed: bool = False
    state: TurnState = TurnState.LISTENING
    texts: dict[str, str] = field(default_factory=dict)
    """What was said, by user item, in order; a turn that was merged into this one left its items here."""
    transcribed: set[str] = field(default_factory=set)
    committed: set[str] = field(default_factory=set)
    """Items of this very turn that were committed; a repeated commit of one changes nothing."""
    newest_item_id: str | None = None
    lost_items: frozenset[str] = frozenset()
    """Items of speech that was cut off with its upstream: the next one may hear the same words again."""
    stages: TurnTimestamps = field(default_factory=TurnTimestamps)
    context: Context | None = None
    context_sent: bool = False
    outcome: Outcome | None = None
    stale: bool = False
    tool_rounds: int = 0
    attempts: int = 0
    continues: bool = False
    """Whether the next `response.create` goes on with an answer that broke off with its upstream."""
    continuations: int = 0
    response_texts: dict[str, str] = field(default_factory=dict)
    """What the assistant says, by item."""
    response_forwarded: bool = False
    """Whether the client was sent any sound of the response."""
    status: str = "completed"
    """How the newest response of this turn ended."""
    reported: bool = False

    @property
    def said(self) -> str:
        return " ".join(filter(None, map(str.strip, self.texts.values())))

    @property
    def lost_words(self) -> str:
        """What is known of speech that was cut off with its upstream."""
        return " ".join(text for item_id, text in self.texts.items() if item_id in self.lost_items).strip()

    @property
    def is_open(self) -> bool:
        return self.state is not TurnState.OVER

    @property
    def is_unasked(self) -> bool:
        return self.state in (TurnState.LISTENING, TurnState.WAITING, TurnState.READY)

    @property
    def waited_ms(self) -> int:
        settled, committed = self.stages.context_settled, self.stages.committed
        return 0 if settled is None or committed is None else round((settled - committed) * 1000)

    def context_is_settled(self, now: float) -> bool:
        """Nothing better than what is in can be expected: there is no reason to wait."""
        if not self.prefetch.has_words:  # they may still come, unless the transcription is finished
            return self.texts.keys() <= self.transcribed
        return not self.prefetch.can_improve(now, more_words=not self.texts.keys() <= self.transcribed)

    def choose_context(self, tokens_max: int) -> None:
        """Take the best result that is in; called once, when `response.create` leaves."""
        best = self.prefetch.best
        self.context = render_context(best.passages, tokens_max) if best else None
        if best is None or best.finished_at is None or self.context is None:
            self.outcome = Outcome.LATE if self.prefetch.is_running else Outcome.NONE
            return
        if best.local:
            self.outcome = Outcome.LOCAL
            return
        self.stale = best is not self.prefetch.newest
        committed = self.stages.committed
        in_at_commit = committed is not None and best.finished_at <= committed
        self.outcome = Outcome.HIDDEN if in_at_commit else Outcome.WAITED

    @property
    def sources(self) -> tuple[tuple[str, str], ...]:
        """(title, source) of what the upstream was given."""
        if self.context is None:
            return ()
        return tuple([(passage.title, passage.source) for passage in self.context.passages])

    @property
    def injected(self) -> tuple[InjectedPassage, ...]:
        """What the upstream was given, for the client."""
        found = () if self.context is None else self.context.passages
        return tuple([InjectedPassage(each.title, each.source, each.text) for each in found])

    @property
    def was_asked(self) -> bool:
        """Whether a `response.create` of this turn has left, for whichever upstream."""
        return self.stages.asked is not None

    def keep_spoken_words(self, heard: Sequence[Heard]) -> None:
        """The response broke off: of its text, which runs ahead of its sound, what the sound so far can have said."""
        for item in heard:
            if item.item_id in self.response_texts:
                self.response_texts[item.item_id] = spoken_part(self.response_texts[item.item_id], item.received_ms)

    def forget_upstream(self) -> None:
        """The next upstream knows nothing of this turn: what the last one was given must be given again."""
        self.context_sent = False
        self.attempts = 0

    def record(self, status: str, heard: Sequence[Heard]) -> TurnRecord:
        """What is reported of the turn; `heard` are the items of its response that have sound."""
        heard_ms = received_ms = 0.0
        for item in heard:
            heard_ms += item.heard_ms
            received_ms += item.received_ms
        return TurnRecord(
            turn_id=self.id,
            typed=self.typed,
            said=self.said,
            answer=" ".join(filter(None, self.response_texts.values())),
            status=status,
            outcome=self.outcome,
            stale=self.stale,
            waited_ms=self.waited_ms,
            queries=self.prefetch.queries,
            passages=self.sources,
            heard_ms=round(heard_ms),
            received_ms=round(received_ms),
            said_items=tuple(zip(self.texts, map(str.strip, self.texts.values()), strict=True)),
            heard_items=tuple(self.heard_items(heard)),
            stages=self.stages,
        )

    def heard_items(self, heard: Sequence[Heard]) -> list[tuple[str, str]]:
        """(item, words) of the response as far as it was heard."""
        by_id = {item.item_id: item for item in heard}
        items = []
        for item_id, text in self.response_texts.items():
            sound = by_id.get(item_id)
            part = text.strip() if sound is None else heard_part(text.strip(), sound.heard_ms, sound.received_ms)
            if part and (sound is None or sound.heard_ms > 0):
                items.append((item_id, part))
        return items
