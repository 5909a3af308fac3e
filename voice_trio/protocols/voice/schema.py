"""The JSON Schema of the voice protocol, made from the structs that are decoded and encoded."""

from __future__ import annotations

import msgspec

from voice_trio.protocols.voice.client_events import ClientEvent
from voice_trio.protocols.voice.server_events import ServerEvent

_SCHEMA_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def voice_schema() -> bytes:
    """JSON Schema of every text frame; `$defs/ClientMessage` and `$defs/GatewayMessage` are the two directions."""
    (client, gateway), parts = msgspec.json.schema_components((ClientEvent, ServerEvent), ref_template="#/$defs/{name}")
    schema = {
        "$schema": _SCHEMA_DIALECT,
        "title": "voice_trio voice protocol, version 1",
        "description": "Text frames of /v1/ws/voice. Binary frames from clients are raw PCM16, mono, 24 kHz.",
        "anyOf": [{"$ref": "#/$defs/ClientMessage"}, {"$ref": "#/$defs/GatewayMessage"}],
        "$defs": {
            "ClientMessage": {"description": "What a client may send.", **client},
            "GatewayMessage": {"description": "What the gateway sends; fields may be added.", **gateway},
            **parts,
        },
    }
    return msgspec.json.format(msgspec.json.encode(schema), indent=2)
