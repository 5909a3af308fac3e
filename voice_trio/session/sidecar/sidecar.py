"""The sidecar: a second socket to the upstream, which only transcribes, so that words come while the user speaks.

    run      reach it, talk over it; lost, again, a bounded number of times
    ├─ listen    its words as the conversation's deltas, its usage to the bill
    └─ speak     speech, and where it ends

Nothing of the session waits for it or ends with it: without a sidecar the words come later. What it hears and whose
words it says is decided in `sidecar_turns`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import trio

from voice_trio.conversation import commands, events
from voice_trio.conversation.policy import FATAL_CODES
from voice_trio.errors import BadMessage, LinkClosed, ModelUnavailable
from voice_trio.protocols.realtime import read_event
from voice_trio.protocols.realtime.writer import never_streams, transcription_update
from voice_trio.session.observers import SidecarAudioSent
from voice_trio.session.sidecar.utterances import SidecarTurns
from voice_trio.session.upstream.connect import (
    CLOSE_SECONDS_MAX,
    UPDATE_ID,
    connect_with_retry,
    send_with_timeout,
    wait_for_state,
)

if TYPE_CHECKING:
    from voice_trio.net.link import Link
    from voice_trio.session.ports import ConnectedUpstream, Dial, SessionPort

CONNECTIONS_MAX = 5  # of one session; whoever is lost more often is not there
AGAIN_AFTER_SECONDS = 1.0  # the first time; each time twice as long


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
        self._turns = SidecarTurns()
        self._is_on = True
        self._is_running = False
        self._link: Link | None = None
        self._loss = trio.CancelScope()
        self._news = trio.Event()

    # The conversation's side

    def attend(self, model: ConnectedUpstream, nursery: trio.Nursery, sockets: trio.Nursery) -> None:
        """Run beside this model if it needs that; once running, it stays. Its sockets live in `sockets`."""
        if self._is_running:
            return
        self._is_on = self._plan.always or _needs_a_sidecar(model, self._host.config.model.transcription_model)
        if self._is_on:
            self._is_running = True
            self._turns.is_only_ears = model.updated.transcription_model is None
            nursery.start_soon(self._run, self._plan.dial, sockets)
        else:
            self._turns.rest()

    def follow(self, queued_ms: float) -> None:
        """A model begins to hear, first what waits for it already."""
        self._turns.follow(queued_ms)

    def upstream_lost(self) -> None:
        """Nobody will say where this utterance ends."""
        self._turns.end_speech()
        self._news.set()

    def hear(self, audio: str, duration_ms: float) -> None:
        """What the model is sent, in base64."""
        if self._is_on:
            self._turns.hear(audio, duration_ms)
            self._news.set()

    def admits(self, event: events.UpstreamEvent) -> bool:
        """Whether the conversation is to hear of what its model says; see `SidecarTurns`."""
        if not self._is_running:
            return True
        passes = self._turns.admits(event)
        self._news.set()
        return passes

    async def close(self) -> None:
        """Close the link; the caller bounds it."""
        if self._link is not None:
            await self._link.aclose()

    # Its own

    async def _run(self, dial: Dial, sockets: trio.Nursery) -> None:
        """Until the session ends, or until it is clear that no words will come."""
        pause = AGAIN_AFTER_SECONDS
        for _ in range(CONNECTIONS_MAX):
            try:
                link = await connect_with_retry(dial, sockets, self._shake_hands, self._host.config.retry)
            except ModelUnavailable as error:
                self._host.log.warning("sidecar_unavailable", reason=str(error))
                break
            await self._talk_over(link)
            await trio.sleep(pause)
            pause *= 2
        self._is_on = False
        self._turns.rest()

    async def _shake_hands(self, link: Link) -> Link:
        await wait_for_state(link, "session.created")
        await link.send(transcription_update(self._host.config.model, UPDATE_ID))
        await wait_for_state(link, "session.updated")
        return link

    async def _talk_over(self, link: Link) -> None:
        self._link = link
        self._host.summary.sidecar = True
        self._turns.connected()
        async with trio.open_nursery() as nursery:
            self._loss = nursery.cancel_scope
            nursery.start_soon(self._listen, link)
            nursery.start_soon(self._speak, link)
        self._link = None
        for bill in self._turns.disconnected():
            self._host.execute(bill)
        with trio.move_on_after(CLOSE_SECONDS_MAX, shield=True):
            await link.aclose()

    async def _listen(self, link: Link) -> None:
        while True:
            try:
                frame = await link.receive()
                event = read_event(frame) if isinstance(frame, str) else None
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
                for meaning in self._turns.understand(event):
                    self._tell(meaning)

    def _tell(self, meaning: events.TranscriptDelta | events.TranscriptCompleted | commands.CountUsage) -> None:
        if isinstance(meaning, commands.CountUsage):
            self._host.execute(meaning)
        else:
            self._host.feed(meaning)

    async def _speak(self, link: Link) -> None:
        """A cancelled send tears the socket: whoever cancels here gives it up."""
        while True:
            while (outgoing := self._turns.next()) is None:
                self._news = trio.Event()
                await self._news.wait()
            if outgoing.seconds:
                self._host.observe(SidecarAudioSent(outgoing.source_id, outgoing.seconds))
            if trouble := await send_with_timeout(link, outgoing.text):
                self._lose(trouble)
                return

    def _lose(self, reason: str) -> None:
        self._host.log.warning("sidecar_lost", reason=reason, dropped_s=round(self._turns.dropped_ms / 1000, 2))
        self._loss.cancel(reason=reason)


def _needs_a_sidecar(model: ConnectedUpstream, wanted: str) -> bool:
    """Whether the conversation will say no words early, as far as is known, and what was `wanted` would."""
    says_none = model.transcription_fallback or never_streams(model.updated.transcription_model or "")
    return says_none and not never_streams(wanted)
