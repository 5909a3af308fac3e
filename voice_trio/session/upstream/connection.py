"""The session's model: what it sends becomes events, what it is sent leaves through one writer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from voice_trio.conversation.commands import CancelResponse, DeleteItem, ForwardClientEvent, TruncateItem
from voice_trio.errors import BadMessage, LinkClosed, ModelUnavailable
from voice_trio.protocols.audio import silence
from voice_trio.protocols.realtime import SessionState, append_audio, read_event, write_command
from voice_trio.session.upstream.send_queue import UpstreamQueue
from voice_trio.session.upstream.sending import send_with_timeout

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.conversation.commands import UpstreamCommand
    from voice_trio.net.link import Link
    from voice_trio.session.ports import SessionPort
    from voice_trio.session.sidecar.sidecar import Sidecar
    from voice_trio.session.upstream.connect import ConnectedUpstream

SILENCE_MS = 100
SILENCE_AFTER_SECONDS = 0.3  # frames come every 20 to 100 ms; after this gap the microphone is taken to be off


class UpstreamConnection:
    """Both directions of the model's link; what is sent while there is no model waits for the next."""

    def __init__(self, host: SessionPort, describe: Callable[[SessionState], None], sidecar: Sidecar) -> None:
        self._host = host
        self._sidecar = sidecar
        self._describe = describe
        self._uplink = UpstreamQueue()
        self._link: Link | None = None
        self._loss = trio.CancelScope()
        self._silence = trio.CancelScope()
        self._sound_until = float("-inf")

    async def talk_with(self, model: ConnectedUpstream) -> None:
        """Listen and speak until the model is lost; cancelled only when the session ends."""
        self._link = model.link
        self._uplink.open()
        self._sidecar.follow(self._uplink.audio_seconds * 1000)
        async with trio.open_nursery() as nursery:
            self._loss = nursery.cancel_scope
            nursery.start_soon(self._listen, model.link)
            nursery.start_soon(self._speak, model.link)
        self._uplink.close()
        self._sidecar.model_lost()

    def lose(self, reason: str) -> None:
        """The model is of no use any more: `talk_with` returns."""
        self._host.log.warning("upstream_lost", reason=reason)
        self._loss.cancel(reason=reason)

    async def _listen(self, link: Link) -> None:
        """Whatever the model sends, as events; never waits for anything else."""
        while True:
            try:
                frame = await link.receive()
                event = read_event(frame) if isinstance(frame, str) else None
            except LinkClosed as closed:
                self.lose(str(closed))
                return
            except BadMessage as error:
                self._host.log.warning("upstream_message_skipped", reason=str(error))
                continue
            if isinstance(event, SessionState):
                self._describe(event)
            elif event is not None and self._sidecar.lets_pass(event):
                self._host.feed(event)

    async def _speak(self, link: Link) -> None:
        """Everything the model is sent. A cancelled send tears the socket: whoever cancels here gives the model up."""
        while True:
            frame = await self._uplink.next()
            if trouble := await send_with_timeout(link, frame):
                self.lose(trouble)
                return

    def send_command(self, command: UpstreamCommand) -> None:
        try:
            if self._host.terms.drop_in is not None and not _overtakes(command):
                self._uplink.put_in_order(write_command(command))  # as its client meant it
            else:
                self._uplink.put_command(write_command(command))
        except ModelUnavailable as error:
            self.lose(str(error))

    def send_audio(self, audio: str, duration_ms: float) -> None:
        """`audio` is base64 that has been checked."""
        self._sound_until = max(self._sound_until, trio.current_time()) + duration_ms / 1000
        self._append(audio, duration_ms)

    @property
    def queued_seconds(self) -> float:
        """Sound that waits to be written to the model."""
        return self._uplink.audio_seconds

    @property
    def queued_bytes(self) -> int:
        """All that waits to be written to the model."""
        return self._uplink.bytes

    def send_frame(self, text: str) -> None:
        """A frame that is written already, in order with everything else."""
        try:
            self._uplink.put_in_order(text)
        except ModelUnavailable as error:
            self.lose(str(error))

    def start_silence(self, nursery: trio.Nursery) -> None:
        """While the client sends nothing, feed silence: else the upstream never hears speech end."""
        self._silence.cancel()
        self._silence = trio.CancelScope()
        nursery.start_soon(self._feed_silence, self._silence)

    def stop_silence(self) -> None:
        self._silence.cancel(reason="speech over")

    async def _feed_silence(self, scope: trio.CancelScope) -> None:
        audio = silence(SILENCE_MS)
        with scope:
            while True:
                await trio.sleep(SILENCE_MS / 1000)
                if trio.current_time() - self._sound_until >= SILENCE_AFTER_SECONDS:
                    self._append(audio, SILENCE_MS)

    async def leave(self) -> None:
        """Close the link; the caller bounds it."""
        if self._link is not None:
            await self._link.aclose()

    def _append(self, audio: str, duration_ms: float) -> None:
        self._sidecar.hear(audio, duration_ms)
        try:
            self._uplink.put_audio(append_audio(audio), duration_ms)
        except ModelUnavailable as error:
            self.lose(str(error))


def _overtakes(command: UpstreamCommand) -> bool:
    """Whether it is about an answer that should be over already."""
    return isinstance(command, CancelResponse | TruncateItem | DeleteItem) or (
        isinstance(command, ForwardClientEvent) and command.overtakes
    )
