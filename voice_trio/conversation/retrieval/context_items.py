"""Which context items the upstream still reads, and which it should forget. It knows items and tokens, no turns."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.conversation import commands
from voice_trio.conversation.retrieval.text import token_estimate

if TYPE_CHECKING:
    from voice_trio.conversation.outbound import Outbound


# Why context items are deleted in batches
#
# Every turn's context stays in the conversation, where each later response reads it again. To delete an item changes
# the prompt from its place on, and what stood there must be read anew at the full price: deleting one a turn would lose
# the prompt cache every turn. So they are deleted in batches: nothing until `tokens_max` are held, and then all but the
# newest that fit into `tokens_kept`. With the defaults (3,200 and 800, contexts of up to 800 tokens) the cache is lost
# at most once in four turns, and what is read again is bounded by 3,200 tokens plus the newest context. That the cache
# matches a prefix of the prompt: https://platform.openai.com/docs/guides/prompt-caching


class ContextItems:
    """The context items of one upstream, oldest first."""

    def __init__(self, tokens_max: int, tokens_kept: int) -> None:
        self._tokens_max = tokens_max
        self._tokens_kept = tokens_kept
        self._items: list[tuple[str, int]] = []
        self._tokens = 0

    def insert(self, text: str, after: str | None, out: Outbound) -> None:
        """Create a context item after the item `after` (`None`: last); those that it makes stale go first."""
        context = commands.CreateContextItem(out.new_id("e"), out.new_id("x"), after, text)
        for stale_id in self.add(context.item_id, token_estimate(text)):
            out.to_upstream(commands.DeleteItem(out.new_id("d"), stale_id))
        out.to_upstream(context)

    def add(self, item_id: str, tokens: int) -> list[str]:
        """A new item is about to be made; the ids of those that should be deleted before it, oldest first."""
        stale = self._batch() if self._tokens + tokens > self._tokens_max else []
        self._items.append((item_id, tokens))
        self._tokens += tokens
        return stale

    def forget(self) -> None:
        """Another upstream, which has none of them."""
        self._items.clear()
        self._tokens = 0

    @property
    def tokens(self) -> int:
        """What the upstream reads of context for each response."""
        return self._tokens

    def _batch(self) -> list[str]:
        stale = []
        while self._items and self._tokens > self._tokens_kept:
            item_id, tokens = self._items.pop(0)
            self._tokens -= tokens
            stale.append(item_id)
        return stale
