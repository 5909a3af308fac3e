"""What the client was told of responses: each `response.created` gets exactly one `response.done`, as its last (I14).

It knows ids, not how a response is asked for. Whether the upstream ends a response or the gateway gives it up, its end
goes through here, so that no response can end twice for the client.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from cachetools import FIFOCache

from voice_trio.conversation import events

if TYPE_CHECKING:
    from voice_trio.conversation.outbound import Outbound

ENDED_REMEMBERED_MAX = 64
"""Responses whose late events are recognised; later ones than of the last 64 do not occur."""


class AnnouncedResponses:
    """The responses that the client saw begin, and those that have ended for it."""

    def __init__(self, out: Outbound) -> None:
        self._out = out
        self._open: dict[str, None] = {}
        self._ended: FIFOCache[str, None] = FIFOCache(ENDED_REMEMBERED_MAX)

    @property
    def open_ids(self) -> tuple[str, ...]:
        """Those that the client waits for."""
        return tuple(self._open)

    def begin(self, event: events.ResponseCreated) -> None:
        """The response's beginning is announced to the client, once."""
        if event.response_id not in self._open and event.response_id not in self._ended:
            self._open[event.response_id] = None
            self._out.to_client(event)

    def end(self, event: events.ResponseDone) -> None:
        """The upstream ended the response: the client gets its end once, and only of a response that it saw begin."""
        if event.response_id in self._open:
            del self._open[event.response_id]
            self._ended[event.response_id] = None
            self._out.to_client(event)

    def give_up(self, response_id: str | None, status: str, reason: str) -> None:
        """The client gets an end of the response now; the upstream's own end is not waited for."""
        if response_id is not None:
            self.end(events.ResponseDone(response_id, status, reason))

    def is_over(self, response_id: str) -> bool:
        """Whether the client was told the end: nothing more of the response may follow."""
        return response_id in self._ended
