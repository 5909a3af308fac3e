"""The user's half of a turn: what is being said, which searches it starts, and when its context is settled.

It knows turns and words; it does not know how a response is asked for or heard.
"""

from __future__ import annotations

from difflib import SequenceMatcher
from typing import TYPE_CHECKING

from voice_trio.conversation import commands, events
from voice_trio.conversation.retrieval.latency import SearchLatency
from voice_trio.conversation.retrieval.prefetch import Prefetch
from voice_trio.conversation.turn.turn import Turn, TurnState

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.conversation.outbound import Outbound
    from voice_trio.conversation.policy import Policy
    from voice_trio.conversation.retrieval.passage import Passage
    from voice_trio.conversation.retrieval.prefetch import Search


MERGED_CHARACTERS_MAX = 4_000  # of a question that goes on: beyond this its beginning is forgotten
MERGED_ITEMS_MAX = 20
SAME_SPEECH_RATIO_MIN = 0.6  # of letters that two transcripts of the same sound have in common


class UserInput:
    """Holds the current turn; there is one at most, and the last one stays until the next begins."""

    def __init__(self, policy: Policy, out: Outbound) -> None:
        self._policy = policy
        self._out = out
        self._turns = 0
        self._search_id = 1
        self._latency = SearchLatency()
        self.turn: Turn | None = None

    @property
    def is_listening(self) -> bool:
        """Whether the user is speaking: the upstream has announced speech and not yet committed it."""
        return self.turn is not None and self.turn.state is TurnState.LISTENING

    @property
    def is_waiting(self) -> bool:
        """Whether a question is complete and its response not asked for yet."""
        return self.turn is not None and self.turn.state in (TurnState.WAITING, TurnState.READY)

    def begin(self) -> Turn:
        """A new turn; a question whose response was not heard at all is part of it."""
        last = self.turn
        self._turns += 1
        is_merged = last is not None and last.status == "joined"
        prefetch = Prefetch(
            first_id=self._search_id,
            policy=self._policy,
            latency=self._latency,
            before=None if last is None else last.prefetch,
            continues=is_merged,
        )
        turn = self.turn = Turn(self._turns, prefetch)
        if last is not None and is_merged:
            turn.texts.update(_newest(last.texts))
            turn.transcribed.update(last.transcribed & turn.texts.keys())
            turn.lost_items = last.lost_items & turn.texts.keys()
        self._out.issued.append(commands.BeginTurn(turn.id))
        return turn

    def commit(self, turn: Turn, item_id: str, now: float) -> None:
        """The user has stopped: the wait begins here, and ends at the latest `wait_seconds_max` from now (I3)."""
        turn.texts.setdefault(item_id, "")
        turn.committed.add(item_id)
        turn.newest_item_id = item_id
        turn.state = TurnState.WAITING
        turn.stages.committed = now
        self.start(turn, turn.prefetch.commit(turn.said, now))
        if self._policy.wait_seconds_max <= 0:
            self._settle(turn, now)
        else:
            at = now + self._policy.wait_seconds_max
            self._out.issued.append(commands.ScheduleEvent(at, events.WaitOver(turn.id), turn.id))

    def read(self, turn: Turn, item_id: str, text: str, now: float) -> None:
        """Written words: all of an item's at once, and searched for when it is committed."""
        turn.texts[item_id] = text
        turn.transcribed.add(item_id)
        if turn.stages.first_word is None and text:
            turn.stages.first_word = now

    def hear(self, item_id: str, text: str, now: float, *, final: bool = False) -> None:
        """More words of an item or, `final`, all of them; those of an older turn's items change nothing."""
        turn = self.turn
        if turn is None or item_id not in turn.texts:
            return
        turn.texts[item_id] = text if final else turn.texts[item_id] + text
        if turn.lost_items:
            _drop_repeated(turn)
        if final:
            turn.transcribed.add(item_id)
        if turn.stages.first_word is None and text:
            turn.stages.first_word = now
        if turn.is_unasked:
            self.start(turn, turn.prefetch.hear(turn.said, now))

    def transcription_failed(self, item_id: str) -> None:
        """No more words of the item come: there is nothing to wait for."""
        if self.turn is not None and item_id in self.turn.texts:
            self.turn.transcribed.add(item_id)

    def search_over(self, search_id: int, passages: tuple[Passage, ...] | None, now: float) -> None:
        """A search returned, or failed (`None`): too late for its turn, and no other turn may have it (I4)."""
        turn = self.turn
        if turn is not None and turn.is_unasked and turn.prefetch.finish(search_id, passages, now):
            self.start(turn, turn.prefetch.resume(now))

    def wait_over(self, turn_id: int, now: float) -> None:
        turn = self.turn
        if turn is not None and turn.id == turn_id and turn.state is TurnState.WAITING:
            self._settle(turn, now)

    def settle_if_possible(self, turn: Turn, now: float) -> None:
        """Nothing better is on its way: the wait of a `WAITING` turn is over before its time."""
        if turn.context_is_settled(now):
            self._settle(turn, now)

    def _settle(self, turn: Turn, now: float) -> None:
        turn.state = TurnState.READY
        turn.stages.context_settled = now

    def start(self, turn: Turn, searches: list[Search]) -> None:
        """Start searches that the turn's prefetch asks for."""
        for search in searches:
            self._search_id = turn.prefetch.next_id
            self._out.issued.append(commands.StartSearch(turn.id, search.id, search.query.text, search.local))


def _drop_repeated(turn: Turn) -> None:
    """The sound of lost speech may have been kept, and heard by the next upstream: its words count once."""
    items = list(turn.texts)
    since = max(items.index(item_id) for item_id in turn.lost_items) + 1
    lost = _letters(turn.texts[item_id] for item_id in turn.lost_items)
    heard = _letters(turn.texts[item_id] for item_id in items[since:])
    if len(heard) < len(lost):
        return
    if SequenceMatcher(None, lost, heard[: len(lost)], autojunk=False).ratio() >= SAME_SPEECH_RATIO_MIN:
        for item_id in turn.lost_items:
            del turn.texts[item_id]
    turn.lost_items = frozenset()


def _letters(texts: Iterable[str]) -> str:
    return "".join(letter for text in texts for letter in text.casefold() if letter.isalnum())


def _newest(texts: dict[str, str]) -> dict[str, str]:
    """The last items of a question that was never answered, as much as one would still mean by it."""
    kept: list[tuple[str, str]] = []
    room = MERGED_CHARACTERS_MAX
    for item_id, text in reversed(texts.items()):
        room -= len(text)
        if kept and (room < 0 or len(kept) >= MERGED_ITEMS_MAX):
            break
        kept.append((item_id, text))
    return dict(reversed(kept))
