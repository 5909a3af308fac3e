"""Where the parts of a conversation leave their commands, and where ids of ours come from."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING

from voice_trio.conversation import commands as do

if TYPE_CHECKING:
    from voice_trio.conversation.events import ModelEvent

# Errors name the event they are about within a round trip; older ones are of no interest. A drop-in client may have
# sent hundreds by then.
REMEMBERED_COMMANDS_MAX = 1024


class Outbound:
    """The commands of one `handle`, in order; and what was sent to the model lately, by `event_id`."""

    def __init__(self, id_prefix: str = "vt_") -> None:
        self._commands: list[do.Command] = []
        self._sent: OrderedDict[str, do.ModelCommand] = OrderedDict()
        self._prefix = id_prefix
        self._ids = 0

    def add(self, command: do.Command) -> None:
        self._commands.append(command)

    def to_model(self, command: do.ModelCommand) -> None:
        self._sent[command.event_id] = _without_body(command)
        if len(self._sent) > REMEMBERED_COMMANDS_MAX:
            self._sent.popitem(last=False)
        self._commands.append(do.SendToModel(command))

    def to_client(self, event: ModelEvent | do.ClientNotice | do.DropInNotice) -> None:
        self._commands.append(do.SendToClient(event))

    def take(self) -> list[do.Command]:
        commands, self._commands = self._commands, []
        return commands

    def recall(self, event_id: str | None) -> do.ModelCommand | None:
        """The command of ours that an error is about, told once."""
        return self._sent.pop(event_id, None) if event_id else None

    def new_id(self, kind: str) -> str:
        """An id of ours, at most 32 characters; `kind` makes wire logs readable."""
        self._ids += 1
        return f"{self._prefix}{kind}{self._ids}"


def _without_body(command: do.ModelCommand) -> do.ModelCommand:
    """What is remembered: an error needs to know what it is about, not all that was in it."""
    if isinstance(command, do.PassOn | do.AskAsClient):
        return replace(command, body={})
    if isinstance(command, do.CreateContextItem | do.CreateUserItem | do.CreateAssistantItem):
        return replace(command, text="")
    return command
