"""The one error of files that cannot be imported."""

from __future__ import annotations

from voice_trio.errors import VoiceTrioError


class Unreadable(VoiceTrioError):
    """A file that cannot be imported; the message says why, and what to do."""
