"""How a turn's context reaches the model: one item, once, and those that it makes stale go first."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.conversation import commands
from voice_trio.conversation.retrieval.text import token_estimate

if TYPE_CHECKING:
    from voice_trio.conversation.outbound import Outbound
    from voice_trio.conversation.retrieval.context_items import ContextItems
    from voice_trio.conversation.turn.turn import Turn


def insert_context(turn: Turn, after: str | None, contexts: ContextItems, out: Outbound) -> None:
    """The context that was chosen for `turn`, if any, after the item `after` (None: last)."""
    if turn.context is None or turn.context_sent:
        return
    turn.context_sent = True
    context = commands.CreateContextItem(out.new_id("e"), out.new_id("x"), after, turn.context.text)
    for stale_id in contexts.add(context.item_id, token_estimate(context.text)):
        out.to_model(commands.DeleteItem(out.new_id("d"), stale_id))
    out.to_model(context)
