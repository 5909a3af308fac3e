"""OpenAI's Realtime GA events, for either end of the wire.

A client of a Realtime server, which the gateway is, uses `read_event` and `writer`. A server, which the scripted model
and the embedded one are, uses `client_events` (in), `input_events` and `server_events` (out), and `items` and
`sessions`, of which both are made.
"""

from __future__ import annotations

from voice_trio.protocols.realtime.server_events import read_event
from voice_trio.protocols.realtime.sessions import SessionState
from voice_trio.protocols.realtime.writer import (
    RealtimeConfig,
    append_audio,
    session_update,
    takes_reasoning_effort,
    write_command,
)

__all__ = [
    "RealtimeConfig",
    "SessionState",
    "append_audio",
    "read_event",
    "session_update",
    "takes_reasoning_effort",
    "write_command",
]
