"""A client's frames, understood or refused: how often it may err, and how fast it may talk. Pure: time is given."""

from __future__ import annotations

from voice_trio.conversation.events import TextInput
from voice_trio.dialects.voice import Audio, FromClient, read_client
from voice_trio.errors import BadMessage, NotJson
from voice_trio.session.pace import Bucket

NOT_JSON_MAX = 10
CONTROL_BURST = 100.0  # events at once …
CONTROL_PER_SECOND = 50.0  # … and in the long run; four playback positions a second are usual
QUESTIONS_BURST = 5.0
QUESTIONS_PER_SECOND = 1.0  # each is searched, and joined to the last if that was not answered yet
MESSAGE_SECONDS_MAX = 2.0  # of sound; while a message is paid for, nothing else is read
COMPLAINTS_BURST = 10.0
COMPLAINTS_PER_SECOND = 1.0  # a client that errs a thousand times a second is not told a thousand times
AUDIO_AHEAD_SECONDS_MAX = 5.0  # sound that may come at once: what was recorded while connecting
AUDIO_SPEED_MAX = 2.0  # times real time, in the long run


class ClientEars:
    """Reads a client's frames within its limits."""

    def __init__(self, now: float) -> None:
        self._control = Bucket(CONTROL_BURST, CONTROL_PER_SECOND, now)
        self._questions = Bucket(QUESTIONS_BURST, QUESTIONS_PER_SECOND, now)
        self._complaints = Bucket(COMPLAINTS_BURST, COMPLAINTS_PER_SECOND, now)
        self._audio = Bucket(AUDIO_AHEAD_SECONDS_MAX, AUDIO_SPEED_MAX, now)
        self._not_json = 0

    def understand(self, frame: str | bytes, now: float) -> FromClient:
        """What a frame means; raises `BadMessage` for what is wrong, and for control events that come too often."""
        try:
            event = read_client(frame)
        except NotJson:
            self._not_json += 1
            raise
        if isinstance(event, Audio):
            if event.duration_ms > MESSAGE_SECONDS_MAX * 1000:
                raise BadMessage(f"more than {MESSAGE_SECONDS_MAX:g} s of sound in one message")
        elif not self._control.take(now):
            raise BadMessage(f"more than {CONTROL_PER_SECOND:g} events a second; this one was dropped")
        elif isinstance(event, TextInput) and not self._questions.take(now):
            raise BadMessage("too many typed questions at once; this one was dropped")
        return event

    @property
    def is_hopeless(self) -> bool:
        """Whether this client does not speak the protocol at all."""
        return self._not_json > NOT_JSON_MAX

    def may_complain(self, now: float) -> bool:
        """Whether to tell the client of another mistake."""
        return self._complaints.take(now)

    def seconds_ahead(self, now: float, duration_ms: float) -> float:
        """How long to read nothing, so that sound comes no faster than allowed."""
        return self._audio.take_and_wait(now, duration_ms / 1000)
