"""One connection of the embedded server: a nursery around a `EmbeddedSession`, over any `Link`.

    link ──► read ──► EmbeddedSession ──► FrameQueue ──► write ──► link
                        ▲   │
       words, chunks    │   │ orders
                        └── listen, speak: a task for each utterance and each response

Everything goes through `_do`, which never waits: what a dialogue decided is said and begun in that order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import trio

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

FAREWELL_SECONDS_MAX = 2.0


@dataclass(frozen=True, slots=True)
class Pace:
    """Speech leaves `times_faster` than it plays, after a head start: ahead of the listener, yet interruptible."""

    times_faster: float = 4.0
    head_start_ms: float = 400.0

    def due(self, sent_ms: float) -> float:
        """Seconds after the first chunk at which the next may leave, when so much has left."""
        return max(0.0, sent_ms - self.head_start_ms) / 1000 / self.times_faster


class Connection:
    def __init__(self, link: Link, engines: Engines, config: EmbeddedConfig, pace: Pace | None = None) -> None:
        self._link = link
        self._engines = engines
        self._pace = pace or Pace()
        activity = engines.new_activity() if engines.new_activity and engines.recognizer else None
        voices = engines.synthesizer.voices if engines.synthesizer else ()
        self._dialogue = EmbeddedSession(config, activity, voices, trio.current_time())
        self._frames = FrameQueue()
        self._microphone: str | None = None
        self._recognitions: dict[int, AudioQueue] = {}
        self._speeches: dict[str, trio.CancelScope] = {}
        self._alarm = trio.CancelScope()

    async def run(self) -> None:
        """Serve until either side ends it; a lost link is an expected end, and so is a client that reads nothing."""
        async with trio.open_nursery() as nursery:
            self._nursery = nursery
            self._do(self._dialogue.begin())
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
            self._do(self._dialogue.receive(frame, trio.current_time()))
            while self._dialogue.is_behind:
                await trio.lowlevel.checkpoint()
                self._do(self._dialogue.catch_up(trio.current_time()))

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
            with trio.CancelScope(deadline=self._dialogue.deadline) as self._alarm:
                await trio.sleep_forever()
            self._do(self._dialogue.on_time(trio.current_time()))

    def _do(self, outputs: Iterable[Output]) -> None:
        for output in outputs:
            if not isinstance(output, str):
                self._carry_out(output)
            elif not self._frames.put(output):
                self._nursery.cancel_scope.cancel(reason="the client reads nothing")
        self._alarm.deadline = self._dialogue.deadline

    def _carry_out(self, command: Command) -> None:
        match command:
            case StartRecognition(recognition_id=recognition_id):
                self._recognitions[recognition_id] = AudioQueue()
                self._nursery.start_soon(self._listen, recognition_id)
            case RecognizeAudio() | FinishRecognition() | CancelRecognition():
                # One that failed is gone, and nothing more needs to be done about it.
                if (audio := self._recognitions.get(command.recognition_id)) is not None:
                    self._pass_on(command, audio)
            case Synthesize():
                self._speeches[command.response_id] = trio.CancelScope()
                self._nursery.start_soon(self._speak, command)
            case CancelSynthesis(response_id=response_id):
                if (speech := self._speeches.get(response_id)) is not None:
                    speech.cancel(reason="cut short")
            case CloseConnection():
                self._nursery.start_soon(self._hang_up, command)
            case _:
                assert_never(command)

    # Ears

    def _pass_on(self, command: RecognizeAudio | FinishRecognition | CancelRecognition, audio: AudioQueue) -> None:
        match command:
            case RecognizeAudio(recognition_id=recognition_id, pcm=pcm):
                if not audio.put(pcm):
                    audio.scope.cancel(reason="too much audio")
                    self._do(self._dialogue.unheard(recognition_id, "more audio came than can be listened to"))
            case FinishRecognition():
                audio.finish()
            case CancelRecognition():
                audio.scope.cancel(reason="nobody wants to know")
            case _:
                assert_never(command)

    async def _listen(self, recognition_id: int) -> None:
        audio = self._recognitions[recognition_id]
        try:
            with audio.scope:
                await self._listen_to(recognition_id, audio)
        except VoiceTrioError as error:
            self._do(self._dialogue.unheard(recognition_id, str(error)))
        finally:
            del self._recognitions[recognition_id]

    async def _listen_to(self, recognition_id: int, audio: AudioQueue) -> None:
        assert (
            self._engines.recognizer is not None
        )  # there is no activity without ears, and nothing to hear without that
        async with self._engines.recognizer.listen(self._microphone) as recognition:
            while piece := await audio.take():
                delta = await recognition.feed(piece)
                self._do(self._dialogue.words(recognition_id, delta))
            heard = await recognition.finish()
            self._microphone = heard.microphone
            self._do(self._dialogue.heard(recognition_id, heard.text))

    # Mouth

    async def _speak(self, command: Synthesize) -> None:
        try:
            with self._speeches[command.response_id]:
                await self._say(command)
                self._do(self._dialogue.finished_speaking(command.response_id))
        except VoiceTrioError as error:
            self._do(self._dialogue.failed_to_speak(command.response_id, str(error)))
        finally:
            del self._speeches[command.response_id]

    async def _say(self, command: Synthesize) -> None:
        if self._engines.synthesizer is None:
            self._do(self._dialogue.said(command.response_id, command.text, b""))
            return
        speech: SynthesisStream = self._engines.synthesizer.say(command.text, voice=command.voice, speed=command.speed)
        sent_ms, started = 0.0, None
        while (chunk := await speech.next_chunk()) is not None:
            started = trio.current_time() if started is None else started
            await self._frames.wait_until_short()
            self._do(self._dialogue.said(command.response_id, chunk.text, chunk.pcm))
            sent_ms += len(chunk.pcm) / BYTES_PER_MS
            await trio.sleep_until(started + self._pace.due(sent_ms))

    async def _hang_up(self, command: CloseConnection) -> None:
        with trio.move_on_after(FAREWELL_SECONDS_MAX):
            await self._frames.wait_until_empty()
            await self._link.aclose(command.code, command.reason)
        self._nursery.cancel_scope.cancel(reason=command.reason)
