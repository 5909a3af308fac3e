"""The predecessor's wiring, rebuilt: search at the final transcript, while the model already answers by itself.

The context goes in when it is found; the answer it was meant for began at the commit, so the next one reads it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec
import trio
import trio.testing

from tests.simulation.stores import LIMIT, RemoteStore
from tests.simulation.ways import ANSWER_MS, FIRST_AUDIO_SECONDS, PAUSE_SECONDS, TURNS_A_SESSION, Turn, utterance
from voice_trio.errors import LinkClosed
from voice_trio.testing import user_speech
from voice_trio.testing.model import ScriptedModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.questions import Question
    from tests.simulation.stores import Handbook
    from voice_trio.conversation.retrieval.passage import Passage
    from voice_trio.net.link import Link

NAME = "the predecessor: one turn late"
_SET_UP = {
    "type": "session.update",
    "session": {
        "type": "realtime",
        "audio": {
            "input": {
                "transcription": {"model": "gpt-realtime-whisper"},
                "turn_detection": {"type": "server_vad", "create_response": True, "interrupt_response": True},
            }
        },
    },
}
_COMPLETED = "conversation.item.input_audio_transcription.completed"


def run_predecessor(questions: Sequence[Question], handbook: Handbook, seed: int) -> list[Turn]:
    """Every question, in sessions of as many turns as the other ways have."""
    return trio.run(_run, questions, handbook, seed, clock=trio.testing.MockClock(autojump_threshold=0))


async def _run(questions: Sequence[Question], handbook: Handbook, seed: int) -> list[Turn]:
    turns: list[Turn] = []
    store = RemoteStore(handbook, seed)
    for start in range(0, len(questions), TURNS_A_SESSION):
        async with trio.open_nursery() as nursery:
            turns += await _talk(nursery, questions[start : start + TURNS_A_SESSION], store)
            nursery.cancel_scope.cancel()
    return turns


async def _talk(nursery: trio.Nursery, questions: Sequence[Question], store: RemoteStore) -> list[Turn]:
    model = ScriptedModel(nursery, kept=100)
    model.answers_with("Yes.", audio_ms=ANSWER_MS, first_audio_after=FIRST_AUDIO_SECONDS)
    gateway = _Gateway(model.connect(), store)
    nursery.start_soon(gateway.run)
    live = await model.wait_for_session()
    await trio.sleep(1.0)
    turns = []
    for question in questions:
        store.turn = question.number
        await user_speech.hear(live, utterance(question))
        committed_at, context = trio.current_time(), gateway.context
        await trio.sleep(PAUSE_SECONDS)
        first_audio = gateway.first_audio_at - committed_at
        top = (context[0].title, context[0].source) if context else None
        turns.append(Turn(question, 0.0, round(first_audio, 6), top, "next turn", False, 1))
    return turns


@dataclass(slots=True)
class _Gateway:
    """`context` is what the model was given last, `first_audio_at` when the newest answer was first heard."""

    link: Link
    store: RemoteStore
    context: tuple[Passage, ...] = ()
    first_audio_at: float = 0.0

    async def run(self) -> None:
        speaking = False
        await self.link.send(msgspec.json.encode(_SET_UP).decode())
        async with trio.open_nursery() as nursery:
            while (event := await self._next()) is not None:
                match event["type"]:
                    case "response.created":
                        speaking = False
                    case "response.output_audio.delta" if not speaking:
                        speaking = True
                        self.first_audio_at = trio.current_time()
                    case kind if kind == _COMPLETED:
                        nursery.start_soon(self._inject, event["transcript"])

    async def _next(self) -> dict[str, Any] | None:
        try:
            event: dict[str, Any] = msgspec.json.decode(await self.link.receive())
        except LinkClosed:
            return None
        return event

    async def _inject(self, transcript: str) -> None:
        found = await self.store.search(transcript, LIMIT)
        text = "\n".join(passage.text for passage in found)
        item = {"type": "message", "role": "system", "content": [{"type": "input_text", "text": text}]}
        await self.link.send(msgspec.json.encode({"type": "conversation.item.create", "item": item}).decode())
        self.context = found
