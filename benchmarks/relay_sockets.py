"""Connections of the relay benchmark's two ends: the stub upstream's and the callers'.

Of a frame of sound only the length and twelve digits are looked at: they stand at the beginning of its base64 and are
the time of sending in µs. The upstream copies them into its echo, so the caller knows how long the round trip took,
whatever was dropped in between. Callers mask with a key of zeros, which is valid and costs the server what any key
costs. Nothing here may import more than the standard library.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import json
import os
import random
import time
from dataclasses import dataclass, field
from typing import Any

from benchmarks.relay_websocket import Socket, frame, unmasked

AUDIO_CHARS = 2560  # 40 ms of PCM16 at 24 kHz in base64
STAMP_CHARS = 12
AUDIO_TAIL = base64.b64encode(random.Random(7).randbytes(1920)).decode()[STAMP_CHARS:]
APPEND = b'{"type":"input_audio_buffer.append","audio":"'
WEBSOCKET_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 §1.3


@dataclass(slots=True)
class Seen:
    """What the callers saw while `counts`; times in seconds."""

    counts: bool = False
    echoes: int = 0
    """All of them, whether they count or not."""
    trips: list[float] = field(default_factory=list)
    flushes: list[float] = field(default_factory=list)
    lost: list[str] = field(default_factory=list)


def now_us() -> int:
    return time.perf_counter_ns() // 1000


class Upstream(Socket):
    """One connection to the stub: a Realtime server whose response consists of the client's own sound."""

    def __init__(self, connections: list[Upstream]) -> None:
        super().__init__()
        self._connections = connections
        self._number = len(connections)
        self._append_length = self._stamp_at = 0
        self._count = 0
        self._before_stamp = self._after_stamp = b""
        self.response_id = self.item_id = ""
        self.interrupted_us = 0
        connections.append(self)

    def on_head(self, head: bytes) -> None:
        key = next(line for line in head.split(b"\r\n") if line.lower().startswith(b"sec-websocket-key:"))
        digest = hashlib.sha1(key.partition(b":")[2].strip() + WEBSOCKET_GUID).digest()
        upgrade = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        self.transport.write(upgrade + b"Sec-WebSocket-Accept: " + base64.b64encode(digest) + b"\r\n\r\n")
        self.send({"type": "session.created", "event_id": "event_0", "session": self._session({})})

    def on_text(self, data: bytes, start: int, length: int) -> None:
        if length == self._append_length:
            at = start + self._stamp_at
            if self._before_stamp:
                stamp = unmasked(data[at : at + STAMP_CHARS], data[start - 4 : start], self._stamp_at)
                self.write(self._before_stamp + stamp + self._after_stamp)
            return
        payload = unmasked(data[start : start + length], data[start - 4 : start])
        event = json.loads(payload)
        if event["type"] == "input_audio_buffer.append":
            self._append_length, self._stamp_at = length, payload.index(event["audio"].encode())
        elif event["type"] == "session.update":
            self.send({"type": "session.updated", "event_id": "event_1", "session": self._session(event["session"])})
        elif event["type"] == "response.create":
            self._respond((event.get("response") or {}).get("metadata"))

    def _session(self, update: dict[str, Any]) -> dict[str, Any]:
        return {
            "type": "realtime",
            "object": "realtime.session",
            "id": f"sess_{self._number}",
            "model": "stub",
            **update,
        }

    def _respond(self, metadata: dict[str, str] | None) -> None:
        self._count += 1
        self.response_id, self.item_id = (f"{kind}_{self._number}_{self._count}" for kind in ("resp", "item"))
        response = {
            "id": self.response_id,
            "object": "realtime.response",
            "status": "in_progress",
            "metadata": metadata,
        }
        self.send({"type": "response.created", "event_id": "event_2", "response": response})
        item = {"id": self.item_id, "type": "message", "role": "assistant", "content": []}
        added = {"type": "response.output_item.added", "event_id": "event_3", "response_id": self.response_id}
        self.send({**added, "output_index": 0, "item": item})
        delta = {
            "type": "response.output_audio.delta",
            "event_id": "event_4",
            "response_id": self.response_id,
            "item_id": self.item_id,
            "output_index": 0,
            "content_index": 0,
            "delta": "0" * STAMP_CHARS + AUDIO_TAIL,
        }
        whole = frame(json.dumps(delta, separators=(",", ":")).encode())
        after = AUDIO_TAIL.encode() + b'"}'
        self._before_stamp, self._after_stamp = whole[: -len(after) - STAMP_CHARS], after

    def say_word(self) -> None:
        """A sign of life: a gateway gives up a response that is silent for 30 s."""
        if self.is_responding:
            owner = {"response_id": self.response_id, "item_id": self.item_id}
            self.send(
                {"type": "response.output_audio_transcript.delta", "event_id": "event_4", **owner, "delta": "so "}
            )

    # A barge-in, as a Realtime server reports it: speech begins and the response ends at once; the speech ends and is
    # committed and transcribed, after which the gateway asks for the next response.

    def interrupt(self) -> None:
        self.interrupted_us = now_us()
        item = {"item_id": f"user_{self._number}_{self._count}"}
        self.send({"type": "input_audio_buffer.speech_started", "event_id": "event_5", **item, "audio_start_ms": 0})

    def finish_barge_in(self) -> None:
        self._before_stamp = b""
        response = {"id": self.response_id, "object": "realtime.response", "status": "cancelled", "output": []}
        self.send({"type": "response.done", "event_id": "event_6", "response": response})
        item = {"item_id": f"user_{self._number}_{self._count}"}
        self.send({"type": "input_audio_buffer.speech_stopped", "event_id": "event_7", **item, "audio_end_ms": 100})
        self.send({"type": "input_audio_buffer.committed", "event_id": "event_8", **item, "previous_item_id": None})
        done = "conversation.item.input_audio_transcription.completed"
        words = {"content_index": 0, "transcript": "How warm must the brooder be?"}
        self.send({"type": done, "event_id": "event_9", **item, **words})

    @property
    def is_responding(self) -> bool:
        return bool(self._before_stamp)


class Caller(Socket):
    """One client of the gateway; `kind` is "voice", "openai" or "raw"."""

    is_client = True

    def __init__(self, options: dict[str, Any], number: int, seen: Seen, connections: list[Upstream]) -> None:
        super().__init__()
        self._kind, self._seen = options["kind"], seen
        self._host, self._path = options["host"], options["path"]
        self._token = options["tokens"][number] if options["tokens"] else ""
        self._connections = connections
        self._delta_length = self._stamp_at = 0
        self.upstream: Upstream | None = None
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._head = frame(APPEND + bytes(AUDIO_CHARS) + b'"}', is_masked=True)[: -AUDIO_CHARS - 2]
        self._tail = AUDIO_TAIL.encode() + b'"}'

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        lines = [
            f"GET {self._path} HTTP/1.1",
            f"Host: {self._host}",
            "Upgrade: websocket",
            "Connection: Upgrade",
            f"Sec-WebSocket-Key: {base64.b64encode(os.urandom(16)).decode()}",
            "Sec-WebSocket-Version: 13",
            *([f"Authorization: Bearer {self._token}"] if self._token else []),
        ]
        self.transport.write("\r\n".join([*lines, "", ""]).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        reason = self.close_reason or f"without a close frame, {exc}"
        if self.ready.done() and self.ready.exception() is None:
            self._seen.lost.append(reason)
        else:
            self._refused(f"closed before it was ready: {reason}")

    def _refused(self, reason: str) -> None:
        if not self.ready.done():
            self.ready.set_exception(ConnectionRefusedError(reason))
        self.transport.close()

    def speak(self) -> None:
        self.write(b"%b%012d%b" % (self._head, now_us(), self._tail))

    def on_head(self, head: bytes) -> None:
        if not head.startswith(b"HTTP/1.1 101 "):
            self._refused(head.partition(b"\r\n")[0].decode())

    def on_text(self, data: bytes, start: int, length: int) -> None:
        if length == self._delta_length:
            self._seen.echoes += 1
            if self._seen.counts:
                at = start + self._stamp_at
                self._seen.trips.append((now_us() - int(data[at : at + STAMP_CHARS])) / 1e6)
            return
        payload = data[start : start + length]
        event = json.loads(payload)
        kind = event["type"]
        if kind in ("response.output_audio.delta", "response.audio.delta"):
            self._on_first_delta(event, payload, length)
        elif kind == ("playback.flush" if self._kind == "voice" else "input_audio_buffer.speech_started"):
            self._on_flush(event)
        elif kind == "connection.ready":
            self.send({"type": "text.input", "text": "How warm must the brooder be in the first week?"})
        elif kind == "session.created" and self._kind != "voice":
            self.send({"type": "response.create"})
        elif kind == "response.created" and not self.ready.done():
            response_id = event["response"]["id"]
            self.upstream = next(each for each in self._connections if each.response_id == response_id)
            self.ready.set_result(None)
        elif kind == "error" and not self.ready.done():
            self._refused(payload.decode())
        elif kind == "error":
            raise ConnectionError(f"the gateway reported {payload.decode()}")

    def _on_first_delta(self, event: dict[str, Any], payload: bytes, length: int) -> None:
        """Of each response; those that follow have the same length."""
        self._delta_length, self._stamp_at = length, payload.index(event["delta"].encode())
        if self._kind == "voice":
            self.send({"type": "playback.position", "item_id": event["item_id"], "played_ms": 0})

    def _on_flush(self, event: dict[str, Any]) -> None:
        assert self.upstream is not None
        self._seen.flushes.append((now_us() - self.upstream.interrupted_us) / 1e6)
        if self._kind == "voice":
            position = {"type": "playback.position", "item_id": self.upstream.item_id, "played_ms": 0, "flushed": True}
            self.send(position)
