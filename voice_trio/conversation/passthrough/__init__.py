"""The client leads: the conversation policy of OpenAI's own protocol, with context inserted before responses.

    conversation      dispatch, and what the upstream says of the user
    requests          what such a client asks for, as values
    request_handlers  what follows from that
    response_handlers what the upstream says of its responses, and what follows
    responses         the slot, and out-of-band responses
    turn_flow         context first, then the response, once it is asked for and the slot is free
    failures          errors, refusals and delays
    truncation        truncates or deletes responses in the upstream that were not heard to their end

Everything the client did not ask for stays hidden from it: context items, our own truncations, their acknowledgements
and errors.
"""

from __future__ import annotations

from voice_trio.conversation.passthrough.conversation import PassthroughConversation

__all__ = ["PassthroughConversation"]
