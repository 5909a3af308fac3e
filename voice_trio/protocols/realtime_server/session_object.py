"""The session that a client sees and changes: what these servers accept of the GA interface. Pure.

Accepted and shown, but without effect: instructions, tools, tracing, truncation, prompt, include, noise reduction,
reasoning, idle_timeout_ms; `semantic_vad` works as `server_vad` does with its defaults. Refused: formats other than
PCM16 at 24 kHz, voices that do not exist, another voice once there is audio of the first.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voice_trio.errors import InvalidEvent
from voice_trio.protocols.realtime import sessions

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

OUTPUT_TOKENS_MAX = 4096
DEFAULT_VOICE = "alloy"
COMMIT_ONLY_MODELS = frozenset({"gpt-realtime-whisper", "gpt-live-transcribe"})
"""In a transcription session the API allows these no turn detection: the client commits."""


class SessionObject:
    """`shown` is the session as JSON values; the properties are what a server acts upon.

    `voices` are the names that a server can synthesise; if there are none, every name is accepted.
    """

    def __init__(self, shown: sessions.Session, voices: Collection[str]) -> None:
        self.shown = shown
        self.voice_is_frozen = False
        self._voices = voices

    @property
    def is_transcription(self) -> bool:
        return bool(self.shown["type"] == "transcription")

    @property
    def detection(self) -> sessions.TurnDetection | None:
        return sessions.turn_detection_of(self.shown)

    @property
    def transcription_model(self) -> str | None:
        return sessions.transcription_model_of(self.shown)

    @property
    def transcribes(self) -> bool:
        """Whether the client wants to read what the user says; a transcription session exists for nothing else."""
        return self.is_transcription or self.shown["audio"]["input"]["transcription"] is not None

    @property
    def voice(self) -> str:
        return voice_name(self.shown["audio"]["output"]["voice"])

    @property
    def speed(self) -> float:
        return float(self.shown["audio"]["output"].get("speed") or 1.0)

    @property
    def modalities(self) -> list[str]:
        return list(self.shown["output_modalities"] or ["audio"])

    @property
    def output_tokens_max(self) -> int | str:
        return self.shown["max_output_tokens"] or "inf"

    @property
    def instructions(self) -> str:
        return self.shown["instructions"] or ""

    def changed_by(self, change: Mapping[str, Any]) -> sessions.Session:
        """The session after a change that has the API's shape; raises `InvalidEvent`."""
        if change["type"] != self.shown["type"]:
            message = f"This is a {self.shown['type']} session; it cannot become one of type {change['type']}."
            raise InvalidEvent(message, param="session.type")
        audio = change.get("audio") or {}
        for side in ("input", "output"):
            check_format((audio.get(side) or {}).get("format"), f"session.audio.{side}.format")
        self.check_voice((audio.get("output") or {}).get("voice"), "session.audio.output.voice")
        check_output_tokens(change.get("max_output_tokens"), "session.max_output_tokens")
        changed = sessions.merged(self.shown, change)
        self._settle(changed, (audio.get("input") or {}).get("turn_detection"))
        return changed

    def _settle(self, changed: sessions.Session, detection_asked: Any) -> None:
        """What a client clears falls back to what a session starts with, and rules between fields hold."""
        fresh = sessions.new_session("", "", 0, voice=DEFAULT_VOICE)
        for side in changed["audio"]:
            changed["audio"][side]["format"] = fresh["audio"][side]["format"]
        for name in ("output_modalities", "max_output_tokens", "instructions", "tools", "tool_choice"):
            if name in changed and changed[name] is None:
                changed[name] = fresh[name]
        if "output" in changed["audio"]:
            spoken = changed["audio"]["output"]
            spoken["voice"] = spoken.get("voice") or self.voice
            spoken["speed"] = spoken.get("speed") or 1.0
        if self.is_transcription and sessions.transcription_model_of(changed) in COMMIT_ONLY_MODELS:
            if detection_asked is not None:
                message = "Turn detection is not supported for this transcription model."
                raise InvalidEvent(message, param="session.audio.input.turn_detection")
            changed["audio"]["input"]["turn_detection"] = None

    def check_voice(self, asked: Any, param: str) -> None:
        """Raises `InvalidEvent` unless a voice exists, and is the one in use once there is audio of it."""
        if asked is None or self.is_transcription:
            return
        name = voice_name(asked)
        # Without a synthesizer there are no voices at all, and no audio that a name could spoil.
        if self._voices and name not in self._voices:
            supported = ", ".join(f"'{voice}'" for voice in sorted(self._voices))
            raise InvalidEvent(f"Invalid value: {name[:64]!a}. Supported values are: {supported}.", param=param)
        if self.voice_is_frozen and name != self.voice:
            message = "Cannot update a conversation's voice if assistant audio is present."
            raise InvalidEvent(message, code="cannot_update_voice", param=param)


def voice_name(voice: Any) -> str:
    """Voices are named by text, or by an object with an `id`."""
    return str(voice["id"] if isinstance(voice, dict) else getattr(voice, "id", voice))


def check_format(asked: Any, param: str) -> None:
    """Raises `InvalidEvent` for all formats but 24 kHz PCM."""
    kind = asked.get("type") if isinstance(asked, dict) else getattr(asked, "type", None)
    if kind not in (None, "audio/pcm"):
        message = f"Invalid value: '{kind}'. Supported values are: 'audio/pcm'."
        raise InvalidEvent(message, param=f"{param}.type")


def check_output_tokens(asked: int | str | None, param: str) -> None:
    if isinstance(asked, int) and asked > OUTPUT_TOKENS_MAX:
        message = f"Invalid value: {asked}. Expected an integer between 1 and {OUTPUT_TOKENS_MAX}, or 'inf'."
        raise InvalidEvent(message, param=param)


def refuse_transcription_model(changed: sessions.Session) -> InvalidEvent:
    """The refusal of a session whose transcription model does not exist."""
    message = f"The model '{sessions.transcription_model_of(changed)}' is not available for transcription."
    return InvalidEvent(message, param="session.audio.input.transcription.model")
