"""A client of the voice protocol, on Trio: `connect_voice` and what it hands out.

    async with connect_voice("wss://voice.example.com/v1/ws/voice", token) as voice:
        await voice.send_audio(pcm)          # 16-bit little-endian mono at 24 kHz, 20 to 100 ms at a time
        async for event in voice:            # dicts, as the protocol has them
            ...

`talk` plays a recording to a session in real time and reports what came back and when; `converse` lets somebody talk by
microphone and loudspeaker.
"""

from __future__ import annotations

from voice_trio.client.connection import Ready, VoiceConnection, VoiceRefused, VoiceUnreachable, connect_voice
from voice_trio.client.live import converse
from voice_trio.client.portaudio import PortAudioCard, devices
from voice_trio.client.recording import talk
from voice_trio.client.sound_card import Device, SoundCard, SoundCardUnavailable
from voice_trio.client.sounds import read_sound, write_wav
from voice_trio.client.turns import Report
from voice_trio.client.user_action import Ask, Interrupt, Leave, Screen, UserAction

__all__ = [
    "Ask",
    "Device",
    "Interrupt",
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
