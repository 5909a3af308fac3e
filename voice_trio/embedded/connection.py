"""One connection of the embedded server: a nursery around a `Dialogue`, over any `Link`.

    link ──► read ──► Dialogue ──► Outbox ──► write ──► link
                        ▲   │
       words, chunks    │   │ orders
                        └── listen, speak: a task for each utterance and each response

Everything goes through `_do`, which never waits: what a dialogue decided is said and begun in that order.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, assert_never

import trio

from voice_trio.embedded.dialogue import Beginning, Dialogue
from voice_trio.embedded.outbound import FinishHearing, ForgetHearing, HangUp, Hear, Listen, Speak, StopSpeaking
from voice_trio.embedded.outbox import Outbox
from voice_trio.embedded.pending_audio import PendingAudio
from voice_trio.errors import LinkClosed, VoiceTrioError
from voice_trio.protocols.audio import BYTES_PER_MS

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.embedded.engines import Engines, Speech
    from voice_trio.embedded.outbound import Order, Output
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
    def __init__(self, link: Link, engines: Engines, beginning: Beginning, pace: Pace | None = None) -> None:
        self._link = link
        self._engines = engines
        self._pace = pace or Pace()
        activity = engines.new_activity() if engines.new_activity and engines.ears else None
        voices = engines.mouth.voices if engines.mouth else ()
        self._dialogue = Dialogue(beginning, activity, voices, trio.current_time())
        self._outbox = Outbox()
        self._microphone: str | None = None
        self._hearings: dict[int, PendingAudio] = {}
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
            frame = await self._outbox.take()
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
            elif not self._outbox.put(output):
                self._nursery.cancel_scope.cancel(reason="the client reads nothing")
        self._alarm.deadline = self._dialogue.deadline

    def _carry_out(self, order: Order) -> None:
        match order:
            case Listen(hearing_id=hearing_id):
                self._hearings[hearing_id] = PendingAudio()
                self._nursery.start_soon(self._listen, hearing_id)
            case Hear() | FinishHearing() | ForgetHearing():
                # One that failed is gone, and nothing more needs to be done about it.
                if (audio := self._hearings.get(order.hearing_id)) is not None:
                    self._pass_on(order, audio)
            case Speak():
                self._speeches[order.response_id] = trio.CancelScope()
                self._nursery.start_soon(self._speak, order)
            case StopSpeaking(response_id=response_id):
                if (speech := self._speeches.get(response_id)) is not None:
                    speech.cancel(reason="cut short")
            case HangUp():
                self._nursery.start_soon(self._hang_up, order)
            case _:
                assert_never(order)

    # Ears

    def _pass_on(self, order: Hear | FinishHearing | ForgetHearing, audio: PendingAudio) -> None:
        match order:
            case Hear(hearing_id=hearing_id, pcm=pcm):
                if not audio.put(pcm):
                    audio.scope.cancel(reason="too much audio")
                    self._do(self._dialogue.unheard(hearing_id, "more audio came than can be listened to"))
            case FinishHearing():
                audio.finish()
            case ForgetHearing():
                audio.scope.cancel(reason="nobody wants to know")
            case _:
                assert_never(order)

    async def _listen(self, hearing_id: int) -> None:
        audio = self._hearings[hearing_id]
        try:
            with audio.scope:
                await self._listen_to(hearing_id, audio)
        except VoiceTrioError as error:
            self._do(self._dialogue.unheard(hearing_id, str(error)))
        finally:
            del self._hearings[hearing_id]

    async def _listen_to(self, hearing_id: int, audio: PendingAudio) -> None:
        assert self._engines.ears is not None  # there is no activity without ears, and nothing to hear without that
        async with self._engines.ears.listen(self._microphone) as hearing:
            while piece := await audio.take():
                delta = await hearing.feed(piece)
                self._do(self._dialogue.words(hearing_id, delta))
            heard = await hearing.finish()
            self._microphone = heard.microphone
            self._do(self._dialogue.heard(hearing_id, heard.text))

    # Mouth

    async def _speak(self, order: Speak) -> None:
        try:
            with self._speeches[order.response_id]:
                await self._say(order)
                self._do(self._dialogue.finished_speaking(order.response_id))
        except VoiceTrioError as error:
            self._do(self._dialogue.failed_to_speak(order.response_id, str(error)))
        finally:
            del self._speeches[order.response_id]

    async def _say(self, order: Speak) -> None:
        if self._engines.mouth is None:
            self._do(self._dialogue.said(order.response_id, order.text, b""))
            return
        speech: Speech = self._engines.mouth.say(order.text, voice=order.voice, speed=order.speed)
        sent_ms, started = 0.0, None
        while (chunk := await speech.next_chunk()) is not None:
            started = trio.current_time() if started is None else started
            await self._outbox.wait_until_short()
            self._do(self._dialogue.said(order.response_id, chunk.text, chunk.pcm))
            sent_ms += len(chunk.pcm) / BYTES_PER_MS
            await trio.sleep_until(started + self._pace.due(sent_ms))

    async def _hang_up(self, order: HangUp) -> None:
        with trio.move_on_after(FAREWELL_SECONDS_MAX):
            await self._outbox.wait_until_empty()
            await self._link.aclose(order.code, order.reason)
        self._nursery.cancel_scope.cancel(reason=order.reason)
