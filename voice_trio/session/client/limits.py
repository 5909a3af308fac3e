"""Bounds on what a client may send: how often it may err, how fast it may talk, how much may wait. Time is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio import limits
from voice_trio.conversation.events import TextInput
from voice_trio.errors import BadMessage, InvalidEvent, NotJson
from voice_trio.net.token_bucket import TokenBucket
from voice_trio.protocols.audio import AudioAppended
from voice_trio.protocols.voice.client_events import FromClient, read_client

if TYPE_CHECKING:
    from voice_trio.protocols.openai_client import ClientEventReader, PassthroughEvent


class ClientLimits:
    """Rates of one client's events, sound and errors."""

    def __init__(self, now: float, audio_ahead_seconds: float) -> None:
        self.control = TokenBucket(limits.CONTROL_BURST, limits.CONTROL_PER_SECOND, now)
        self._errors = TokenBucket(limits.ERRORS_BURST, limits.ERRORS_PER_SECOND, now)
        self._audio = TokenBucket(audio_ahead_seconds, limits.AUDIO_SPEED_MAX, now)
        self.not_json = 0

    @property
    def is_exceeded(self) -> bool:
        """Whether so many frames were not JSON that the client does not speak the protocol."""
        return self.not_json > limits.NOT_JSON_MAX

    def may_send_error(self, now: float) -> bool:
        """Whether to tell the client of another error."""
        return self._errors.take(now)

    def seconds_ahead(self, now: float, duration_ms: float) -> float:
        """How long to read nothing, so that sound comes no faster than allowed; nor do messages of hardly any."""
        return self._audio.take_and_wait(now, max(duration_ms / 1000, limits.AUDIO_MESSAGE_SECONDS_MIN))


class VoiceFrameDecoder:
    """Decodes the frames of a client of the voice protocol, within its limits.

    All frames but sound count in the rate of control events, wrong ones too. Beyond the rate events are dropped, and
    the connection is read more slowly, so that a flood fills the client's own socket and costs others nothing.
    """

    def __init__(self, now: float) -> None:
        self.limits = ClientLimits(now, limits.AUDIO_AHEAD_SECONDS_MAX)
        self.pause_seconds = 0.0
        """How long to read nothing after the last frame, if it was not sound."""
        self._questions = TokenBucket(limits.QUESTIONS_BURST, limits.QUESTIONS_PER_SECOND, now)

    def decode(self, frame: str | bytes, now: float) -> FromClient:
        """The event in a frame; raises `BadMessage` for a wrong one, and for control events that come too often."""
        self.pause_seconds = 0.0
        try:
            event = read_client(frame)
        except BadMessage as error:
            self.limits.not_json += isinstance(error, NotJson)
            self._take(frame, now)
            raise
        if isinstance(event, AudioAppended):
            if event.duration_ms > limits.AUDIO_MESSAGE_SECONDS_MAX * 1000:
                self._take(frame, now)
                raise BadMessage(f"more than {limits.AUDIO_MESSAGE_SECONDS_MAX:g} s of sound in one message")
        elif not self._take(frame, now):
            raise BadMessage(f"more than {limits.CONTROL_PER_SECOND:g} events a second; this one was dropped")
        elif isinstance(event, TextInput) and not self._questions.take(now):
            raise BadMessage("too many typed questions at once; this one was dropped")
        return event

    def _take(self, frame: str | bytes, now: float) -> bool:
        """Whether the rate allows the frame; otherwise nothing is read for as long as the rate gives to one like it."""
        cost = max(1.0, len(frame) / limits.BYTES_PER_CONTROL_EVENT)
        is_allowed = self.limits.control.take(now, cost)
        if not is_allowed:
            self.pause_seconds = cost / limits.CONTROL_PER_SECOND
        return is_allowed


class RealtimeFrameDecoder:
    """Decodes the frames of a client of OpenAI's protocol; such a client may send a whole recording at once.

    Nothing is dropped for coming too fast. It is handled later instead: sound beyond `PASSTHROUGH_AHEAD_SECONDS_MAX`
    at twice real time, everything else at the rate of control events.
    """

    def __init__(self, reader: ClientEventReader, now: float) -> None:
        self.limits = ClientLimits(now, limits.PASSTHROUGH_AHEAD_SECONDS_MAX)
        self._reader = reader

    def decode(self, frame: str | bytes) -> PassthroughEvent:
        """The request in a frame; raises `InvalidEvent`."""
        try:
            return self._reader.read(frame)
        except InvalidEvent as error:
            self.limits.not_json += error.code == "invalid_json"
            raise

    def pause(self, frame: str | bytes, event: PassthroughEvent | None, now: float) -> float:
        """Seconds to handle nothing after that frame; `event` is None if it was refused."""
        if isinstance(event, AudioAppended):
            return self.limits.seconds_ahead(now, event.duration_ms)
        return self.limits.control.take_and_wait(now, 1.0 + len(frame) / limits.BYTES_PER_CONTROL_EVENT)
