"""Estimates the usage of responses and transcriptions whose usage was not reported.

The upstream reports no usage when its socket is lost in the middle of a response, or closed by us. Pure; knows tokens
and seconds, no prices.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voice_trio.billing.prices import ASSISTANT_TOKENS_PER_SECOND, USER_TOKENS_PER_SECOND, UsageEstimate
from voice_trio.conversation import events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.conversation.events import Event

OBSERVED_EVENTS = (
    events.ResponseAudioDelta,
    events.ResponseTranscriptDelta,
    events.ResponseCreated,
    events.SpeechStarted,
    events.SpeechStopped,
    events.TranscriptFailed,
)
"""The types of events that an estimate needs."""


@dataclass(slots=True)
class _Response:
    seconds: float = 0.0
    characters: int = 0


@dataclass(slots=True)
class _Context:
    """What every response reads again: the conversation so far, in tokens."""

    text_tokens: int
    audio_tokens: int = 0


@dataclass(slots=True)
class UsageEstimator:
    """`instructions_tokens` is what the model reads before the first turn."""

    instructions_tokens: int = 0
    _responses: dict[str, _Response] = field(default_factory=dict)
    _speech_began_ms: dict[str, int] = field(default_factory=dict)
    _speech: dict[str, float] = field(default_factory=dict)
    _streams: dict[str, float] = field(default_factory=dict)
    _context: _Context = field(init=False)

    def __post_init__(self) -> None:
        self._context = _Context(self.instructions_tokens)

    @property
    def responses(self) -> tuple[str, ...]:
        """Responses that began and are not billed yet."""
        return tuple(self._responses)

    @property
    def items(self) -> tuple[str, ...]:
        """Items of speech whose transcription is not billed yet."""
        return tuple(self._speech)

    @property
    def streams(self) -> tuple[str, ...]:
        """Sources of the sidecar that are not billed yet."""
        return tuple(self._streams)

    def add_stream(self, source_id: str, seconds: float) -> None:
        """Add sound that was sent to the sidecar."""
        self._streams[source_id] = self._streams.get(source_id, 0.0) + seconds

    def on_event(self, event: Event, now: float) -> None:
        """Keep what an estimate will need. Called for every audio delta."""
        match event:
            case events.ResponseAudioDelta():
                if (response := self._responses.get(event.response_id)) is not None:
                    response.seconds += event.duration_ms / 1000
            case events.ResponseTranscriptDelta():
                if (response := self._responses.get(event.response_id)) is not None:
                    response.characters += len(event.delta)
            case events.ResponseCreated():
                self._responses[event.response_id] = _Response()
            case events.SpeechStarted():
                self._speech_began_ms[event.item_id] = event.audio_start_ms or 0
            case events.SpeechStopped():
                began_ms = self._speech_began_ms.get(event.item_id)
                if began_ms is not None:
                    self._heard(event.item_id, max(0.0, ((event.audio_end_ms or 0) - began_ms) / 1000))
            case events.TranscriptFailed():
                self._speech.pop(event.item_id, None)
            case _:
                pass

    def estimate(self, response_id: str) -> UsageEstimate:
        """The usage of a response, as far as can be known."""
        response = self._responses.get(response_id, _Response())
        context = self._context
        return UsageEstimate(context.text_tokens, context.audio_tokens, response.seconds, response.characters)

    def seconds_of(self, item_id: str) -> float:
        """The length of an item of speech or of a sidecar's source; 0 if it is unknown."""
        return self._speech.get(item_id, 0.0) or self._streams.get(item_id, 0.0)

    def settle_response(self, response_id: str, usage: Mapping[str, Any] | None) -> None:
        """The response is billed; its usage, if reported, tells how long the conversation is."""
        response = self._responses.pop(response_id, None)
        read = (usage or {}).get("input_token_details")
        wrote = (usage or {}).get("output_token_details")
        if isinstance(read, dict):
            self._context.text_tokens = _count(read, "text_tokens") + _count(wrote, "text_tokens")
            self._context.audio_tokens = _count(read, "audio_tokens") + _count(wrote, "audio_tokens")
        elif response is not None:
            self._context.audio_tokens += round(response.seconds * ASSISTANT_TOKENS_PER_SECOND)

    def settle_item(self, item_id: str) -> None:
        """The item's transcription is billed."""
        self._speech.pop(item_id, None)
        self._speech_began_ms.pop(item_id, None)
        self._streams.pop(item_id, None)

    def start_anew(self) -> None:
        """A new upstream takes over: it reads the conversation as text and has heard no audio of it."""
        self._context = _Context(max(self.instructions_tokens, self._context.text_tokens))
        self._responses.clear()
        self._speech.clear()
        self._speech_began_ms.clear()

    def _heard(self, item_id: str, seconds: float) -> None:
        self._speech[item_id] = seconds
        self._context.audio_tokens += round(seconds * USER_TOKENS_PER_SECOND)


def _count(details: object, name: str) -> int:
    value = details.get(name) if isinstance(details, dict) else None
    return value if isinstance(value, int) and value > 0 else 0
