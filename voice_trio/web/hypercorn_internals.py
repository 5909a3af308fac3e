"""The three things we need of hypercorn that ASGI has no word for. Under another server they do nothing.

`send`, as hypercorn hands it to an application, is a method of its WebSocket stream; that stream holds the handshake it
will answer with and the context that knows when the server is stopping. This is read here and nowhere else, and
`tests/wire` holds each release of hypercorn to it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import trio
from hypercorn.protocol.ws_stream import WebsocketBuffer, WSStream

if TYPE_CHECKING:
    from wsproto.events import Message

    from voice_trio.web.asgi_link import Send


def decline_compression(send: Send) -> None:
    """Before accepting: forget the client's offer of permessage-deflate.

    Hypercorn takes it whenever a browser offers it, and then packs base64 audio at about 100 µs of CPU for 40 ms of
    sound, for a saving of a quarter.
    """
    stream = getattr(send, "__self__", None)
    if isinstance(stream, WSStream):
        stream.handshake.extensions = None


def bound_messages(send: Send, length_max: int) -> None:
    """Keep at most one character or byte more than `length_max` of any message, and hand that on.

    The reader of the message can then say what is wrong. Beyond its own limit hypercorn sends a bare 1009, loses the
    client's answer to it, and never tells the application.
    """
    stream = getattr(send, "__self__", None)
    if isinstance(stream, WSStream):
        stream.buffer = _BoundedBuffer(length_max)


class _BoundedBuffer(WebsocketBuffer):
    def __init__(self, length_max: int) -> None:
        super().__init__(length_max + 1)

    def extend(self, event: Message[Any]) -> None:
        # One above the limit, and never above what the base class raises for.
        room = max(0, self.max_length - self.length)
        super().extend(replace(event, data=event.data[:room]))


async def wait_until_stopping(send: Send) -> None:
    """Return when the server has begun to stop; never under a server that cannot be asked."""
    stream = getattr(send, "__self__", None)
    if isinstance(stream, WSStream):
        await stream.context.terminated.wait()
    else:
        await trio.sleep_forever()
