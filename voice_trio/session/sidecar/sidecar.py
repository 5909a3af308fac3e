"""The sidecar: a second socket to the upstream, which only transcribes, so that words come while the user speaks.

    run          connect, serve the connection until it is lost; again, a bounded number of times
    ├─ listen    its transcripts as the conversation's deltas, its usage to the bill
    └─ write     speech, and where it ends

No part of the session waits for it or ends with it: without a sidecar the words come later. `utterances` decides which
sound it is sent and which of its words are used.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.conversation import commands, events
from voice_trio.conversation.policy import FATAL_CODES
from voice_trio.errors import BadMessage, LinkClosed, ModelRefused, ModelUnavailable
from voice_trio.protocols.realtime import read_event
from voice_trio.protocols.realtime.writer import never_streams, transcription_update
from voice_trio.session.observers import SidecarAudioSent
from voice_trio.session.sidecar.utterances import SidecarUtterances
from voice_trio.session.upstream.connect import UPDATE_ID, open_once, send_with_timeout, wait_for_state, with_retries

if TYPE_CHECKING:
    from voice_trio.conversation.full_duplex.events import AnyUpstreamEvent
    from voice_trio.net.link import Link
    from voice_trio.session.config import SessionConfig
    from voice_trio.session.ports import ConnectedUpstream, Dial, SessionPort


@dataclass(frozen=True, slots=True)
class SidecarPlan:
    """`dial` opens a link to a session that only transcribes; `always`, or only where the conversation needs it."""

    dial: Dial
    always: bool = False


class Sidecar:
    """The sidecar of one session."""

    def __init__(self, plan: SidecarPlan, host: SessionPort) -> None:
        self._plan = plan
        self._host = host
        self._utterances = SidecarUtterances()
        self._is_on = True
        self._is_running = False
        self._link: Link | None = None
        self._lost = trio.CancelScope()
        self._changed = trio.Event()
        self._has_upstream = trio.Event()
        self._nurseries: tuple[trio.Nursery, trio.Nursery] | None = None

    # The conversation's side

    def start_if_needed(self, upstream: ConnectedUpstream, nursery: trio.Nursery, sockets: trio.Nursery) -> None:
        """Start if this upstream needs it; once running, it stays. Its sockets live in `sockets`."""
        self._nurseries = nursery, sockets
        if self._is_running:
            return
        self._is_on = self._plan.always or _needs_sidecar(upstream, self._host.config)
        if self._is_on:
            self._is_running = True
            self._utterances.transcribes_alone = upstream.updated.transcription_model is None
            nursery.start_soon(self._run, self._plan.dial, sockets)
        else:
            self._utterances.stop()

    def take_over(self) -> bool:
        """Transcribe alone from the next speech on, because the upstream cannot; whether it does so anew."""
        if self._nurseries is None or self._utterances.transcribes_alone or (self._is_running and not self._is_on):
            return False
        self._utterances.transcribes_alone = True
        if not self._is_running:
            self._is_on = self._is_running = True
            nursery, sockets = self._nurseries
            nursery.start_soon(self._run, self._plan.dial, sockets)
        return True

    def follow(self, queued_ms: float) -> None:
        """An upstream begins to hear, first the sound that waits for it."""
        self._utterances.follow(queued_ms)
        self._has_upstream.set()

    def upstream_lost(self) -> None:
        """No end of this utterance will be announced."""
        self._utterances.end_speech()
        self._changed.set()
        self._has_upstream = trio.Event()

    def hear(self, audio: str, duration_ms: float) -> None:
        """Sound (base64) that the upstream is sent."""
        if self._is_on:
            self._utterances.hear(audio, duration_ms)
            self._changed.set()
        else:
            self._utterances.pass_over(duration_ms)

    def admits(self, event: AnyUpstreamEvent) -> bool:
        """Whether the conversation may see the event; see `SidecarUtterances`."""
        if not self._is_running:
            return True
        passes = self._utterances.admits(event)
        self._changed.set()
        return passes

    async def close(self) -> None:
        """Close the link; the caller bounds it."""
        if self._link is not None:
            await self._link.aclose()

    # Its own

    async def _run(self, dial: Dial, sockets: trio.Nursery) -> None:
        """Serve one connection after another, until the session ends or no connection can be had.

        None is opened while the conversation has no upstream: what keeps it away would use up the attempts.
        """
        pause = limits.SIDECAR_RETRY_SECONDS
        for _ in range(limits.SIDECAR_CONNECTIONS_MAX):
            await self._has_upstream.wait()
            try:
                retry = self._host.config.retry
                link = await with_retries(
                    partial(open_once, dial, sockets, self._handshake, retry.attempt_seconds_max), retry
                )
            except ModelUnavailable as error:
                self._host.log.warning("sidecar_unavailable", reason=str(error))
                if self._has_upstream.is_set() or isinstance(error, ModelRefused):
                    break
                continue
            await self._serve(link)
            await trio.sleep(pause)
            pause *= 2
        self._is_on = False
        self._utterances.stop()

    async def _handshake(self, link: Link) -> Link:
        await wait_for_state(link, "session.created")
        await link.send(transcription_update(self._host.config.model, UPDATE_ID))
        await wait_for_state(link, "session.updated")
        return link

    async def _serve(self, link: Link) -> None:
        self._link = link
        self._host.summary.sidecar = True
        self._utterances.connected()
        async with trio.open_nursery() as nursery:
            self._lost = nursery.cancel_scope
            nursery.start_soon(self._listen, link)
            nursery.start_soon(self._write, link)
        self._link = None
        for bill in self._utterances.disconnected():
            self._host.execute(bill, trio.current_time())
        with trio.move_on_after(limits.LINK_CLOSE_SECONDS_MAX, shield=True):
            await link.aclose()

    async def _listen(self, link: Link) -> None:
        while True:
            try:
                frame = await link.receive()
                event = read_event(frame)
            except LinkClosed as closed:
                self._lose(str(closed))
                return
            except BadMessage as error:
                self._host.log.warning("sidecar_message_skipped", reason=str(error))
                continue
            if isinstance(event, events.UpstreamError):
                self._host.log.warning("sidecar_error", code=event.code, detail=event.message[:200])
                if event.code in FATAL_CODES:
                    self._lose(event.code)
                    return
            if event is not None:
                for outcome in self._utterances.interpret(event):
                    self._hand_over(outcome)

    def _hand_over(self, outcome: events.TranscriptDelta | events.TranscriptCompleted | commands.CountUsage) -> None:
        if isinstance(outcome, commands.CountUsage):
            self._host.execute(outcome, trio.current_time())
        else:
            self._host.feed(outcome)

    async def _write(self, link: Link) -> None:
        """Write what is queued. A cancelled send tears the socket, so a cancellation here gives the sidecar up."""
        while True:
            while (outgoing := self._utterances.next()) is None:
                self._changed = trio.Event()
                await self._changed.wait()
            if outgoing.seconds:
                self._host.observe(SidecarAudioSent(outgoing.source_id, outgoing.seconds))
            if failure := await send_with_timeout(link, outgoing.text):
                self._lose(failure)
                return

    def _lose(self, reason: str) -> None:
        self._host.log.warning("sidecar_lost", reason=reason, dropped_s=round(self._utterances.dropped_ms / 1000, 2))
        self._lost.cancel(reason=reason)


def _needs_sidecar(upstream: ConnectedUpstream, config: SessionConfig) -> bool:
    """Whether the upstream, as far as is known, gives no words during speech, and the sidecar's model would."""
    gives_none = (
        upstream.transcription_fallback
        or not config.upstream.transcribes_speech
        or never_streams(upstream.updated.transcription_model or "")
    )
    return gives_none and not never_streams(config.model.sidecar_model or config.model.transcription_model)
