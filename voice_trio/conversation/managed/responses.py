"""The managed policy's responses: the slot, with functions that the session runs for them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_trio.conversation import commands
from voice_trio.conversation.response import TAG, Response, ResponseState
from voice_trio.conversation.response_slot import ResponseSlot

if TYPE_CHECKING:
    from voice_trio.conversation.turn.turn import Turn


@dataclass(slots=True)
class ManagedResponse(Response):
    """A response of the gateway's own asking."""

    calls: dict[str, str | None] = field(default_factory=dict)
    """Function calls by id, with their outputs as they come in."""

    @property
    def awaits_tools(self) -> bool:
        return bool(self.calls) and not self.interrupted


class ManagedResponses(ResponseSlot[ManagedResponse]):
    """Asks for responses one at a time, and knows what is still to be heard or computed of the latest."""

    def ask(self, turn: Turn, now: float, *, tools_allowed: bool) -> None:
        """`response.create`; the caller has settled what an interruption left (I6)."""
        tag = self._out.new_id("r")
        self._out.to_upstream(commands.CreateResponse(tag, {TAG: tag}, tools_allowed))
        self.occupy(ManagedResponse(turn, tag), now)

    def is_audible(self, now: float) -> bool:
        """Whether there is something to interrupt: a response due or being heard, or functions at work for it."""
        latest = self.latest
        if latest is not None and not latest.interrupted and (latest is self.open or latest.calls):
            return True
        return self.playback.is_playing(now)

    def awaits_us(self, response: ManagedResponse) -> bool:
        """Whether a function that the response called still runs."""
        return any(output is None for output in response.calls.values())

    def find_heard(self, response_id: str) -> ManagedResponse | None:
        """The open response of that id, unless it was interrupted."""
        response = self.open
        if response is None or response.response_id != response_id or response.interrupted:
            return None
        return response

    def take_tool_outputs(self, response: ManagedResponse) -> dict[str, str] | None:
        """Every function's output, once the response is done and all have returned; only once."""
        calls = response.calls
        outputs = {call_id: output for call_id, output in calls.items() if output is not None}
        is_done = response.state is ResponseState.DONE and not response.interrupted
        if not is_done or not outputs or len(outputs) < len(calls):
            return None
        calls.clear()
        return outputs
