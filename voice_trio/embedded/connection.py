"""One connection of the embedded server: a nursery around an `EmbeddedSession`, over any `Link`.

    link ──► read ──► EmbeddedSession ──► FrameQueue ──► write ──► link
                        ▲   │
       words, chunks    │   │ commands
                        └── recognize, speak: a task for each recognition and each response

Everything goes through `_perform`, which never waits: frames leave and tasks start in the order of decisions.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import trio

from voice_trio import limits
from voice_trio.embedded.commands import (
    CancelRecognition,
    CancelSynthesis,
    CloseConnection,
    FinishRecognition,
    RecognizeAudio,
    StartRecognition,
    Synthesize,
)
from voice_trio.embedded.queues import AudioQueue, FrameQueue
from voice_trio.embedded.session import EmbeddedConfig, EmbeddedSession
from voice_trio.errors import LinkClosed, VoiceTrioError
from voice_trio.protocols.audio import BYTES_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.embedded.commands import Command, Output
    from voice_trio.embedded.engines import Engines, SynthesisStream
    from voice_trio.net.link import Link


@dataclass(frozen=True, slots=True)
class Pace:
    """Speech leaves `times_faster` than it plays, after a head start: ahead of playback, yet interruptible."""

    times_faster: float = 4.0
    head_start_ms: float = 400.0

    def due(self, sent_ms: float) -> float:
        """Seconds after the first chunk at which the next may leave, once `sent_ms` of audio have left."""
        return max(0.0, sent_ms - self.head_start_ms) / 1000 / self.times_faster


class Connection:
    """Serves one client over `link`."""

    def __init__(self, link: Link, engines: Engines, config: EmbeddedConfig, pace: Pace | None = None) -> None:
        self._link = link
        self._engines = engines
        self._pace = pace or Pace()
        activity = engines.new_activity() if engines.new_activity and engines.recognizer else None
        voices = engines.synthesizer.voices if engines.synthesizer else ()
        self._session = EmbeddedSession(config, activity, voices, trio.current_time())
        self._frames = FrameQueue()
        self._microphone: str | None = None
        self._recognitions: dict[int, AudioQueue] = {}
        self._speeches: dict[str, trio.CancelScope] = {}
        self._alarm = trio.CancelScope()

    async def run(self) -> None:
        """Serve until either side ends it; a lost link is an expected end, and so is a client that reads nothing."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._perform(self._session.begin())
            nursery.start_soon(self._write)
            nursery.start_soon(self._keep_time)
            await self._read()
            nursery.cancel_scope.cancel(reason="the client is gone")

    async def _read(self) -> None:
        while True:
            try:
                frame = await self._link.receive()
            except LinkClosed:
                return
            self._perform(self._session.receive(frame, trio.current_time()))
            while self._session.is_behind:
                await trio.lowlevel.checkpoint()
                self._perform(self._session.catch_up(trio.current_time()))

    async def _write(self) -> None:
        while True:
            frame = await self._frames.take()
            try:
                await self._link.send(frame)
            except LinkClosed:
                self._nursery.cancel_scope.cancel(reason="the client is gone")
                return

    async def _keep_time(self) -> None:
        while True:
            with trio.CancelScope(deadline=self._session.deadline) as self._alarm:
                await trio.sleep_forever()
            self._perform(self._session.on_time(trio.current_time()))

    def _perform(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if not isinstance(output, str):
                self._start(output)
            elif not self._frames.put(output):
                self._nursery.cancel_scope.cancel(reason="the client reads nothing")
        self._alarm.deadline = self._session.deadline

    def _start(self, command: Command) -> None:
        match command:
            case StartRecognition(recognition_id=recognition_id):
                self._recognitions[recognition_id] = AudioQueue()
                self._nursery.start_soon(self._recognize, recognition_id)
            case RecognizeAudio() | FinishRecognition() | CancelRecognition():
                # A recognition that failed has no queue any more.
                if (audio := self._recognitions.get(command.recognition_id)) is not None:
                    self._queue_audio(command, audio)
            case Synthesize():
                self._speeches[command.response_id] = trio.CancelScope()
                self._nursery.start_soon(self._speak, command)
            case CancelSynthesis(response_id=response_id):
                if (speech := self._speeches.get(response_id)) is not None:
                    speech.cancel(reason="cut short")
            case CloseConnection():
                self._nursery.start_soon(self._close, command)
            case _:
                assert_never(command)

    # Recognition

    def _queue_audio(self, command: RecognizeAudio | FinishRecognition | CancelRecognition, audio: AudioQueue) -> None:
        match command:
            case RecognizeAudio(recognition_id=recognition_id, pcm=pcm):
                if not audio.put(pcm):
                    audio.scope.cancel(reason="too much audio")
                    self._perform(
                        self._session.recognition_failed(recognition_id, "more audio came than can be recognised")
                    )
            case FinishRecognition():
                audio.finish()
            case CancelRecognition():
                audio.scope.cancel(reason="the text is not needed")
            case _:
                assert_never(command)

    async def _recognize(self, recognition_id: int) -> None:
        audio = self._recognitions[recognition_id]
        try:
            with audio.scope:
                await self._recognize_queue(recognition_id, audio)
        except VoiceTrioError as error:
            self._perform(self._session.recognition_failed(recognition_id, str(error)))
        finally:
            del self._recognitions[recognition_id]

    async def _recognize_queue(self, recognition_id: int, audio: AudioQueue) -> None:
        # Without a recognizer there is no voice activity, and so nothing to recognise.
        assert self._engines.recognizer is not None
        async with self._engines.recognizer.listen(self._microphone) as recognition:
            while piece := await audio.take():
                delta = await recognition.feed(piece)
                self._perform(self._session.words_recognized(recognition_id, delta))
            result = await recognition.finish()
            self._microphone = result.microphone
            self._perform(self._session.speech_recognized(recognition_id, result.text))

    # Synthesis

    async def _speak(self, command: Synthesize) -> None:
        try:
            with self._speeches[command.response_id]:
                await self._synthesize(command)
                self._perform(self._session.synthesis_finished(command.response_id))
        except VoiceTrioError as error:
            self._perform(self._session.synthesis_failed(command.response_id, str(error)))
        finally:
            del self._speeches[command.response_id]

    async def _synthesize(self, command: Synthesize) -> None:
        if self._engines.synthesizer is None:
            self._perform(self._session.chunk_synthesized(command.response_id, command.text, b""))
            return
        speech: SynthesisStream = self._engines.synthesizer.say(command.text, voice=command.voice, speed=command.speed)
        sent_ms, started = 0.0, None
        while (chunk := await speech.next_chunk()) is not None:
            started = trio.current_time() if started is None else started
            await self._frames.wait_until_short()
            self._perform(self._session.chunk_synthesized(command.response_id, chunk.text, chunk.pcm))
            sent_ms += len(chunk.pcm) / BYTES_PER_MS
            await trio.sleep_until(started + self._pace.due(sent_ms))

    async def _close(self, command: CloseConnection) -> None:
        with trio.move_on_after(limits.SESSION_CLOSE_SECONDS_MAX):
            await self._frames.wait_until_empty()
            await self._link.aclose(command.code, command.reason)
        self._nursery.cancel_scope.cancel(reason=command.reason)
