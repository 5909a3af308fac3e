"""OpenAI's own protocol, as the gateway speaks it to clients: their requests pass, nothing of the gateway's does.

client_settings   which parts of its session a client may set, and what goes upstream for them
request_content   items and function tools, built anew from the fields that are checked
event_reader      a client's frames, checked and reduced to what may pass
event_writer      the upstream's frames without the gateway's own items, and errors in OpenAI's shapes
response_ends     the last events of responses that the upstream does not end any more
"""

from __future__ import annotations

from voice_trio.protocols.openai_client.client_settings import ClientSettings
from voice_trio.protocols.openai_client.event_reader import (
    ClientEventReader,
    PassthroughEvent,
    SessionUpdateRequested,
)
from voice_trio.protocols.openai_client.event_writer import ClientEventWriter, refusal_json

__all__ = [
    "ClientEventReader",
    "ClientEventWriter",
    "ClientSettings",
    "PassthroughEvent",
    "SessionUpdateRequested",
    "refusal_json",
]
