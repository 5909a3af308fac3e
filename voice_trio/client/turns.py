"""Turns of a conversation, read from a gateway's events. Pure: no clock and no sound."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

TIMESTAMPS = {
    "input_audio_buffer.speech_started": "speech_started",
    "conversation.item.input_audio_transcription.delta": "first_word",
    "input_audio_buffer.speech_stopped": "speech_stopped",
    "input_audio_buffer.committed": "committed",
    "context.injected": "context",
    "response.created": "response_created",
    "response.audio.delta": "first_audio",
    "response.done": "response_done",
}
"""The events that set a timestamp of a turn, in their usual order, and the name of the timestamp."""

LATENCIES = {
    "speech_started_to_first_word": ("speech_started", "first_word"),
    "sound_ended_to_committed": ("sound_ended", "committed"),
    "committed_to_context": ("committed", "context"),
    "committed_to_response_created": ("committed", "response_created"),
    "committed_to_first_audio": ("committed", "first_audio"),
    "sound_ended_to_first_audio": ("sound_ended", "first_audio"),
    "committed_to_heard": ("committed", "heard"),
    "sound_ended_to_heard": ("sound_ended", "heard"),
}


@dataclass(slots=True)
class Report:
    """One turn as the client has seen it: the question, the response, and when each part came."""

    transcript: str = ""
    """What the user said, as far as it is transcribed."""
    answer: str = ""
    """The text of the response, as far as it has come."""
    audio: bytes = field(default=b"", repr=False)
    """The audio of the response as PCM; filled by `talk` when it returns."""
    context: dict[str, Any] = field(default_factory=dict)
    """The turn's `context.injected` event: which passages the model was given."""
    timestamps: dict[str, float] = field(default_factory=dict)
    """When each event came, in seconds: since the start of the recording in `talk`, on Trio's clock in `converse`."""
    errors: list[dict[str, Any]] = field(default_factory=list)
    """The `error` field of each `error` event: in `talk` of the whole recording, in `converse` of this turn."""
    status: str = ""
    """The status of the response: `completed`, `cancelled`, `failed` or `incomplete`; empty until it is done."""
    closed: str = ""
    """How the gateway closed the connection, if it did so before the response was complete; filled by `talk`."""

    @property
    def was_answered(self) -> bool:
        """Whether the response is `completed` and has text or audio."""
        return self.status == "completed" and bool(self.answer or self.audio)

    def latency_ms(self) -> dict[str, float]:
        """Latencies in milliseconds by name, such as `committed_to_first_audio`; those with both timestamps."""
        return {
            name: round((self.timestamps[last] - self.timestamps[first]) * 1000, 1)
            for name, (first, last) in LATENCIES.items()
            if first in self.timestamps and last in self.timestamps
        }

    def as_json(self) -> dict[str, Any]:
        """The object that `voice-trio call --json` prints: all fields but the audio, with latencies in milliseconds."""
        context = {name: self.context.get(name) for name in ("outcome", "waited_ms", "passages")}
        return {
            "transcript": self.transcript.strip(),
            "answer": self.answer.strip(),
            "context": context,
            "latency_ms": self.latency_ms(),
            "status": self.status,
            "errors": self.errors,
        }


class Turns:
    """Takes events with their times, in seconds on any one clock; `report` is the report of the current turn."""

    def __init__(self) -> None:
        self.report = Report()
        self.is_transcribed = False
        """Whether the transcript of this turn is complete."""
        self.goes_on = False
        """Whether the answer was lost with its model: another response goes on with it, or an error follows."""
        self._said_before = ""
        self._item_id: str | None = None
        self._response_id: str | None = None

    def begin(self, began_by: str = "") -> None:
        """Begin a turn: by speech, or by a typed question, whose text is given."""
        self.report = Report(transcript=began_by)
        self.is_transcribed = bool(began_by)
        self._item_id = self._response_id = None
        self.goes_on, self._said_before = False, ""

    def take(self, event: dict[str, Any], at: float) -> None:
        """Take one event. Unknown events and late events of earlier turns change nothing."""
        kind = str(event.get("type", ""))
        if kind == "input_audio_buffer.speech_started":
            self.begin()
            self._item_id = event.get("item_id")
        elif kind == "response.created":
            self._response_begins(event)
        if self._is_of_an_earlier_turn(event, kind):
            return
        report = self.report
        if kind in TIMESTAMPS:
            report.timestamps.setdefault(TIMESTAMPS[kind], at)
        match kind:
            case "conversation.item.input_audio_transcription.delta":
                report.transcript += event.get("delta", "")
            case "conversation.item.input_audio_transcription.completed":
                report.transcript = event.get("transcript", "")
                self.is_transcribed = True
            case "context.injected":
                report.context = event
            case "response.audio_transcript.delta":
                report.answer += event.get("delta", "")
            case "response.audio_transcript.done":
                text = event.get("transcript", "")
                report.answer = self._said_before + text if text else report.answer
            case "response.done":
                self._response_ends(event)
            case "error":
                report.errors.append(event.get("error") or {})
                self.goes_on = False

    def _response_begins(self, event: dict[str, Any]) -> None:
        self._response_id = event.get("response_id")
        if self.goes_on:
            self.goes_on, self.report.status = False, ""
            self.report.answer = self._said_before = f"{self.report.answer.rstrip()} "

    def _response_ends(self, event: dict[str, Any]) -> None:
        self.report.status = str(event.get("status", ""))
        is_given_up = any(str(error.get("code", "")).startswith("answer_") for error in self.report.errors)
        self.goes_on = event.get("reason") == "upstream_lost" and not is_given_up

    def _is_of_an_earlier_turn(self, event: dict[str, Any], kind: str) -> bool:
        if kind.startswith("response."):
            return bool(event.get("response_id", self._response_id) != self._response_id)
        if kind.startswith("conversation.item.input_audio_transcription."):
            return bool(event.get("item_id", self._item_id) != self._item_id)
        return False
