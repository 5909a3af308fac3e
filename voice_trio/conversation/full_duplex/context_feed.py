"""Which passages a full-duplex upstream is given, and when: during speech, because it cannot be made to wait.

An append changes what the upstream knows, so each passage is given once in a session. Where a later search of the same
question finds others, the append says that it replaces the earlier one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachetools import FIFOCache

from voice_trio.conversation.full_duplex.commands import AppendThinking
from voice_trio.conversation.retrieval.context import Context, render_context

if TYPE_CHECKING:
    from collections.abc import Sequence

    from voice_trio.conversation.outbound import Outbound
    from voice_trio.conversation.retrieval.passage import Passage
    from voice_trio.conversation.retrieval.prefetch import Search
    from voice_trio.conversation.turn.turn import Turn

APPEND_TOKENS_MAX = 340
"""Of passages in one append, by our estimate. The upstream refuses more than 500 tokens of its own count, ours may be a
quarter too low, and the sentence above the passages needs some."""
APPENDS_MAX = 6
"""For one question: each found better passages than the one before."""
PASSAGES_REMEMBERED = 200
TOP_PASSAGES = 3
"""So many of the best passages make a result a different one; further ones hardly fit into an append."""

GIVEN = "From the organisation's documents, for what the user is asking now:\n"
REPLACED = "The passages given a moment ago for this question are superseded. Use these:\n"
GIVEN_BEFORE = "For what the user is asking now, see the passages given before: "
NOTHING_FOUND = "The organisation's documents have nothing about this."


class ContextFeed:
    """Appends passages for the current question; `is_open` once the upstream has heard sound."""

    def __init__(self, out: Outbound) -> None:
        self._out = out
        self._given: FIFOCache[str, None] = FIFOCache(PASSAGES_REMEMBERED)
        self._turn_id = 0
        self._appends = 0
        self._tops: frozenset[str] = frozenset()
        self._search: Search | None = None
        self.is_open = False

    def forget(self) -> None:
        """The next upstream has been given nothing."""
        self._given.clear()
        self._turn_id = 0
        self.is_open = False

    def offer(self, turn: Turn) -> None:
        """Append the best result of the turn so far, if it is a new one and the upstream hears."""
        best = turn.prefetch.best
        if not self.is_open or best is None or not best.passages:
            return
        if turn.id != self._turn_id:
            self._turn_id, self._appends, self._tops, self._search = turn.id, 0, frozenset(), None
        tops = frozenset(passage.id for passage in best.passages[:TOP_PASSAGES])
        if tops <= self._tops:
            self._search = best  # a fresher search agrees
            return
        if self._appends < APPENDS_MAX and self._append(turn, best):
            self._tops, self._search = self._tops | tops, best
            self._appends += 1

    def searched(self, turn: Turn) -> Search | None:
        """The search whose passages the turn was given."""
        return self._search if turn.id == self._turn_id else None

    def answer(self, delegation_id: str, turn: Turn | None) -> bool:
        """Answer the upstream's own question with the best result of the turn; false if there is none yet."""
        best = None if turn is None else turn.prefetch.best
        context = None if best is None else render_context(best.passages, APPEND_TOKENS_MAX)
        if turn is None or best is None or context is None:
            return False
        self._remember(context.passages)
        self._send(GIVEN + context.text, delegation_id)
        turn.context = context
        return True

    def answer_nothing(self, delegation_id: str) -> None:
        """Answer the upstream's own question: nothing was found in time."""
        self._send(NOTHING_FOUND, delegation_id)

    def _append(self, turn: Turn, best: Search) -> bool:
        new = [passage for passage in best.passages if passage.id not in self._given]
        whole = render_context(best.passages, APPEND_TOKENS_MAX)
        if whole is None:
            return False
        if not {passage.id for passage in new} & {passage.id for passage in whole.passages}:
            titles = "; ".join(passage.title for passage in whole.passages[:TOP_PASSAGES])
            self._send(GIVEN_BEFORE + titles)
            turn.context = whole
            return True
        context = render_context(new, APPEND_TOKENS_MAX)
        if context is None:
            return False
        self._remember(context.passages)
        self._send((REPLACED if self._appends else GIVEN) + context.text)
        turn.context = Context(context.text, whole.passages)
        return True

    def _remember(self, passages: Sequence[Passage]) -> None:
        for passage in passages:
            self._given[passage.id] = None

    def _send(self, content: str, delegation_id: str | None = None) -> None:
        self._out.to_upstream(AppendThinking(self._out.new_id("t"), content, delegation_id))
