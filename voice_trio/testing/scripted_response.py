"""One response of the scripted model: a `ServerResponse` that is filled at the times that its `Answer` says."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Protocol

import trio

from voice_trio.protocols.audio import silence
from voice_trio.protocols.realtime.input_events import ErrorDetails
from voice_trio.protocols.realtime.server_events import StatusDetails
from voice_trio.testing.sounds import tone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from voice_trio.protocols.realtime.server_events import ResponseStatus
    from voice_trio.protocols.realtime_server.response import ServerResponse
    from voice_trio.testing.script import Answer

_WORD = re.compile(r"\s*\S+")


class ResponseHost(Protocol):
    """What a scripted response needs of its session."""

    async def wait_until_done_may_leave(self) -> None: ...

    def end_response(self, response: ServerResponse, status: ResponseStatus, details: StatusDetails | None) -> None: ...


class ScriptedResponse:
    """A response in progress. Without an `answer` it waits until `give` brings one."""

    def __init__(self, host: ResponseHost, response: ServerResponse, answer: Answer | None) -> None:
        self.id = response.id
        self._host = host
        self._response = response
        self._answer = answer
        self._given = trio.Event()
        self._scope = trio.CancelScope()
        self._cut_reason = ""

    def give(self, answer: Answer) -> None:
        """The answer, for a response that waits for one."""
        self._answer = answer
        self._given.set()

    @property
    def waits_to_be_told(self) -> bool:
        return self._answer is None

    def cut(self, reason: str) -> None:
        """Stop now and end as `cancelled`, unless it has said everything already."""
        if not self._response.is_over:
            self._cut_reason = reason
            self._scope.cancel()

    async def run(self) -> None:
        with self._scope:
            if self._answer is None:
                await self._given.wait()
            if self._answer is not None:
                await self._perform(self._answer)
        self._response.close(completed=False)
        await self._host.wait_until_done_may_leave()
        self._host.end_response(self._response, *self._ending())

    async def _perform(self, answer: Answer) -> None:
        await trio.sleep(answer.created_after)
        self._response.begin()
        await trio.sleep(answer.first_audio_after)
        if answer.status == "failed":
            return
        if answer.text or answer.audio_ms:
            for text, audio_ms in _portions(answer):
                await self._speak(answer, text, audio_ms)
        for call in answer.calls:
            self._response.call_function(call.name, call.arguments)

    async def _speak(self, answer: Answer, text: str, audio_ms: int) -> None:
        """One message: its words and audio in chunks, `pace` times as fast as they play."""
        self._response.open_message()
        start = trio.current_time()
        audio_ms = 0 if self._response.config.written else audio_ms
        chunks = max(1, math.ceil(audio_ms / answer.chunk_ms))
        pieces = _WORD.findall(text)
        for index in range(chunks):
            await trio.sleep_until(start + index * answer.chunk_ms / 1000 / answer.pace)
            for piece in pieces[index * len(pieces) // chunks : (index + 1) * len(pieces) // chunks]:
                self._response.write(piece)
            start_ms = index * answer.chunk_ms
            duration_ms = min(answer.chunk_ms, audio_ms - start_ms)
            if duration_ms > 0:
                audio = tone(start_ms, duration_ms) if answer.tone else silence(duration_ms)
                self._response.add_audio(audio, duration_ms)
        self._response.close_message(completed=answer.status != "incomplete")

    def _ending(self) -> tuple[ResponseStatus, StatusDetails | None]:
        answer = self._answer
        if self._cut_reason:
            return "cancelled", StatusDetails(type="cancelled", reason=self._cut_reason)
        if answer is not None and answer.status == "failed":
            error = ErrorDetails(type="server_error", code=answer.error_code, message="The response failed.")
            return "failed", StatusDetails(type="failed", error=error)
        if answer is not None and answer.status == "incomplete":
            return "incomplete", StatusDetails(type="incomplete", reason=answer.reason)
        return "completed", None


def _portions(answer: Answer) -> Iterator[tuple[str, int]]:
    """The answer's text and audio, divided among its messages."""
    pieces = _WORD.findall(answer.text)
    for index in range(answer.items):
        first, last = index * len(pieces) // answer.items, (index + 1) * len(pieces) // answer.items
        yield "".join(pieces[first:last]).strip(), answer.audio_ms // answer.items
