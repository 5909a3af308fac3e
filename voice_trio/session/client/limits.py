"""A client's frames, understood or refused: how often it may err, and how fast it may talk. Pure: time is given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.conversation.events import TextInput
from voice_trio.errors import BadMessage, InvalidEvent, NotJson
from voice_trio.protocols.audio import AudioAppended
from voice_trio.protocols.voice.client_events import FromClient, read_client
from voice_trio.session.client.token_bucket import TokenBucket

if TYPE_CHECKING:
    from voice_trio.protocols.openai_client import ClientEventReader, PassthroughEvent

NOT_JSON_MAX = 10
CONTROL_BURST = 100.0  # events at once …
CONTROL_PER_SECOND = 50.0  # … and in the long run; four playback positions a second are usual
QUESTIONS_BURST = 5.0
QUESTIONS_PER_SECOND = 1.0  # each is searched, and joined to the last if that was not answered yet
MESSAGE_SECONDS_MAX = 2.0  # of sound; while a message is paid for, nothing else is read
COMPLAINTS_BURST = 10.0
COMPLAINTS_PER_SECOND = 1.0  # a client that errs a thousand times a second is not told a thousand times
AUDIO_AHEAD_SECONDS_MAX = 5.0  # sound that may come at once: what was recorded while connecting
BYTES_PER_TOKEN = 65_536  # of a large message: to read it takes time that others wait for
DROP_IN_AHEAD_SECONDS_MAX = 60.0  # of a client that may send a recording at once
AUDIO_SPEED_MAX = 2.0  # times real time, in the long run


class ClientLimits:
    """How much a client may say, and how often it may err."""

    def __init__(self, now: float, audio_ahead_seconds: float) -> None:
        self.control = TokenBucket(CONTROL_BURST, CONTROL_PER_SECOND, now)
        self._complaints = TokenBucket(COMPLAINTS_BURST, COMPLAINTS_PER_SECOND, now)
        self._audio = TokenBucket(audio_ahead_seconds, AUDIO_SPEED_MAX, now)
        self.not_json = 0

    @property
    def is_over(self) -> bool:
        """Whether this client does not speak the protocol at all."""
        return self.not_json > NOT_JSON_MAX

    def may_complain(self, now: float) -> bool:
        """Whether to tell the client of another mistake."""
        return self._complaints.take(now)

    def seconds_ahead(self, now: float, duration_ms: float) -> float:
        """How long to read nothing, so that sound comes no faster than allowed."""
        return self._audio.take_and_wait(now, duration_ms / 1000)


class VoiceFrameDecoder:
    """Reads a client's frames within its limits."""

    def __init__(self, now: float) -> None:
        self.patience = ClientLimits(now, AUDIO_AHEAD_SECONDS_MAX)
        self._questions = TokenBucket(QUESTIONS_BURST, QUESTIONS_PER_SECOND, now)

    def understand(self, frame: str | bytes, now: float) -> FromClient:
        """What a frame means; raises `BadMessage` for what is wrong, and for control events that come too often."""
        try:
            event = read_client(frame)
        except NotJson:
            self.patience.not_json += 1
            raise
        if isinstance(event, AudioAppended):
            if event.duration_ms > MESSAGE_SECONDS_MAX * 1000:
                raise BadMessage(f"more than {MESSAGE_SECONDS_MAX:g} s of sound in one message")
        elif not self.patience.control.take(now):
            raise BadMessage(f"more than {CONTROL_PER_SECOND:g} events a second; this one was dropped")
        elif isinstance(event, TextInput) and not self._questions.take(now):
            raise BadMessage("too many typed questions at once; this one was dropped")
        return event


class RealtimeFrameDecoder:
    """Reads a drop-in client's frames; such clients may send a whole recording at once.

    Nothing is dropped for coming too fast, it is only heeded later: sound beyond `DROP_IN_AHEAD_SECONDS_MAX` at twice
    real time, everything else at the pace at which others may send it.
    """

    def __init__(self, reader: ClientEventReader, now: float) -> None:
        self.patience = ClientLimits(now, DROP_IN_AHEAD_SECONDS_MAX)
        self._reader = reader

    def understand(self, frame: str | bytes) -> PassthroughEvent:
        """What a frame asks for; raises `InvalidEvent`."""
        try:
            return self._reader.read(frame)
        except InvalidEvent as error:
            self.patience.not_json += error.code == "invalid_json"
            raise

    def pause(self, frame: str | bytes, event: PassthroughEvent | None, now: float) -> float:
        """How long to heed nothing after that frame (`event` of None was refused): slower, where others would drop."""
        if isinstance(event, AudioAppended):
            return self.patience.seconds_ahead(now, event.duration_ms)
        return self.patience.control.take_and_wait(now, 1.0 + len(frame) / BYTES_PER_TOKEN)
