"""The only writer to the client's link: writes a frame at once, or queues it while the link or the pacing holds back.

Only `playback.flush`, `speech_started`, `error` and `session.*` overtake; the events of one response stay in order with
its sound. A flush drops the queued response. `put` never waits, and nothing is dropped from the middle of a response.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import trio

from voice_trio import limits
from voice_trio.conversation import commands
from voice_trio.errors import LinkClosed
from voice_trio.session.client.frame import Frame, Lane
from voice_trio.session.endings import Ending, ending_of
from voice_trio.session.observers import FlushSent

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voice_trio.net.link import Link
    from voice_trio.session.ports import SessionPort


class SendQueue:
    """Frames for one client, written from `start` to `finish`; `put` never waits.

    The session ends as too slow if the link takes nothing for `CLIENT_SEND_SECONDS_MAX`. An overflow while the client
    reads is a flood of the upstream, which is then replaced.
    """

    # Writing at once. Nearly always nothing waits and the client reads: then `put` gives the frame to the link itself,
    # without a wake-up of the writer task. It does so only while the writer is parked and nothing is queued, so order,
    # lanes and pacing stay the same. The writer writes what is held back or not taken by the link, as always on ASGI.

    # Pacing. An upstream generates sound faster than it is heard, so a client can hold many seconds of it. A client
    # that never reports its position may not know how to fall silent: it would play those seconds after an
    # interruption. So a paced queue lets it have at most LEAD_SECONDS_MAX of sound unplayed. `_dry_at` is when the
    # client will have played all that was written, by the clock. A held piece of sound holds the rest of its response,
    # because order within a response is kept. It holds nothing else: for the client it is as if the model spoke no
    # faster. The first reported position ends the pacing.

    def __init__(self, link: Link, host: SessionPort, *, is_paced: bool = False) -> None:
        self._link = link
        self._host = host
        self._is_paced = is_paced
        self._dry_at = -math.inf
        self._in_flight: Frame | None = None
        self._behind: Frame | None = None  # the link has taken it, and still has a part of it
        self.unsent_since: float | None = None
        """Since when a frame waits for the client to read; None while none does."""
        self._urgent: list[Frame] = []  # lists: most are empty, and an empty deque has memory for 64 entries
        self._response: list[tuple[int, Frame]] = []
        self._other: list[tuple[int, Frame]] = []
        self._number = 0  # of the last frame that was put: gives the order between the two lanes
        self._audio_ms = 0.0
        self._changed = trio.Event()
        self._is_parked = False
        self._has_stalled = False
        self._is_flooded = False
        self._unended: dict[str, None] = {}  # responses that the client saw begin: their end has not been written
        self._writing = trio.CancelScope()
        self._written: trio.Event | None = None

    def start(self, nursery: trio.Nursery) -> None:
        """Begin to write; the nursery must outlive the session's tasks, because nothing may cut a frame in two."""
        self._written = trio.Event()
        nursery.start_soon(self._write)

    def put(self, frame: Frame, now: float | None = None) -> None:
        """Write a frame or queue it; `now` saves reading the clock again."""
        if self._is_parked and not (self._urgent or self._response or self._other) and self._write_now(frame, now):
            return
        self._number += 1
        if frame.lane is Lane.URGENT:
            self._urgent.append(frame)
        else:
            lane = self._response if frame.lane is Lane.RESPONSE else self._other
            lane.append((self._number, frame))
        self._audio_ms += frame.audio_ms
        self._changed.set()
        waiting = len(self._urgent) + len(self._response) + len(self._other)
        seconds_max, frames_max = limits.CLIENT_AUDIO_QUEUED_SECONDS_MAX, limits.CLIENT_FRAMES_TO_SEND_MAX
        if (fill := max(self._audio_ms / 1000 / seconds_max, waiting / frames_max)) > 1:
            self._overflow(fill)

    def _overflow(self, fill: float) -> None:
        now = trio.current_time()
        if self.unsent_since is not None and now - self.unsent_since > limits.UNSENT_SECONDS_MAX:
            self._host.end(Ending.TOO_SLOW)
        elif fill > limits.CLIENT_OVERFLOW_MAX:
            self._host.end(Ending.UPSTREAM_LOST)
        elif not self._is_flooded:  # once: the end of its responses comes this way too
            self._is_flooded = True
            self._host.execute(commands.ReplaceUpstream("flood"), now)

    def _write_now(self, frame: Frame, now: float | None) -> bool:
        """Give a frame to the link; False if the pacing holds it back or the link cannot take it now."""
        if now is None:
            now = trio.current_time()
        if frame.audio_ms and self._is_paced and self._held_until(frame) > now:
            return False
        try:
            is_taken = self._give(frame, now)
        except LinkClosed as closed:
            self._host.end(ending_of(closed))
            return True
        if self._behind is not None:
            self._changed.set()
        return is_taken

    def _give(self, frame: Frame, now: float) -> bool:
        """Give a frame to the link, which may keep a part of it; False if the link cannot take it now."""
        if not self._link.send_nowait(frame.text):
            return False
        if self._link.is_behind:
            self._in_flight = self._behind = frame
            self.unsent_since = now
        else:
            self._note_written(frame, now)
        return True

    def _held_until(self, frame: Frame) -> float:
        return self._dry_at + frame.audio_ms / 1000 - limits.CLIENT_LEAD_SECONDS_MAX

    @property
    def audio_seconds(self) -> float:
        return self._audio_ms / 1000

    def stop_pacing(self) -> None:
        """The client reports its position, so it may have all sound at once."""
        self._is_paced = False
        self._changed.set()

    def drop_response(self) -> None:
        """The response was interrupted: drop what of it has not left."""
        self._dry_at = -math.inf
        self._in_flight = None
        self._response = [entry for entry in self._response if not entry[1].dies_with_response]
        self._audio_ms = 0.0
        self._is_flooded = False

    def take(self, now: float) -> Frame | float:
        """The next frame to write; if none may leave, the time when one may (infinity: not before one is put)."""
        if self._urgent:
            return self._urgent.pop(0)
        held_until = math.inf
        if self._response:
            first = self._response[0][1]
            held_until = self._held_until(first) if self._is_paced and first.audio_ms else -math.inf
        if self._other and (held_until > now or self._other[0][0] < self._response[0][0]):
            return self._other.pop(0)[1]
        if held_until > now:
            return held_until
        _, frame = self._response.pop(0)
        self._audio_ms -= frame.audio_ms
        return frame

    def put_back(self, frame: Frame) -> None:
        """A frame that was taken and not written is the next again."""
        if frame.lane is Lane.URGENT:
            self._urgent.insert(0, frame)
        else:
            (self._response if frame.lane is Lane.RESPONSE else self._other).insert(0, (0, frame))
        self._audio_ms += frame.audio_ms

    def take_urgent(self) -> list[Frame]:
        """What must still be said although the session is over."""
        frames, self._urgent = self._urgent, []
        return frames

    # The end of a session. What is queued is dropped then, but each response that the client saw begin still gets its
    # end (I14): the one that is queued, unless sound of it would be missing, else one that says it is incomplete.

    def take_ends(self) -> dict[str, str]:
        """The responses that the client saw begin, each with its queued end, or an empty text."""
        ends = {} if self._audio_ms else {frame.ends: frame.text for frame in self._queued() if frame.ends}
        return {response_id: ends.get(response_id, "") for response_id in self._unended}

    def take_rest(self) -> tuple[list[str], list[str]]:
        """What is queued, without sound, and the responses that have then begun and not ended; nothing if none has."""
        rest = [frame for frame in self._queued() if not frame.dies_with_response] if self._unended else []
        for frame in rest:
            self._note_end(frame)
        return [frame.text for frame in rest], list(self._unended)

    def _queued(self) -> list[Frame]:
        """All that waits but urgent frames, in order."""
        return [frame for _, frame in sorted([*self._response, *self._other], key=lambda entry: entry[0])]

    async def finish(self, last_frames: Callable[[], Iterable[str]], code: int, reason: str) -> None:
        """Stop writing, write the last frames and close the link; the caller bounds it."""
        if self._written is not None:
            self._writing.cancel(reason=reason)
            await self._written.wait()  # one writer at a time
        if self._behind is not None:
            self._note_end(self._behind)  # the rest of it leaves before anything else
        try:
            if not self._has_stalled:  # else they would only wait behind what the client does not read
                for text in last_frames():
                    await self._link.send(text)
            await self._link.aclose(code, reason)
        except LinkClosed:
            pass

    async def _write(self) -> None:
        try:
            with self._writing:
                await self._write_frames()
        except Exception:  # a bug; the nursery of this task belongs to no handler of ours
            self._host.crash()
        finally:
            if self._written is not None:
                self._written.set()

    async def _write_frames(self) -> None:
        # The writer lives in the session's outer nursery. A cancelled send may tear the stream: the peer sees half a
        # frame, and nothing can be written after it. If the writer were a task of the session, the session's end would
        # cancel its send. The error and the close code that give the reason could then no longer be sent. So only
        # two things cancel a send: `finish`, which puts the frame back to be among the last ones, and the stall limit,
        # after which the client is given up. Some servers shield their sends (hypercorn does). There only
        # TCP_USER_TIMEOUT ends a stalled send, and `cancel_called` says that the limit was passed all the same.
        while True:
            parked_until: float | None = None
            with trio.move_on_after(limits.CLIENT_SEND_SECONDS_MAX) as stall:
                try:
                    parked_until = await self._write_next()
                except LinkClosed as closed:
                    self._has_stalled = stall.cancel_called
                    self._host.end(Ending.TOO_SLOW if stall.cancel_called else ending_of(closed))
                    return
            if stall.cancel_called:
                self._has_stalled = True
                self._host.end(Ending.TOO_SLOW)
                return
            if parked_until is not None:
                await self._park(parked_until)

    async def _write_next(self) -> float | None:
        """Write one frame, or the rest of one; returns until when no frame may leave, if none may now."""
        if self._behind is not None:
            await self._link.drain()
            frame, self._behind = self._behind, None
            self._note_waited(frame)
            return None
        now = trio.current_time()
        if self._link.is_behind:  # with a control frame of its own
            # Not in `send`: that could be cancelled when it has given the link the frame, which would then leave twice.
            self.unsent_since = now
            await self._link.drain()
            self.unsent_since = None
            return None
        taken = self.take(now)
        if isinstance(taken, float):
            return taken
        if not self._give(taken, now):
            self._in_flight = taken
            self.unsent_since = now
            try:
                await self._link.send(taken.text)
            except trio.Cancelled:
                self.put_back(taken)
                raise
            self._note_waited(taken)
        return None

    async def _park(self, until: float) -> None:
        """Wait for a frame that may leave; meanwhile `put` writes."""
        self._changed = trio.Event()
        self._is_parked = True
        try:
            with trio.move_on_at(until):
                await self._changed.wait()
        finally:
            self._is_parked = False

    def _note_waited(self, frame: Frame) -> None:
        """A frame has been written at last; a flush may have come meanwhile."""
        self.unsent_since = None
        was_flushed, self._in_flight = self._in_flight is None, None
        self._note_written(frame, trio.current_time(), was_flushed=was_flushed)

    def _note_written(self, frame: Frame, now: float, *, was_flushed: bool = False) -> None:
        if frame.audio_ms:
            if not was_flushed:  # else the client drops it
                self._dry_at = max(self._dry_at, now) + frame.audio_ms / 1000
            self._host.summary.audio_out_s += frame.audio_ms / 1000
            self._host.audio_sent(frame.item_id, frame.audio_ms, now)
        elif frame.flush_at is not None:
            self._host.observe(FlushSent(frame.flush_at))
        else:
            self._note_end(frame)

    def _note_end(self, frame: Frame) -> None:
        if frame.begins:
            self._unended[frame.begins] = None
        elif frame.ends:
            self._unended.pop(frame.ends, None)
