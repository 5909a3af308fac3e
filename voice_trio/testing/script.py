"""What a scripted model is going to do: its next answers, and how it will misbehave. Nothing here waits."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Literal

STREAMING_TRANSCRIPTION = frozenset({"gpt-realtime-whisper", "gpt-live-transcribe"})

# How the real service was recorded to transcribe a streamed sentence (pydantic-ai's cassettes, July 2026): first word
# 1.2 s after onset, then one each 0.2–0.4 s, the last at most 0.2 s after the commit, the full text 0.5 s after it.
FIRST_WORD_AFTER = 1.2
WORD_EVERY = 0.3
LAST_WORDS_WITHIN = 0.2
COMPLETED_AFTER = 0.5


@dataclass(frozen=True, slots=True)
class Call:
    """A function the model wants called; `arguments` is JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One response as it will be performed. Times in seconds, sound in ms.

    `created_after` counts from `response.create`, `first_audio_after` from `response.created`. Sound leaves in pieces
    of `chunk_ms`, `pace` times as fast as it plays, divided among `items` messages. An answer that is not to be
    `completed` is `failed` (with `error_code`, before any sound) or `incomplete` (with `reason`, after the sound).
    """

    text: str = "Thirty-three degrees in the first week."
    audio_ms: int = 2000
    chunk_ms: int = 100
    pace: float = 4.0
    created_after: float = 0.0
    first_audio_after: float = 0.3
    items: int = 1
    calls: tuple[Call, ...] = ()
    status: Literal["completed", "failed", "incomplete"] = "completed"
    reason: str = ""
    error_code: str = ""
    tone: bool = False


@dataclass(slots=True)
class Behaviour:
    """How the model behaves apart from its answers; the defaults are those of a well-behaved server."""

    refused_transcription_models: set[str] = field(default_factory=set)
    honours_create_response: bool = True
    acknowledges_updates: bool = True
    refusal: tuple[str, str] | None = None
    upgrade_refusal: tuple[int, str] | None = None
    interrupts_after: float = 0.0
    transcription_failure: str | None = None


class AnswerScript:
    """The verbs that decide about coming answers."""

    def __init__(self) -> None:
        self.behaviour = Behaviour()
        self._usual: Answer | None = Answer()
        self._coming: deque[Answer] = deque()

    def next_answer(self) -> Answer | None:
        """What the next `response.create` gets; `None`: nothing until somebody makes the model `say` something."""
        return self._coming.popleft() if self._coming else self._usual

    def answers_with(
        self,
        text: str,
        *,
        audio_ms: int = 2000,
        chunk_ms: int = 100,
        pace: float = 4.0,
        created_after: float = 0.0,
        first_audio_after: float = 0.3,
        items: int = 1,
        tone: bool = False,
    ) -> None:
        """From now on every `response.create` is answered like this."""
        self._usual = Answer(
            text=text,
            audio_ms=audio_ms,
            chunk_ms=chunk_ms,
            pace=pace,
            created_after=created_after,
            first_audio_after=first_audio_after,
            items=items,
            tone=tone,
        )

    def answers_next(self, *answers: Answer) -> None:
        """The next responses are these, one each; then it is as usual again."""
        self._coming.extend(answers)

    def waits_to_be_told(self) -> None:
        """From now on a `response.create` is taken, and answered only when the test calls `say`."""
        self._usual = None

    def fail_next_response(self, code: str = "server_error") -> None:
        self.answers_next(Answer(status="failed", error_code=code))

    def incomplete_next_response(self, reason: str = "max_output_tokens", *, audio_ms: int = 2000) -> None:
        self.answers_next(Answer(status="incomplete", reason=reason, audio_ms=audio_ms))

    def call_function(self, name: str, arguments: str, *, text: str = "", audio_ms: int = 0) -> None:
        """The next response calls a function; with `text` it also says something first."""
        self.answers_next(Answer(text=text, audio_ms=audio_ms, calls=(Call(name, arguments),)))

    def refuse_transcription_model(self, model: str = "gpt-realtime-whisper") -> None:
        """Answer a session.update that names this model with an error."""
        self.behaviour.refused_transcription_models.add(model)

    def ignore_create_response_false(self) -> None:
        """Echo `create_response: true` whatever is asked for, and answer by itself."""
        self.behaviour.honours_create_response = False

    def never_ready(self) -> None:
        """Never acknowledge a session.update."""
        self.behaviour.acknowledges_updates = False

    def refuse_key(self) -> None:
        """Refuse coming connections after the upgrade: the key is wrong."""
        self.behaviour.refusal = ("invalid_api_key", "Incorrect API key provided.")

    def quota(self) -> None:
        """Refuse coming connections after the upgrade: the money is gone."""
        self.behaviour.refusal = ("insufficient_quota", "You exceeded your current quota.")

    def refuse_upgrade(self, status: int = 401, code: str = "invalid_api_key") -> None:
        """On TCP: refuse coming connections with an HTTP status, before there is a WebSocket."""
        self.behaviour.upgrade_refusal = (status, code)

    def behave(self) -> None:
        """From now on no misbehaviour at all."""
        self.behaviour = Behaviour()

    def interrupt_after(self, seconds: float) -> None:
        """How long after the user's first sound (or a cancel) a running answer is cut; its deltas go on until then."""
        self.behaviour.interrupts_after = seconds

    def fail_next_transcription(self, code: str = "audio_unintelligible") -> None:
        self.behaviour.transcription_failure = code
