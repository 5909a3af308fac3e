"""OpenAI's Realtime GA events, for either end of the wire.

A client of a Realtime server, which the gateway is, uses `reading` (server events in) and `writing` (commands out).
A server, which the scripted model and the embedded one are, uses `client_events` (in), `server_events` (out), `items`
and `sessions` (what both are made of).
"""

from __future__ import annotations

from voice_trio.protocols.realtime.reader import read_event
from voice_trio.protocols.realtime.session_state import SessionState
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
