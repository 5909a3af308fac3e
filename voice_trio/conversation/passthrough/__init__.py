"""The conversation of a client that speaks OpenAI's own protocol: it leads; the gate stands between it and the model.

    gate        what the model says, and what follows
    wanted      what the client asks for
    course      context first, then the answer, when somebody has asked and the model is free
    replies     one response at a time in the conversation, any number aside of it
    cuts        what the model must be told of answers that were not heard to their end
    requests    what such a client asks for, as values

Everything the client did not ask for stays hidden from it: context items, our own truncations, their acknowledgements
and errors.
"""

from __future__ import annotations

from voice_trio.conversation.passthrough.conversation import PassthroughConversation

__all__ = ["PassthroughConversation"]
