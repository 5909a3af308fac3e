"""The back office gets each ended session once, signed; nobody waits for it, and it may be down for a while."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest
import structlog
import trio
from pydantic import SecretStr

from voice_trio import limits
from voice_trio.observability.webhook import Webhook, signature
from voice_trio.state.session_record import RecordedItem, RecordedTurn, SessionRecord

RECORD = SessionRecord(
    session_id="s1",
    user_id="ann",
    instance="a",
    started=1_800_000_000.0,
    duration_seconds=600.0,
    turns=(RecordedTurn(said=(RecordedItem(item_id="i1", text="how warm?"),)),),
    end_reason="client_ended",
    revision=3,
)
SECRET = SecretStr("between us")


@dataclass
class Office:
    """A back office on a real socket that answers with the next of `answers`, the last one for ever."""

    answers: list[int] = field(default_factory=lambda: [200])
    got: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    arrived: trio.Event = field(default_factory=trio.Event)
    port: int = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/voice"

    async def run(self, *, task_status: trio.TaskStatus[None] = trio.TASK_STATUS_IGNORED) -> None:
        listeners = await trio.open_tcp_listeners(0, host="127.0.0.1")
        self.port = int(listeners[0].socket.getsockname()[1])
        task_status.started()
        await trio.serve_listeners(self._serve, listeners)

    async def _serve(self, stream: trio.SocketStream) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            data += await stream.receive_some()
        head, _, body = data.partition(b"\r\n\r\n")
        headers = dict(line.lower().split(": ", 1) for line in head.decode().split("\r\n")[1:])
        while len(body) < int(headers["content-length"]):
            body += await stream.receive_some()
        self.got.append((headers, body))
        status = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        if status:
            await stream.send_all(f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await stream.aclose()
        self.arrived.set()


@pytest.fixture
async def office(nursery: trio.Nursery) -> Office:
    made = Office()
    await nursery.start(made.run)
    return made


def open_at(office: Office, nursery: trio.Nursery, **options: Any) -> Webhook:
    how: dict[str, Any] = {"store_transcripts": True, "unix_time": lambda: 1_800_000_600.0} | options
    webhook = Webhook(office.url, SECRET, **how)
    nursery.start_soon(webhook.run)
    return webhook


async def test_a_record_arrives_signed(office: Office, nursery: trio.Nursery) -> None:
    webhook = open_at(office, nursery)
    with trio.fail_after(5):
        webhook.send(RECORD)
        await office.arrived.wait()
        await webhook.wait_idle()

    [(headers, body)] = office.got
    result = json.loads(body)
    assert (result["session_id"], result["end_reason"], result["turns"][0]["said"][0]["text"]) == (
        "s1",
        "client_ended",
        "how warm?",
    )
    assert headers["x-voice-signature"] == signature(SECRET, body, 1_800_000_600)
    assert (headers["x-voice-event"], headers["x-voice-delivery"]) == ("session.ended", "s1.3")


def test_a_signature_is_what_anybody_can_compute() -> None:
    # echo -n '5.{}' | openssl dgst -sha256 -hmac 'between us'
    by_openssl = "30cddc3e5ca21212b4e78c20500066222f4d697d1394bf20a4e2a7b8a4d0268b"
    assert signature(SECRET, b"{}", 5) == f"t=5,v1={by_openssl}"
    assert signature(SECRET, b"{}", 5) != signature(SECRET, b"{}", 6)
    assert signature(SECRET, b"{}", 5) != signature(SECRET, b"[]", 5)
    assert signature(SECRET, b"{}", 5) != signature(SecretStr("other"), b"{}", 5)


@pytest.mark.parametrize("trouble", [500, 404, 302, 0])
async def test_what_is_not_taken_is_brought_again(office: Office, nursery: trio.Nursery, trouble: int) -> None:
    office.answers = [trouble, trouble, 204]
    webhook = open_at(office, nursery, pauses_seconds=(0.01, 0.01, 0.01))
    with trio.fail_after(5):
        webhook.send(RECORD)
        await office.arrived.wait()
        await webhook.wait_idle()

    assert len(office.got) == 3
    assert {headers["x-voice-delivery"] for headers, _ in office.got} == {"s1.3"}


async def test_what_is_never_taken_is_given_up(office: Office, nursery: trio.Nursery) -> None:
    office.answers = [503]
    webhook = open_at(office, nursery, pauses_seconds=(0.01, 0.01, 0.01))
    with trio.fail_after(5):
        webhook.send(RECORD)
        await office.arrived.wait()
        await webhook.wait_idle()

    assert len(office.got) == 4


async def test_no_words_leave_where_none_may_be_kept(office: Office, nursery: trio.Nursery) -> None:
    webhook = open_at(office, nursery, store_transcripts=False)
    with trio.fail_after(5):
        webhook.send(RECORD)
        await office.arrived.wait()

    assert b"how warm" not in office.got[0][1]


def test_sending_never_waits_and_never_fails() -> None:
    nobody_listens = Webhook("http://127.0.0.1:1/", None, store_transcripts=True)
    with structlog.testing.capture_logs() as logs:
        for _ in range(limits.WEBHOOK_QUEUED_MAX + 10):
            nobody_listens.send(RECORD)

    assert [entry["event"] for entry in logs] == ["webhook_queue_full"] * 10


async def test_without_an_address_nothing_is_sent(nursery: trio.Nursery) -> None:
    webhook = Webhook(None, None, store_transcripts=True)
    webhook.send(RECORD)
    with trio.fail_after(1):
        await webhook.run()
        await webhook.wait_idle()
