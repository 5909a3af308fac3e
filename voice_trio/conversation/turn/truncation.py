"""The rule for an interrupted item: truncate, delete, or leave it (I6). Both turn policies use it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.conversation import commands

if TYPE_CHECKING:
    from voice_trio.conversation.outbound import Outbound


# Where an interrupted item is truncated
#
# The upstream generates sound much faster than it is played. At an interruption it believes that all of it was heard,
# and would refer to words that the user never got. `conversation.item.truncate` cuts an item's sound at `audio_end_ms`
# and drops its transcript. The server rejects an end beyond the audio that it has sent ("Audio content of Xms is
# already shorter than Yms", pipecat-ai/pipecat#931), and any truncation of an item without audio (livekit/agents#1050).
# So:
#
#     heard to its end     nothing: the item is right as it stands
#     heard in part        truncate at the whole ms heard, which is at most what was received
#     not heard at all     delete the item
#
# One truncation an item, before the next `response.create`. It is sent once the response is done: until then its sound
# may still arrive, and counts as received.
# https://platform.openai.com/docs/api-reference/realtime-client-events/conversation/item/truncate


def truncation_end_ms(heard_ms: float, received_ms: float) -> int | None:
    """Where to truncate an interrupted item, in whole ms; 0: delete it; `None`: it was heard to its end."""
    end_ms = int(heard_ms)
    return end_ms if end_ms == 0 or end_ms < int(received_ms) else None


def send_truncation(out: Outbound, item_id: str, end_ms: int) -> None:
    """Truncate the item at `end_ms`, or delete it for 0."""
    if end_ms:
        out.to_upstream(commands.TruncateItem(out.new_id("t"), item_id, end_ms))
    else:
        out.to_upstream(commands.DeleteItem(out.new_id("d"), item_id))
