"""The session's side of the upstream: what it sends becomes events, what it is sent leaves through one writer."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.conversation import commands, events
from voice_trio.errors import BadMessage, LinkClosed, ModelUnavailable
from voice_trio.net.token_bucket import TokenBucket
from voice_trio.protocols.audio import silence
from voice_trio.protocols.json_text import as_text
from voice_trio.protocols.realtime import SessionState, append_audio, read_event, write_command
from voice_trio.protocols.realtime.writer import PREFIX_PADDING_MS
from voice_trio.session.observers import TranscriptionModelChanged, UpstreamSessionKept
from voice_trio.session.upstream.kept_speech import SPEECH, KeptSpeech
from voice_trio.session.upstream.send_queue import UpstreamQueue
from voice_trio.session.upstream.speech_gate import SpeechGate
from voice_trio.session.upstream.transcription import TRANSCRIPTIONS, TranscriptionWatch

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from voice_trio.conversation.full_duplex.events import AnyUpstreamEvent
    from voice_trio.net.byte_budget import ByteAccount
    from voice_trio.net.link import Link
    from voice_trio.session.config import SessionConfig
    from voice_trio.session.ports import ConnectedUpstream, SessionPort, SidecarPort
    from voice_trio.upstreams.profile import Translator

SILENCE_MS = 100
SILENCE_AFTER_SECONDS = 0.3  # frames come every 20 to 100 ms; after this gap the microphone is taken to be off


class UpstreamConnection:
    """Both directions of the upstream's link; what is sent while there is no upstream waits for the next one.

    `describe` is called when the upstream describes its session.
    """

    def __init__(
        self, host: SessionPort, sidecar: SidecarPort | None, describe: Callable[[SessionState], None]
    ) -> None:
        self._host = host
        self._sidecar = sidecar
        self._describe = describe
        self._queue = UpstreamQueue()
        self._kept = KeptSpeech() if host.config.passthrough is None else None  # else nothing takes a lost one's place
        self._link: Link | None = None
        self._translator: Translator | None = None
        self._gate = _speech_gate(host.config)
        self._transcription = TranscriptionWatch(host, sidecar)
        self._notes: dict[type, Callable[[AnyUpstreamEvent], None]] = dict.fromkeys(
            TRANSCRIPTIONS, self._transcription.note
        )
        """What must know of an event before the conversation, by its exact type: sound meets none of them."""
        if self._kept is not None:
            self._notes |= dict.fromkeys(SPEECH, self._kept.note)
        self._early: deque[tuple[str, float]] = deque()  # sound that the gate has not heard, while there is no upstream
        self._skipped = 0  # messages since the last line of the log about them
        self._skip_log = TokenBucket(limits.SKIPPED_LOG_BURST, limits.SKIPPED_LOG_PER_SECOND, trio.current_time())
        self._lost = trio.CancelScope()
        self._silence = trio.CancelScope()
        self._sound_until = float("-inf")

    async def run(self, upstream: ConnectedUpstream) -> None:
        """Listen and write until the upstream is lost; cancelled only when the session ends."""
        is_transcribed = upstream.updated.transcription_model is not None
        self._host.observe(TranscriptionModelChanged(upstream.transcription_model if is_transcribed else None))
        self._translator = upstream.translator
        self._transcription.follow(upstream)
        if self._host.config.model.store:
            self._host.observe(UpstreamSessionKept(upstream.created.session_id))
        self._host.feed(events.UpstreamReady())
        self._link = upstream.link
        if self._kept is not None:
            self._kept.put_back(self._queue.audio)
        self._queue.open()
        if self._sidecar is not None:
            self._sidecar.follow(self._queue.audio_seconds * 1000)
        if self._gate is not None:
            self._announce(self._gate.begin_anew())
            while self._early:
                self._append(*self._early.popleft(), trio.current_time())
        async with trio.open_nursery() as nursery:
            self._lost = nursery.cancel_scope
            nursery.start_soon(self._listen, upstream.link)
            nursery.start_soon(self._write, upstream.link)
        self._queue.close()
        if self._kept is not None:
            self._queue.resend(self._kept.take(), is_speech=self._kept.is_open(trio.current_time()))
        if self._sidecar is not None:
            self._sidecar.upstream_lost()

    def lose(self, reason: str) -> None:
        """The upstream is of no more use: `run` returns."""
        self._host.log.warning("upstream_lost", reason=reason)
        self._lost.cancel(reason=reason)

    async def _listen(self, link: Link) -> None:
        """Feed what the upstream sends as events; never waits for anything else."""
        try:
            while True:
                self._handle(await link.receive())
        except LinkClosed as closed:
            self.lose(str(closed))

    def _handle(self, frame: str | bytes) -> None:
        """Feed the event of a frame. (A method of its own, so that no frame stays in memory until the next one.)"""
        try:
            if self._translator is None:
                self._on_event(read_event(frame))
                return
            found = list(self._translator.read(as_text(frame)))
        except BadMessage as error:
            self._skip(str(error))
            return
        for event in found:
            self._on_event(event)

    def _on_event(self, event: AnyUpstreamEvent | SessionState) -> None:
        if isinstance(event, SessionState):
            if event.transcription_model is not None:
                self._host.observe(TranscriptionModelChanged(event.transcription_model))
            self._describe(event)
            return
        if self._gate is not None:
            passed = self._gate.read(event)
            if passed is None:
                return
            event = passed
        self._pass_on(event)

    def _pass_on(self, event: AnyUpstreamEvent) -> None:
        note = self._notes.get(type(event))
        if note is not None:
            note(event)
        if self._sidecar is None or self._sidecar.admits(event):
            self._host.feed(event)

    def _skip(self, reason: str) -> None:
        """Log a message that cannot be read: an upstream may send thousands of them, the log gets a few and a count."""
        self._skipped += 1
        if self._skip_log.take(trio.current_time()):
            self._host.log.warning("upstream_message_skipped", reason=reason, skipped=self._skipped)
            self._skipped = 0

    async def _write(self, link: Link) -> None:
        self.lose(await self._queue.write(link))

    def send_command(self, command: commands.UpstreamCommand) -> None:
        """Queue a command before all audio; a command of a passthrough client in order with its audio."""
        put = self._queue.put_command
        if self._host.config.passthrough is not None and not _overtakes(command):
            put = self._queue.put_in_order
        try:
            if self._gate is not None:
                for each in self._gate.write(command):
                    self._put(each, put if _overtakes(each) else self._queue.put_in_order)
            else:
                self._put(command, put)
        except ModelUnavailable as error:
            self.lose(str(error))

    def _put(self, command: commands.UpstreamCommand, put: Callable[[str], None]) -> None:
        if self._translator is None:
            put(write_command(command))
            return
        for frame in self._translator.write(command):
            put(frame)

    def send_audio(self, audio: str, duration_ms: float, now: float) -> None:
        """Send sound of the client; `audio` is base64 that has been checked."""
        self._sound_until = max(self._sound_until, now) + duration_ms / 1000
        self._append(audio, duration_ms, now)

    def count_in(self, account: ByteAccount) -> None:
        """Count what waits to be written in the client's account from now on."""
        self._queue.account = account
        if self._kept is not None:
            self._kept.account = account

    @property
    def is_connected(self) -> bool:
        """Whether there is an upstream now."""
        return self._queue.is_open

    @property
    def is_far_behind(self) -> bool:
        """Whether much waits to be written to the upstream: a recording that was sent at once, for example."""
        queue = self._queue
        return (
            queue.bytes > limits.PASSTHROUGH_UPSTREAM_BYTES_MAX
            or queue.audio_seconds > limits.PASSTHROUGH_UPSTREAM_SECONDS_MAX
        )

    def send_frame(self, text: str) -> None:
        """Queue an encoded frame, in order with everything else."""
        try:
            self._queue.put_in_order(text)
        except ModelUnavailable as error:
            self.lose(str(error))

    # Silence. The server's turn detection hears the end of speech only in sound that follows it. A client whose
    # microphone is switched off in the middle of a sentence sends nothing more, so the turn would never end. While
    # speech is open, silence is appended in its place. The sound that a client sent at once counts until it would
    # have been spoken: silence in the middle of a recording would cut a word in two.

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
                now = trio.current_time()
                if now - self._sound_until >= SILENCE_AFTER_SECONDS:
                    self._append(audio, SILENCE_MS, now)

    async def close(self) -> None:
        """Close the link; the caller bounds it."""
        if self._link is not None:
            await self._link.aclose()

    def _append(self, audio: str, duration_ms: float, now: float) -> None:
        if self._sidecar is not None:
            self._sidecar.hear(audio, duration_ms)
        if self._gate is None:
            self._append_now(audio, duration_ms, now)
            return
        if not self._queue.is_open:
            self._early.append((audio, duration_ms))
            while sum(ms for _, ms in self._early) > limits.UPSTREAM_EARLY_SECONDS_MAX * 1000:
                self._early.popleft()
            return
        heard = self._gate.hear(audio, duration_ms)
        for piece, ms in heard.append:
            self._append_now(piece, ms, now)
        if heard.commit is not None:
            self.send_command(heard.commit)
        self._announce(heard.announce)

    def _announce(self, found: Sequence[events.UpstreamEvent]) -> None:
        """Speech that was detected here, in place of the upstream's own events."""
        for event in found:
            self._pass_on(event)

    def _append_now(self, audio: str, duration_ms: float, now: float) -> None:
        frame = append_audio(audio) if self._translator is None else self._translator.append_audio(audio)
        if self._kept is not None and self._queue.is_open:
            self._kept.add(frame, duration_ms, now)
        try:
            self._queue.put_audio(frame, duration_ms)
        except ModelUnavailable as error:
            self.lose(str(error))


def _speech_gate(config: SessionConfig) -> SpeechGate | None:
    """What detects speech in place of the upstream, if its own detection must be off."""
    if not config.upstream.gate.detects_here:
        return None
    model = config.model
    detector = config.new_detector(
        threshold=model.threshold, prefix_padding_ms=PREFIX_PADDING_MS, silence_duration_ms=model.silence_ms
    )
    return SpeechGate(config.upstream.gate, detector, config.id_prefix)


def _overtakes(command: commands.UpstreamCommand) -> bool:
    """Whether it concerns a response that should be over already."""
    return isinstance(command, commands.CancelResponse | commands.TruncateItem | commands.DeleteItem) or (
        isinstance(command, commands.ForwardClientEvent) and command.overtakes
    )
