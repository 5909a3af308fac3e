"""A session with a client of OpenAI's own protocol on it, and verbs for what such a client says."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pybase64
import trio

from tests.support.recorded import BEGINNING, ENDING
from tests.support.session_fixture import SessionFixture
from voice_trio.session.config import PassthroughConfig

if TYPE_CHECKING:
    from voice_trio.session.summary import Summary

SPEECH_EVENTS = (
    "input_audio_buffer.speech_started",
    "input_audio_buffer.speech_stopped",
    "input_audio_buffer.committed",
)


QUESTION = "how warm must the brooder be in winter"
LONG = "Thirty three degrees in the first week and then a little less every day."
ANSWERED = ["response.created", *BEGINNING, *ENDING]


class RealtimeSessionFixture(SessionFixture):
    """As `SessionFixture`; `allowed` and `preset` are those of `PassthroughConfig`."""

    def __init__(
        self,
        nursery: Any,
        *,
        allowed: frozenset[str] | None = None,
        preset: dict[str, Any] | None = None,
        **config: Any,
    ) -> None:
        passthrough = PassthroughConfig(preset=preset) if allowed is None else PassthroughConfig(allowed, preset)
        super().__init__(nursery, passthrough=passthrough, **config)

    async def ready(self) -> None:
        await self.client.hears("session.created")

    async def send(self, kind: str, event_id: str | None = None, **fields: Any) -> None:
        named = {} if event_id is None else {"event_id": event_id}
        await self.client.send({"type": kind, **named, **fields})

    async def update(self, event_id: str | None = None, **session: Any) -> dict[str, Any]:
        """Ask for a session, and return the one that is shown."""
        await self.send("session.update", event_id, session={"type": "realtime", **session})
        shown: dict[str, Any] = (await self.client.hears("session.updated")).event["session"]
        return shown

    async def listen_by_hand(self) -> None:
        """From now on the client says when it has spoken."""
        await self.update(audio={"input": {"turn_detection": None}})

    async def answer_when_asked(self) -> None:
        """From now on the client asks for each answer."""
        await self.update(audio={"input": {"turn_detection": {"type": "server_vad", "create_response": False}}})

    async def write(self, text: str, **item: Any) -> None:
        """The user writes; nothing is asked yet."""
        content = [{"type": "input_text", "text": text}]
        await self.send(
            "conversation.item.create", item={"type": "message", "role": "user", "content": content, **item}
        )

    async def ask(self, event_id: str | None = None, **response: Any) -> None:
        await self.send("response.create", event_id, **({"response": response} if response else {}))

    async def cut(self, item_id: str, ms: int, event_id: str | None = None) -> None:
        await self.send("conversation.item.truncate", event_id, item_id=item_id, content_index=0, audio_end_ms=ms)

    async def append(self, seconds: float) -> None:
        """Sound, all at once."""
        audio = pybase64.b64encode(bytes(int(seconds * 48_000))).decode()
        await self.send("input_audio_buffer.append", audio=audio)

    def told(self, *ignored: str) -> list[str]:
        """What the client was told, sound and text apart, in order."""
        noise = {"response.output_audio.delta", "response.output_audio_transcript.delta", *ignored}
        return [kind for kind in self.client.types() if kind not in noise]

    def audio_of(self, response_id: str) -> list[float]:
        """When sound of a response reached the client."""
        heard = self.client.heard_of("response.output_audio.delta")
        return [entry.at for entry in heard if entry.event["response_id"] == response_id]

    def answer_item(self, index: int = -1) -> str:
        """The id of the message that an answer brought."""
        added = [entry.event["item"] for entry in self.client.heard_of("response.output_item.added")]
        return str([item["id"] for item in added if item["type"] == "message"][index])

    def response_id(self, index: int = -1) -> str:
        return str(self.client.heard_of("response.created")[index].event["response"]["id"])

    def errors(self) -> list[dict[str, Any]]:
        return [entry.event["error"] for entry in self.client.heard_of("error")]

    def summary_so_far(self) -> Summary:
        return self.under_test.summary


async def interrupted(passthrough: RealtimeSessionFixture, *, after: float = 1.3) -> str:
    """An answer is cut in by speech that is not committed yet; its item."""
    passthrough.model.answers_with(LONG, audio_ms=8000)
    await passthrough.ask()
    await passthrough.client.hears("response.created")
    await trio.sleep(after)
    passthrough.model.start_speech()
    await passthrough.client.hears("response.done")
    return passthrough.answer_item()


def truncations(passthrough: RealtimeSessionFixture) -> list[tuple[str, int]]:
    return [
        (entry.event["item_id"], entry.event["audio_end_ms"])
        for entry in passthrough.model.heard("conversation.item.truncate")
    ]


async def finish_speech(passthrough: RealtimeSessionFixture) -> None:
    """What was begun is committed, and answered."""
    turn = passthrough.client.heard_of("input_audio_buffer.speech_started")[-1].event
    passthrough.model.hear_piece(turn["item_id"], QUESTION)
    passthrough.model.stop_speech(turn["item_id"])
    await passthrough.client.hears("response.created")
