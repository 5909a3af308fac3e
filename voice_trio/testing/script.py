"""What a scripted model will do: its next answers, and how it misbehaves. Pure."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from typing import Any, Literal

STREAMING_TRANSCRIPTION = frozenset({"gpt-realtime-whisper", "gpt-live-transcribe"})

# How the real service was recorded to transcribe a streamed sentence (pydantic-ai's cassettes, July 2026): first word
# 1.2 s after onset, then one each 0.2–0.4 s, the last at most 0.2 s after the commit, the full text 0.5 s after it.
FIRST_WORD_AFTER = 1.2
WORD_EVERY = 0.3
LAST_WORDS_WITHIN = 0.2
COMPLETED_AFTER = 0.5


@dataclass(frozen=True, slots=True)
class Call:
    """A function call of the model; `arguments` is JSON text."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Answer:
    """One response of a scripted model. Times in seconds, audio in ms.

    `created_after` counts from `response.create`, `first_audio_after` from `response.created`. The audio is silence, or
    a tone with `tone`. It leaves in pieces of `chunk_ms`, `pace` times as fast as it plays, divided among `items`
    messages; `calls` follow it. A response that is not `completed` is `failed` (with `error_code`, before any audio) or
    `incomplete` (with `reason`, after the audio).
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


@dataclass(frozen=True, slots=True)
class ScriptedTranscript:
    """What the scripted transcriber makes of an utterance. Times in seconds.

    The first word comes `first_word_after` its first audio, then one each `word_every`, the whole text
    `completed_after` the commit (never if infinite). `usage` replaces whole seconds of audio.
    """

    text: str
    first_word_after: float = FIRST_WORD_AFTER
    word_every: float = WORD_EVERY
    completed_after: float = COMPLETED_AFTER
    usage: dict[str, Any] | None = None

    @property
    def pieces(self) -> list[str]:
        return [f" {word}" for word in self.text.split()]


@dataclass(slots=True)
class Behaviour:
    """How the model behaves apart from its answers; the defaults are those of a correct server."""

    refused_transcription_models: set[str] = field(default_factory=set)
    honours_create_response: bool = True
    acknowledges_updates: bool = True
    announces_commits: bool = True
    refusal: tuple[str, str] | None = None
    upgrade_refusal: tuple[int, str] | None = None
    interrupts_after: float = 0.0
    transcription_failure: str | None = None


class AnswerScript:
    """The verbs that decide about coming answers and misbehaviour."""

    def __init__(self) -> None:
        self.behaviour = Behaviour()
        self._usual: Answer | None = Answer()
        self._coming: deque[Answer] = deque()

    def next_answer(self) -> Answer | None:
        """The answer of the next response; `None` means that it waits for `ScriptedModel.say`."""
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
        """Answer every response like this from now on; see `Answer` for the parameters."""
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
        """Give these answers to the next responses, one each; then the usual one again."""
        self._coming.extend(answers)

    def waits_to_be_told(self) -> None:
        """From now on accept each `response.create`, and answer only when the test calls `say`."""
        self._usual = None

    def fail_next_response(self, code: str = "server_error") -> None:
        """End the next response as `failed`, with this error code."""
        self.answers_next(Answer(status="failed", error_code=code))

    def incomplete_next_response(self, reason: str = "max_output_tokens", *, audio_ms: int = 2000) -> None:
        """End the next response as `incomplete`, after `audio_ms` of audio."""
        self.answers_next(Answer(status="incomplete", reason=reason, audio_ms=audio_ms))

    def call_function(self, name: str, arguments: str, *, text: str = "", audio_ms: int = 0) -> None:
        """Call a function in the next response; `arguments` is JSON text. `text` is said before it."""
        self.answers_next(Answer(text=text, audio_ms=audio_ms, calls=(Call(name, arguments),)))

    def refuse_transcription_model(self, model: str = "gpt-realtime-whisper") -> None:
        """Refuse every session.update that names this transcription model."""
        self.behaviour.refused_transcription_models.add(model)

    def ignore_create_response_false(self) -> None:
        """Set `create_response` to true whatever the client asks for, and answer each turn."""
        self.behaviour.honours_create_response = False

    def never_ready(self) -> None:
        """Never acknowledge a session.update."""
        self.behaviour.acknowledges_updates = False

    def never_commits(self) -> None:
        """Never announce a commit, nor the item that it makes, as some compatible servers do."""
        self.behaviour.announces_commits = False

    def refuse_key(self) -> None:
        """Refuse coming connections after the upgrade, with `invalid_api_key`."""
        self.behaviour.refusal = ("invalid_api_key", "Incorrect API key provided.")

    def quota(self) -> None:
        """Refuse coming connections after the upgrade, with `insufficient_quota`."""
        self.behaviour.refusal = ("insufficient_quota", "You exceeded your current quota.")

    def refuse_upgrade(self, status: int = 401, code: str = "invalid_api_key") -> None:
        """Refuse coming TCP connections before the upgrade, with an HTTP status."""
        self.behaviour.upgrade_refusal = (status, code)

    def behave(self) -> None:
        """End all misbehaviour."""
        self.behaviour = Behaviour()

    def interrupt_after(self, seconds: float) -> None:
        """Cut a response only so long after the user's first audio, or a cancel; its deltas go on until then."""
        self.behaviour.interrupts_after = seconds

    def fail_next_transcription(self, code: str = "audio_unintelligible") -> None:
        """Let the next transcription fail with this code."""
        self.behaviour.transcription_failure = code
