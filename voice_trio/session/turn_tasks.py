"""What works for a turn, in the turn's scope: searches and functions. They end with it, whatever they are doing."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from voice_trio.conversation.events import SearchFailed, SearchFinished, ToolFinished
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.knowledge import KeepsPassages

if TYPE_CHECKING:
    from voice_trio.conversation.commands import CallTool, StartSearch
    from voice_trio.knowledge.knowledge import Knowledge
    from voice_trio.session.ports import SessionPort

UNKNOWN_FUNCTION = '{"error":"there is no function of that name"}'


async def search(command: StartSearch, knowledge: Knowledge, host: SessionPort) -> None:
    """One query, for as long as settings allow; a failure costs the turn its context, never the session."""
    find = knowledge.search_locally if command.local and isinstance(knowledge, KeepsPassages) else knowledge.search
    try:
        with trio.fail_after(host.terms.search_seconds_max):
            passages = await find(command.query, host.terms.search_limit)
    except (KnowledgeUnavailable, trio.TooSlowError) as error:
        host.log.warning("search_failed", reason=str(error) or "too slow")
        host.feed(SearchFailed(command.search_id))
    else:
        host.feed(SearchFinished(command.search_id, passages))


async def call_tool(command: CallTool, host: SessionPort) -> None:
    """One function call of the model's; what is not in the table is answered, not ignored."""
    tool = host.terms.tools.get(command.name)
    if tool is None:
        host.log.warning("unknown_function", name=command.name[:64])
    output = await tool(command.arguments) if tool else UNKNOWN_FUNCTION
    host.feed(ToolFinished(command.call_id, output))
