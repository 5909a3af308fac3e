"""The two things we need of hypercorn that ASGI has no word for. Under another server both do nothing.

`send`, as hypercorn hands it to an application, is a method of its WebSocket stream; that stream holds the handshake it
will answer with and the context that knows when the server is stopping. This is read here and nowhere else, and
`tests/wire` holds each release of hypercorn to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio
from hypercorn.protocol.ws_stream import WSStream

if TYPE_CHECKING:
    from voice_trio.web.asgi import Send


def decline_compression(send: Send) -> None:
    """Before accepting: forget the client's offer of permessage-deflate.

    Hypercorn takes it whenever a browser offers it, and then packs base64 audio at about 100 µs of CPU for 40 ms of
    sound, for a saving of a quarter.
    """
    stream = getattr(send, "__self__", None)
    if isinstance(stream, WSStream):
        stream.handshake.extensions = None


async def wait_until_stopping(send: Send) -> None:
    """Return when the server has begun to stop; never under a server that cannot be asked."""
    stream = getattr(send, "__self__", None)
    if isinstance(stream, WSStream):
        await stream.context.terminated.wait()
    else:
        await trio.sleep_forever()
