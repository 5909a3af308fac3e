"""OpenAI's own protocol, as the gateway speaks it to clients: what they asked for passes, nothing of ours does.

wishes     which parts of its session a client may set, and what is made of them upstream
requests   its frames, checked and cut to what may pass
answers    the model's frames with our traces taken out, and our own words in OpenAI's shapes
"""

from __future__ import annotations

from voice_trio.protocols.openai_client.client_settings import ClientSettings
from voice_trio.protocols.openai_client.event_reader import (
    ClientEventReader,
    PassthroughEvent,
    SessionUpdateRequested,
)
from voice_trio.protocols.openai_client.event_writer import ClientEventWriter

__all__ = [
    "ClientEventReader",
    "ClientEventWriter",
    "ClientSettings",
    "PassthroughEvent",
    "SessionUpdateRequested",
]
