"""What an error of the upstream is about, also where it does not name the event: some errors heal by themselves.

OpenAI's errors carry a `code` and the `event_id` of the event that caused them. Compatible servers leave one or both
out, or spell the code in their own way; so the message is read as well. An error that heals itself is none for a user.
"""

from __future__ import annotations

import re
from enum import Enum
from typing import TYPE_CHECKING

from voice_trio.conversation import commands

if TYPE_CHECKING:
    from voice_trio.conversation.events import UpstreamError
    from voice_trio.conversation.outbound import Outbound


class ErrorKind(Enum):
    ALREADY_ACTIVE = "a response was asked for while one is active: it is asked for again"
    NOTHING_TO_CANCEL = "the response to be cancelled is over"
    NOTHING_TO_TRUNCATE = "the item to be truncated or deleted is not there, or has no such sound"
    OTHER = "none of these"

    @property
    def heals(self) -> bool:
        return self is not ErrorKind.OTHER


_SPELLINGS = {
    ErrorKind.ALREADY_ACTIVE: re.compile(
        r"already.{0,20}active|response.{0,40}(?:already|still).{0,20}(?:progress|running|generat)"
        r"|active.{0,20}response.{0,20}(?:progress|exists|running)"
    ),
    ErrorKind.NOTHING_TO_CANCEL: re.compile(
        r"cancel_not_active|nothing to cancel|no (?:active|ongoing|current) response"
    ),
    ErrorKind.NOTHING_TO_TRUNCATE: re.compile(
        r"item_(?:truncate|delete)_invalid|already shorter than|only model output audio"
        r"|item.{0,80}(?:does not exist|not found|unknown)"
    ),
}

_CAUSES: dict[ErrorKind, tuple[type, ...]] = {
    ErrorKind.NOTHING_TO_CANCEL: (commands.CancelResponse,),
    ErrorKind.NOTHING_TO_TRUNCATE: (commands.TruncateItem, commands.DeleteItem),
}
_FORWARDED_CAUSES = {
    ErrorKind.NOTHING_TO_CANCEL: ("response.cancel",),
    ErrorKind.NOTHING_TO_TRUNCATE: (
        "conversation.item.truncate",
        "conversation.item.delete",
        "conversation.item.retrieve",
    ),
}


def kind_of(error: UpstreamError) -> ErrorKind:
    """What the error is about, by its code or, if that says nothing, by its message."""
    for text in (error.code, error.message):
        for kind, spelling in _SPELLINGS.items():
            if spelling.search(text.casefold()):
                return kind
    return ErrorKind.OTHER


def cause_of(
    error: UpstreamError, kind: ErrorKind, out: Outbound, asked_tag: str | None
) -> commands.UpstreamCommand | None:
    """The command that the error is about: the one it names, else the newest one that such an error can be about.

    `asked_tag` is that of the response that is asked for and not created yet: only it can meet an active one.
    """
    command = out.recall(error.event_id)
    if command is not None or out.is_ours(error.event_id):
        return command
    if kind is ErrorKind.ALREADY_ACTIVE:
        return out.recall(asked_tag)
    return out.recall_newest(lambda sent: _can_cause(sent, kind))


def _can_cause(command: commands.UpstreamCommand, kind: ErrorKind) -> bool:
    if isinstance(command, commands.ForwardClientEvent):
        return command.body.get("type") in _FORWARDED_CAUSES.get(kind, ())
    return isinstance(command, _CAUSES.get(kind, ()))
