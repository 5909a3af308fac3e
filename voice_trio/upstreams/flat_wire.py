"""OpenAI's wire as it was before general availability: one flat session object, and other names for a response's parts.

Knows frames only. Sources: OpenAI's guide "Beta to GA migration"; for servers that still speak it their own documents
and code (speaches, SGLang-omni, Qwen-Omni-Realtime).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from voice_trio.conversation import commands, events
from voice_trio.protocols import json_text
from voice_trio.protocols.realtime import SessionState, session_update, write_command
from voice_trio.protocols.realtime.sessions import PCM_24K, read_session
from voice_trio.upstreams.profile import RealtimeTranslator
from voice_trio.upstreams.revised_transcript import RevisedTranscript

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.protocols.realtime import RealtimeConfig

# Inside a JSON text each quotation mark is escaped, so this finds the type of an event and nothing that a user said.
_OLD_NAME = re.compile(r'("type"\s*:\s*)"response\.(audio|audio_transcript|text)\.(delta|done)"')

_PARTIAL = "input_audio_buffer.partial_transcription"


class FlatTranslator(RealtimeTranslator):
    """Translates every frame by itself, but for the commits of servers that answer from the words.

    `_session` is the part that servers of this kind differ in.
    """

    def __init__(self) -> None:
        self._answers_from_words = False
        self._committed: events.SpeechCommitted | None = None
        self._words = RevisedTranscript()

    def session_update(self, config: RealtimeConfig, event_id: str) -> str:
        update = msgspec.json.decode(session_update(config, event_id))
        return json_text.encode({**update, "session": self._session(update["session"], config)})

    def read(self, frame: str) -> Iterable[events.UpstreamEvent | SessionState]:
        for event in super().read(_OLD_NAME.sub(r'\1"response.output_\2.\3"', frame, count=1)):
            if isinstance(event, SessionState):
                self._answers_from_words = '"speech_model":' in event.session_json
                yield with_flat_fields(event)
            elif isinstance(event, events.OtherUpstreamEvent) and event.type == _PARTIAL:
                yield from self._partial(event)
            elif self._answers_from_words:
                yield from self._with_commit_at_the_words(event)
            else:
                yield event

    def _partial(self, event: events.OtherUpstreamEvent) -> Iterable[events.UpstreamEvent]:
        """The new words of speaches' transcript of the speech so far, which it repeats each half second."""
        fields = _object(msgspec.json.decode(event.wire))
        item_id, transcript = _text(fields.get("item_id")), _text(fields.get("transcript"))
        if item_id and transcript and (delta := self._words.revised(item_id, transcript)):
            yield events.TranscriptDelta(item_id, delta)

    # A server that names a `speech_model` (speaches) is a chain: it transcribes, a text model answers, a voice reads.
    # The user's item is empty until the transcript is complete, and an earlier response answers without the question.
    # By itself such a server responds to the transcript. So its commit counts from there: the 200 ms, the context and
    # `response.create` follow.

    def _with_commit_at_the_words(self, event: events.UpstreamEvent) -> Iterable[events.UpstreamEvent]:
        """The event, and before it the commit that waited for it."""
        held = self._committed
        match event:
            case events.SpeechCommitted():
                self._committed = event
                if held is not None:
                    yield held
                return
            case events.TranscriptCompleted() | events.TranscriptFailed():
                is_over = held is not None and held.item_id == event.item_id
            case events.SpeechStarted() | events.UpstreamError():
                is_over = True  # the next utterance; or the failure of a transcription, which speaches reports so
            case _:
                is_over = False
        if held is not None and is_over:
            self._committed = None
            yield held
        yield event

    def write(self, command: commands.UpstreamCommand) -> Iterable[str]:
        if isinstance(command, commands.ChangeSpeed):
            return  # no server of this kind changes it
        if isinstance(command, commands.ChangeTranscription):
            session = {"input_audio_transcription": {"model": command.model}}
            yield json_text.encode({"type": "session.update", "event_id": command.event_id, "session": session})
            return
        event = msgspec.json.decode(write_command(command))
        match command:
            case commands.CreateResponse():
                # speaches refuses it with an error; the slot knows its response without a tag
                event["response"].pop("metadata", None)
            case commands.CreateAssistantItem():
                for part in event["item"]["content"]:
                    part["type"] = "text"
        yield json_text.encode(event)

    def _session(self, session: dict[str, Any], config: RealtimeConfig) -> dict[str, Any]:
        """The flat session object of OpenAI's nested one, `session`."""
        heard = session["audio"]["input"]
        flat: dict[str, Any] = {
            # Both: by the interface of that time, text alone was the only single one.
            "modalities": ["text", "audio"],
            "instructions": session["instructions"],
            "input_audio_format": "pcm16",
            "output_audio_format": "pcm16",
            "input_audio_transcription": heard["transcription"],
            "turn_detection": heard["turn_detection"],
            "max_response_output_tokens": session["max_output_tokens"],
        }
        if config.voice:
            flat["voice"] = config.voice
        if session["tools"]:
            flat |= {"tools": session["tools"], "tool_choice": "auto"}
        return flat


def with_flat_fields(state: SessionState) -> SessionState:
    """The state with what flat fields say, where the session has any; a field of another shape says nothing.

    The session object becomes OpenAI's nested one, which is what clients read.
    """
    session = msgspec.json.decode(state.session_json)
    return read_session(state.type, _nested(session), state.wire) if "turn_detection" in session else state


def _nested(session: dict[str, Any]) -> dict[str, Any]:
    modalities, voice = session.get("modalities"), session.get("voice")
    heard = {
        "format": PCM_24K,
        "noise_reduction": _object(session.get("input_audio_noise_reduction")) or None,
        "transcription": _with_text(session.get("input_audio_transcription"), "model"),
        "turn_detection": _detection(session["turn_detection"]),
    }
    spoken = {"format": PCM_24K, "voice": _text(voice) or _text(_object(voice).get("name")), "speed": 1.0}
    same = ("id", "model", "instructions", "tools", "tool_choice", "expires_at")
    return {
        "type": "realtime",
        "object": "realtime.session",
        **{name: session.get(name) for name in same},
        "output_modalities": ["text"] if modalities == ["text"] else ["audio"],
        "max_output_tokens": session.get("max_response_output_tokens"),
        "audio": {"input": heard, "output": spoken},
    }


def _detection(value: object) -> dict[str, Any] | None:
    fields = _with_text(value, "type") or {}
    switches = ("create_response", "interrupt_response")
    return {name: each for name, each in fields.items() if name not in switches or isinstance(each, bool)} or None


def _with_text(value: object, name: str) -> dict[str, Any] | None:
    """An object that has a text of that name, else None."""
    fields = _object(value)
    return fields if _text(fields.get(name)) else None


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and value else None
