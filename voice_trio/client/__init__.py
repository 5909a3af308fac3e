"""A client of the voice protocol, on Trio.

    async with connect_voice("wss://voice.example.com/v1/ws/voice", token) as voice:
        await voice.send_text("How warm must the brooder be?")
        async for event in voice:            # dicts, with the fields of docs/protocol.md
            ...

`connect_voice` opens a session. `talk` plays a recording to it and measures the response. `converse` connects it to a
microphone and a loudspeaker.

All audio is PCM: 16-bit, little-endian, mono, 24 kHz, so one millisecond has 48 bytes. Durations are in the unit that
their name ends with (`played_ms`, `expires_at` in Unix seconds).

Errors are subclasses of `voice_trio.errors.VoiceTrioError`. A send on a connection that has ended raises
`voice_trio.errors.LinkClosed`, with the close `code` and `reason`; iteration ends without an error instead.
"""

from __future__ import annotations

from voice_trio.client.connection import Ready, VoiceConnection, VoiceRefused, VoiceUnreachable, connect_voice
from voice_trio.client.live import converse
from voice_trio.client.portaudio import PortAudioCard, devices
from voice_trio.client.recording import talk
from voice_trio.client.sound_card import Device, SoundCard, SoundCardUnavailable
from voice_trio.client.sounds import read_sound, write_wav
from voice_trio.client.turns import Report
from voice_trio.client.user_action import Ask, InterruptResponse, Leave, Screen, UserAction

__all__ = [
    "Ask",
    "Device",
    "InterruptResponse",
    "Leave",
    "PortAudioCard",
    "Ready",
    "Report",
    "Screen",
    "SoundCard",
    "SoundCardUnavailable",
    "UserAction",
    "VoiceConnection",
    "VoiceRefused",
    "VoiceUnreachable",
    "connect_voice",
    "converse",
    "devices",
    "read_sound",
    "talk",
    "write_wav",
]
