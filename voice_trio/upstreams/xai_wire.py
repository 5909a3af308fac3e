"""xAI's wire: GA names of events, a session object of its own, and transcripts that are sent whole each time."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec
from cachetools import FIFOCache

from voice_trio.conversation import commands, events
from voice_trio.protocols import json_text
from voice_trio.protocols.realtime import SessionState, write_command
from voice_trio.protocols.realtime.sessions import PCM_24K
from voice_trio.upstreams.flat_wire import with_flat_fields
from voice_trio.upstreams.profile import RealtimeTranslator

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.protocols.realtime import RealtimeConfig

ITEMS_REMEMBERED = 16
_TRANSCRIPTION = '"conversation.item.input_audio_transcription.'


class _Transcription(msgspec.Struct):
    type: str
    item_id: str
    transcript: str = ""
    status: Any = None


_decoder = msgspec.json.Decoder(_Transcription)


class XaiTranslator(RealtimeTranslator):
    """Remembers the words of each item that is being said, because each update repeats them."""

    def __init__(self) -> None:
        self._words: FIFOCache[str, list[str]] = FIFOCache(ITEMS_REMEMBERED)

    def session_update(self, config: RealtimeConfig, event_id: str) -> str:
        heard: dict[str, Any] = {"format": PCM_24K, "transcription": {"model": config.transcription_model}}
        session: dict[str, Any] = {
            "instructions": config.instructions,
            "turn_detection": {"type": None},
            "audio": {"input": heard, "output": {"format": PCM_24K}},
        }
        if config.voice:
            session["voice"] = config.voice
        if config.tools:
            session["tools"] = list(config.tools)
        return json_text.encode({"type": "session.update", "event_id": event_id, "session": session})

    def read(self, frame: str) -> Iterable[events.UpstreamEvent | SessionState]:
        if _TRANSCRIPTION in frame:
            try:
                said = _decoder.decode(frame)
            except json_text.UNREADABLE:
                pass  # it is read below, as far as it can be
            else:
                is_interim = said.type.endswith(".completed") and said.status == "in_progress"
                if is_interim or said.type.endswith(".updated"):
                    return self._more_words(said, frame)
        return [with_flat_fields(event) if isinstance(event, SessionState) else event for event in super().read(frame)]

    def _more_words(self, said: _Transcription, frame: str) -> Iterable[events.UpstreamEvent]:
        """The words beyond those that were known: an update may punctuate earlier ones anew, and the end is exact."""
        words = said.transcript.split()
        known = self._words.get(said.item_id, [])
        if len(words) <= len(known):
            return ()
        self._words[said.item_id] = words
        new = " ".join(words[len(known) :])
        return (events.TranscriptDelta(said.item_id, " " + new if known else new, wire=frame),)

    def write(self, command: commands.UpstreamCommand) -> Iterable[str]:
        if isinstance(command, commands.ChangeSpeed):
            return ()
        if not isinstance(command, commands.CreateContextItem | commands.CreateInstructionItem):
            return (write_command(command),)
        event = msgspec.json.decode(write_command(command))
        event["item"]["role"] = "user"  # items of the system are accepted, and not obeyed
        return (json_text.encode(event),)
