"""Where the parts of a conversation leave their commands, and where ids of ours come from."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from cachetools import FIFOCache

from voice_trio.conversation import commands

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.conversation.events import UpstreamEvent

# Errors name the event they are about within a round trip; older ones are of no interest. A client of OpenAI's protocol
# may have sent hundreds by then.
REMEMBERED_COMMANDS_MAX = 1024


class Outbound:
    """`issued` are the commands of the event being handled, in order; each `handle` begins a new list."""

    def __init__(self, id_prefix: str = "vt_") -> None:
        self.issued: list[commands.Command] = []
        self._sent: FIFOCache[str, commands.UpstreamCommand] = FIFOCache(REMEMBERED_COMMANDS_MAX)
        self._prefix = id_prefix
        self._ids = 0

    def to_upstream(self, command: commands.UpstreamCommand) -> None:
        """Send `command`, and remember it by its `event_id` for an error that may be about it."""
        self._sent[command.event_id] = _without_body(command) if isinstance(command, _WITH_BODY) else command
        self.issued.append(commands.SendToUpstream(command))

    def to_client(self, event: UpstreamEvent | commands.ClientNotice | commands.PassthroughNotice) -> None:
        self.issued.append(commands.SendToClient(event))

    def warn(self, code: str, message: str) -> None:
        self.issued.append(commands.LogWarning(code, message))

    def recall(self, event_id: str | None) -> commands.UpstreamCommand | None:
        """The command that an error is about; only its first error finds it."""
        return self._sent.pop(event_id, None) if event_id else None

    def is_ours(self, event_id: str | None) -> bool:
        """Whether the id is one of ours, remembered or not."""
        return event_id is not None and event_id.startswith(self._prefix)

    def recall_newest(self, is_meant: Callable[[commands.UpstreamCommand], bool]) -> commands.UpstreamCommand | None:
        """The newest remembered command that is meant; it is forgotten then."""
        for event_id in reversed(list(self._sent)):
            if is_meant(self._sent[event_id]):
                return self._sent.pop(event_id)
        return None

    def new_id(self, kind: str) -> str:
        """An id of ours, at most 32 characters; `kind` makes wire logs readable."""
        self._ids += 1
        return f"{self._prefix}{kind}{self._ids}"


_WITH_BODY = (
    commands.ForwardClientEvent,
    commands.CreateClientResponse,
    commands.CreateContextItem,
    commands.CreateUserItem,
    commands.CreateAssistantItem,
)


def _without_body(
    command: commands.ForwardClientEvent
    | commands.CreateClientResponse
    | commands.CreateContextItem
    | commands.CreateUserItem
    | commands.CreateAssistantItem,
) -> commands.UpstreamCommand:
    """What is remembered: an error needs to know what it is about, not all that was in it."""
    if isinstance(command, commands.ForwardClientEvent):
        return replace(command, body={"type": command.body.get("type")})
    if isinstance(command, commands.CreateClientResponse):
        return replace(command, body={})
    return replace(command, text="")
