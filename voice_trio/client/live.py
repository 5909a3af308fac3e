"""A conversation by microphone and loudspeaker.

    converse
    ├─ listen_to_gateway      events in → playback queue, screen
    ├─ listen_to_microphone   audio out
    ├─ handle_actions         the user's actions: ask, interrupt, leave
    ├─ write                  the only writer
    └─ report_playback        `playback.position`, four times a second while something plays

It knows neither terminals nor sound libraries: those are a `Screen` and a `SoundCard`.
"""

from __future__ import annotations

import math
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never

import pybase64
import trio

from voice_trio import limits
from voice_trio.client.audio_queues import MicrophoneQueue, PlaybackQueue
from voice_trio.client.sound_card import SoundCardUnavailable
from voice_trio.client.sounds import end_of_sound_ms
from voice_trio.client.turns import Turns
from voice_trio.client.user_action import Ask, InterruptResponse, Leave
from voice_trio.errors import LinkClosed

if TYPE_CHECKING:
    from collections.abc import AsyncIterable, Awaitable, Callable

    from voice_trio.client.audio_queues import Position
    from voice_trio.client.connection import VoiceConnection
    from voice_trio.client.sound_card import SoundCard
    from voice_trio.client.user_action import Screen, UserAction

POSITION_SECONDS = 0.25


Saying: TypeAlias = "Callable[[], Awaitable[None]]"


async def converse(
    voice: VoiceConnection,
    card: SoundCard,
    screen: Screen,
    actions: AsyncIterable[UserAction],
    *,
    muted: bool = False,
    speaker: PlaybackQueue | None = None,
) -> str:
    """Run a conversation by microphone and loudspeaker until the user leaves or the gateway closes the connection.

    `card` records and plays, and `screen` shows the turns. `actions` yields the user's actions: `Ask`,
    `InterruptResponse` and `Leave`; if it ends, the conversation goes on. With `muted` the microphone is not opened.
    `speaker` replaces the playback queue, for tests on virtual time.

    Returns how the gateway closed the connection; empty if the user left. Raises `SoundCardUnavailable` if `card`
    cannot be opened or is lost during the conversation.

    Sends `session.end` at the end, also after cancellation, and waits at most 1 s for it. The session cannot be
    resumed afterwards.
    """
    conversation = _Live(voice, screen, speaker or PlaybackQueue())
    microphone = MicrophoneQueue()
    with card.open(None if muted else microphone.hear, conversation.speaker.play, conversation.sound_card_lost):
        async with trio.open_nursery() as writing:
            writing.start_soon(conversation.write)
            try:
                async with trio.open_nursery() as nursery:
                    conversation.scope = nursery.cancel_scope
                    nursery.start_soon(conversation.listen_to_gateway)
                    nursery.start_soon(conversation.listen_to_microphone, microphone)
                    nursery.start_soon(conversation.report_playback)
                    nursery.start_soon(conversation.handle_actions, actions)
            finally:
                conversation.end_turn()
                with trio.move_on_after(limits.PEER_CLOSE_SECONDS_MAX, shield=True):
                    await conversation.end_session()
                conversation.writing.cancel(reason="the conversation is over")
    if conversation.trouble is not None:
        raise conversation.trouble
    return str(voice.closed or "")


class _Live:
    def __init__(self, voice: VoiceConnection, screen: Screen, speaker: PlaybackQueue) -> None:
        self.speaker = speaker
        self.scope = trio.CancelScope()
        self.writing = trio.CancelScope()
        self.trouble: SoundCardUnavailable | None = None
        self._voice = voice
        self._screen = screen
        self._turns = Turns()
        self._trio = trio.lowlevel.current_trio_token()
        self._to_write, self._written = trio.open_memory_channel[Saying](0)
        self._loud_at: float | None = None
        self._awaited_item = ""
        self._reported: Position | None = None
        self._response_id = ""
        self._silenced: set[str] = set()  # responses that the user stopped; their later audio is not played

    # Events of the gateway

    async def listen_to_gateway(self) -> None:
        async for event in self._voice:
            await self._take(event)
        self.scope.cancel(reason="the gateway closed")

    async def _take(self, event: dict[str, Any]) -> None:
        kind = str(event.get("type", ""))
        if kind == "input_audio_buffer.speech_started":
            self.end_turn()
        self._turns.take(event, trio.current_time())
        match kind:
            case "response.created":
                self._response_id = str(event.get("response_id", ""))
            case "response.audio.delta":
                self._play(event)
            case "playback.flush":
                await self._flush(str(event.get("item_id", "")))
            case "input_audio_buffer.speech_stopped" if self._loud_at is not None:
                self._turns.report.timestamps["sound_ended"] = self._loud_at
            case "error" | "budget.warning":
                self._screen.told(event)
            case _ if kind.startswith("session."):
                self._screen.told(event)
        self._screen.turn_changed(self._turns.report)

    def _play(self, event: dict[str, Any]) -> None:
        if event.get("response_id") in self._silenced:
            return
        item_id = str(event.get("item_id", ""))
        if "heard" not in self._turns.report.timestamps and not self._awaited_item:
            self._awaited_item = item_id
        self.speaker.queue(item_id, pybase64.b64decode(event.get("delta", "")))

    async def _flush(self, item_id: str) -> None:
        """Stop playback, then report the final position."""
        position = self._reported = self.speaker.flush()
        played_ms = position.played_ms if position is not None and position.item_id == item_id else 0.0
        await self._say(partial(self._voice.report_position, item_id, played_ms, flushed=True))

    def end_turn(self) -> None:
        """The current turn ends; an empty turn is not shown."""
        report = self._turns.report
        if report.transcript or report.answer or report.timestamps:
            self._screen.turn_over(report)
        self._turns.begin()
        self._awaited_item = ""

    # The user's speech and actions

    async def listen_to_microphone(self, microphone: MicrophoneQueue) -> None:
        async for block in microphone:
            if end_of_sound_ms(block):
                self._loud_at = trio.current_time()
            await self._say(partial(self._voice.send_audio, block))

    async def handle_actions(self, actions: AsyncIterable[UserAction]) -> None:
        async for action in actions:
            match action:
                case Ask(text):
                    await self._ask(text)
                case InterruptResponse():
                    await self._interrupt()
                case Leave():
                    self.scope.cancel(reason="the user left")
                case _:
                    assert_never(action)

    async def _ask(self, text: str) -> None:
        self.end_turn()
        self._turns.begin(text)
        self._turns.report.timestamps["committed"] = trio.current_time()  # when it is sent
        self._screen.turn_changed(self._turns.report)
        await self._say(partial(self._voice.send_text, text))

    async def _interrupt(self) -> None:
        """Playback stops without waiting for the gateway; the heard position goes with the interrupt."""
        position = self.speaker.flush() if self.speaker.is_playing else None
        self._silenced = {self._response_id}
        heard = () if position is None else (position.item_id, position.played_ms)
        await self._say(partial(self._voice.interrupt, *heard))

    # Playback positions

    async def report_playback(self) -> None:
        while True:
            await trio.sleep(POSITION_SECONDS)
            position = self.speaker.position()
            if position is not None and self._has_advanced(position):
                self._reported = position
                self._record_heard(position)
                await self._say(partial(self._voice.report_position, position.item_id, position.played_ms))

    def _has_advanced(self, position: Position) -> bool:
        """False after a flush: the final position has been reported already."""
        last = self._reported
        return last is None or position.item_id != last.item_id or position.played_ms > last.played_ms

    def _record_heard(self, position: Position) -> None:
        if position.item_id == self._awaited_item:
            self._awaited_item = ""
            self._turns.report.timestamps["heard"] = trio.current_time() - position.played_ms / 1000
            self._screen.turn_changed(self._turns.report)

    # The only writer

    async def write(self) -> None:
        """Send whole frames: after a cancelled send the connection could not carry `session.end`."""
        with (
            trio.move_on_after(math.inf, shield=True) as self.writing,
            suppress(LinkClosed),
        ):  # the listening task gets the same error
            async for say in self._written:
                await say()
        self._written.close()

    async def end_session(self) -> None:
        """Send `session.end` and wait until it is written; the caller bounds the wait."""
        with suppress(trio.BrokenResourceError):
            await self._to_write.send(self._voice.end)
            await self._to_write.send(_nothing)  # taken only after `session.end` has been written

    async def _say(self, saying: Saying) -> None:
        with suppress(trio.BrokenResourceError):  # the connection has ended; the listening task handles it
            await self._to_write.send(saying)

    def sound_card_lost(self, why: str) -> None:
        """The device was lost; called from the card's thread."""
        with suppress(trio.RunFinishedError):
            self._trio.run_sync_soon(self._give_up, why)

    def _give_up(self, why: str) -> None:
        self.trouble = SoundCardUnavailable(why)
        self.scope.cancel(reason=why)


async def _nothing() -> None:
    pass
