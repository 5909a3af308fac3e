"""A hearing worker: one decoder in a process of its own, spoken to through its standard input and output.

It is a process because pocketsphinx keeps the interpreter's lock while it decodes: in the gateway's own process it
would hold up every session. It ends when its input does, so it never outlives whoever started it.
"""

from __future__ import annotations

import os
import signal
import sys
from typing import BinaryIO, assert_never

import msgspec

from voice_trio.embedded.speech.decoding import Decoding
from voice_trio.embedded.speech.messages import (
    LENGTH_BYTES,
    Audio,
    Begin,
    Finish,
    Ready,
    Reply,
    Request,
    Words,
    decode_length,
    decode_request,
    encode,
)
from voice_trio.embedded.speech.model import ListeningModel


def main() -> None:
    """Read a `ListeningModel`, then answer requests until the input ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the gateway's to handle; our input ends when it is done
    requests, replies = sys.stdin.buffer, os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # whatever a C library prints must not end up among the replies
    first = _receive(requests)
    if first is None:
        return
    decoding = Decoding(msgspec.msgpack.decode(first, type=ListeningModel))
    replies.write(encode(Ready()))
    while (message := _receive(requests)) is not None:
        replies.write(encode(_answer(decoding, decode_request(message))))


def _answer(decoding: Decoding, request: Request) -> Reply:
    match request:
        case Begin(microphone):
            decoding.begin(microphone)
            return Ready()
        case Audio(pcm):
            return Words(decoding.feed(pcm))
        case Finish():
            return decoding.finish()
        case _:
            assert_never(request)


def _receive(stream: BinaryIO) -> bytes | None:
    header = stream.read(LENGTH_BYTES)
    if len(header) < LENGTH_BYTES:
        return None
    length = decode_length(header)
    body = stream.read(length)
    return body if len(body) == length else None


if __name__ == "__main__":
    main()
