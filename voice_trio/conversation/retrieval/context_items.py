"""Which context items the model still reads, and which it should forget. Pure; it knows items and tokens, no wire.

Every turn's context stays in the conversation, where each later answer reads it again. To delete an item changes the
prompt from its place on, and what stood there must be read anew at the full price: deleting one a turn would lose the
prompt cache every turn. So they are deleted in batches: nothing until `tokens_max` are held, and then all but the
newest that fit into `tokens_kept`. With the defaults (3,200 and 800, contexts of up to 800 tokens) the cache is lost
at most once in four turns, and what is read again is bounded by 3,200 tokens plus the newest context.
"""

from __future__ import annotations

from collections import deque


class ContextItems:
    """The context items of one model, oldest first."""

    def __init__(self, tokens_max: int, tokens_kept: int) -> None:
        self._tokens_max = tokens_max
        self._tokens_kept = tokens_kept
        self._items: deque[tuple[str, int]] = deque()
        self._tokens = 0

    def add(self, item_id: str, tokens: int) -> list[str]:
        """A new item is about to be made; the ids of those that should be deleted before it, oldest first."""
        stale = self._batch() if self._tokens + tokens > self._tokens_max else []
        self._items.append((item_id, tokens))
        self._tokens += tokens
        return stale

    def forget(self) -> None:
        """Another model, which has none of them."""
        self._items.clear()
        self._tokens = 0

    @property
    def tokens(self) -> int:
        """What the model reads of context for each answer."""
        return self._tokens

    def _batch(self) -> list[str]:
        stale = []
        while self._items and self._tokens > self._tokens_kept:
            item_id, tokens = self._items.popleft()
            self._tokens -= tokens
            stale.append(item_id)
        return stale
