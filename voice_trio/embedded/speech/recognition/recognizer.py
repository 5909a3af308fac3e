"""A pool of recognition workers, one for each user who is speaking now. Trio; it knows no decoder.

A silent user holds no worker. A cancelled recognition gives its worker back once the worker has answered its last
request. A worker that does not answer in time, or dies, is ended, and the next recognition starts another.
"""

from __future__ import annotations

import subprocess
import sys
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Final

import trio

from voice_trio.embedded.speech.recognition.messages import (
    LENGTH_BYTES,
    AudioBlock,
    BeginUtterance,
    DecodedUtterance,
    FinishUtterance,
    StableWords,
    WorkerReply,
    WorkerRequest,
    decode_length,
    decode_reply,
    encode,
)
from voice_trio.errors import ModelUnavailable

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from voice_trio.embedded.speech.recognition.model import ListeningModel

_BLOCK_BYTES: Final = 2 * 24_000 * 40 // 1000
"""40 ms: what a worker decodes between two chances to cancel."""
_SETTLE_SECONDS_MAX: Final = 0.5
"""How long a cancelled recognition may take to get its last answer; a block costs a worker about 3 ms, a finish 15."""
_END_SECONDS_MAX: Final = 5.0
"""A killed process is gone within some ms; this bounds what a broken kernel could cost."""


@asynccontextmanager
async def open_recognizer(model: ListeningModel, size: int = 2) -> AsyncIterator[RecognizerPool]:
    """A pool of `size` workers, loaded and ready; about 0.3 s to start, and 90 MB of memory each.

    Raises `ModelUnavailable` when a worker cannot start. All workers have ended when the block is left.
    """
    pool = RecognizerPool(model, size)
    try:
        await pool.prepare()
        yield pool
    finally:
        with trio.move_on_after(_END_SECONDS_MAX, shield=True):
            await pool.close()


class RecognizerPool:
    """Lends a worker for each utterance; made by `open_recognizer`."""

    def __init__(self, model: ListeningModel, size: int) -> None:
        self.model = model
        self._idle: list[_RecognitionWorker] = []
        self._free = self.size = size
        self._is_open = True

    @property
    def listening(self) -> int:
        """How many users are being listened to."""
        return self.size - self._free

    @asynccontextmanager
    async def listen(self, microphone: str | None = None) -> AsyncIterator[PooledRecognition]:
        """One utterance of one user; `microphone` is that of an earlier `Heard` of the same user.

        Raises `ModelUnavailable` at once when all workers are in use, and when a worker fails. Leaving the block
        without `finish` forgets the utterance.
        """
        if not self._free:
            raise ModelUnavailable(f"all {self.size} recognizers are in use")
        self._free -= 1
        worker: _RecognitionWorker | None = None
        try:
            worker = await self._take_idle() or await _start_worker(self.model)
            await worker.receive_if_due()
            await worker.ask(BeginUtterance(microphone))
            yield PooledRecognition(worker)
        finally:
            try:
                if worker is not None:
                    with trio.move_on_after(_END_SECONDS_MAX, shield=True):
                        await self._give_back(worker)
            finally:
                self._free += 1

    async def prepare(self) -> None:
        """Start all workers ahead of their first use; they load side by side."""
        while len(self._idle) < self._free:
            self._idle.append(await _start_worker(self.model))
        for worker in self._idle:
            await worker.receive_if_due()

    async def use(self, model: ListeningModel) -> None:
        """Recognise further utterances with `model`; those under way end with the one that they began with.

        New workers load it before the old ones end, so that a user never waits for one. Raises `ModelUnavailable`; the
        old model then stays in use.
        """
        fresh: list[_RecognitionWorker] = []
        try:
            while len(fresh) < self.size:
                fresh.append(await _start_worker(model))
            for worker in fresh:
                await worker.receive_if_due()
            if self._is_open:
                self.model, self._idle, fresh = model, fresh, self._idle
        finally:
            with trio.move_on_after(_END_SECONDS_MAX, shield=True):
                for worker in fresh:
                    await worker.end()

    async def close(self) -> None:
        """End the idle workers; the others end with their recognitions. Cancelled, it still ends them."""
        self._is_open = False
        while self._idle:
            await self._idle.pop().end()

    async def _take_idle(self) -> _RecognitionWorker | None:
        while self._idle:
            worker = self._idle.pop()
            if worker.is_alive:
                return worker
            await worker.end()
        return None

    async def _give_back(self, worker: _RecognitionWorker) -> None:
        if await worker.settles() and self._is_open and worker.model is self.model:
            self._idle.append(worker)
        else:
            await worker.end()


class PooledRecognition:
    """The recognition of one utterance."""

    def __init__(self, worker: _RecognitionWorker) -> None:
        self._worker = worker
        self._separator = ""
        self._odd_byte = b""

    async def feed(self, pcm: bytes) -> str:
        """The words that became stable with this audio (PCM16 mono 24 kHz, any length); often none.

        Joined, what the calls return is a text that only grows: each word after the first has a space before it.
        It lags some 0.6 s behind speech, and the final text may differ from it. Raises `ModelUnavailable`. A cancelled
        call has taken a part of its audio: the recognition is of no more use.
        """
        pcm = self._odd_byte + pcm
        whole = len(pcm) & ~1
        self._odd_byte = pcm[whole:]
        text = ""
        for begin in range(0, whole, _BLOCK_BYTES):
            reply = await self._worker.ask(AudioBlock(pcm[begin : min(begin + _BLOCK_BYTES, whole)]))
            assert isinstance(reply, StableWords)
            for word in reply.words:
                text += self._separator + word
                self._separator = " "
        return text

    async def finish(self) -> DecodedUtterance:
        """The whole utterance; once, at the end. Raises `ModelUnavailable`."""
        reply = await self._worker.ask(FinishUtterance())
        assert isinstance(reply, DecodedUtterance)
        return reply


class _RecognitionWorker:
    """A worker process, asked one thing at a time."""

    def __init__(self, process: trio.Process, model: ListeningModel) -> None:
        self.model = model
        assert process.stdin is not None
        assert process.stdout is not None
        self._process = process
        self._requests, self._replies = process.stdin, process.stdout
        self._received = bytearray()
        self._is_answer_due = False

    @property
    def is_alive(self) -> bool:
        return self._process.poll() is None

    async def ask(self, request: WorkerRequest) -> WorkerReply:
        await self.send(encode(request))
        return await self.receive()

    async def send(self, message: bytes) -> None:
        self._is_answer_due = True
        try:
            # Half a message would be fatal. A block fits the pipe of a worker that has answered all before: no waiting.
            with trio.fail_after(_SETTLE_SECONDS_MAX, shield=True):
                await self._requests.send_all(message)
        except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
            raise ModelUnavailable("the recognition worker has died") from error
        except trio.TooSlowError as error:
            raise ModelUnavailable("the recognition worker takes no audio") from error

    async def receive(self) -> WorkerReply:
        reply: WorkerReply = decode_reply(await self._receive_message())
        self._is_answer_due = False
        return reply

    async def _receive_message(self) -> bytes:
        await self._fill(LENGTH_BYTES)
        length = LENGTH_BYTES + decode_length(bytes(self._received[:LENGTH_BYTES]))
        await self._fill(length)
        message = bytes(self._received[LENGTH_BYTES:length])
        del self._received[:length]
        return message

    async def _fill(self, length: int) -> None:
        while len(self._received) < length:
            try:
                data = await self._replies.receive_some()
            except (trio.BrokenResourceError, trio.ClosedResourceError) as error:
                raise ModelUnavailable("the recognition worker was ended") from error
            if not data:
                raise ModelUnavailable("the recognition worker has died")
            self._received += data

    async def receive_if_due(self) -> None:
        """Wait until it is ready for a request."""
        if self._is_answer_due:
            await self.receive()

    async def settles(self) -> bool:
        """Whether it is alive and has answered everything; waits a moment for an answer that is due."""
        if self._is_answer_due and self.is_alive:
            with trio.move_on_after(_SETTLE_SECONDS_MAX):
                try:
                    await self.receive()
                except ModelUnavailable:
                    return False
        return not self._is_answer_due and self.is_alive

    async def end(self) -> None:
        """Kill it and leave no zombie; to be called in a shield."""
        if self.is_alive:
            self._process.kill()
        await trio.aclose_forcefully(self._requests)
        await trio.aclose_forcefully(self._replies)
        await self._process.wait()


async def _start_worker(model: ListeningModel) -> _RecognitionWorker:
    """A worker that is loading `model`; its `Ready` is due."""
    try:
        process = await trio.lowlevel.open_process(
            [sys.executable, "-m", "voice_trio.embedded.speech.recognition.worker"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for this process; the input of the worker then ends
        )
    except OSError as error:
        raise ModelUnavailable(f"no recognition worker could be started: {error}") from error
    worker = _RecognitionWorker(process, model)
    try:
        await worker.send(encode(model))
    except BaseException:
        with trio.move_on_after(_END_SECONDS_MAX, shield=True):
            await worker.end()
        raise
    return worker
