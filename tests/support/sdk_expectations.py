"""What every SDK must report of a conversation, and what the model must have received."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pybase64
from openai.types.realtime import RealtimeServerEvent
from pydantic import TypeAdapter

from tests.support.sdk_gateway import IS_DIRECT
from tests.support.sdk_model import QUESTION
from voice_trio.conversation.response import TAG
from voice_trio.settings import load_settings
from voice_trio.testing.rule_based import UNKNOWING

if TYPE_CHECKING:
    from tests.support.sdk_gateway import ClientReport

BYTES_PER_MS = 48
INTERRUPTED = 4
"""Index of the response that is interrupted while it is generated; the function call before it counts too."""
PLAYING = 5
"""Index of the response that is interrupted while its last audio is playing."""
BROODING = "Brooding says: The brooder must be at 34 degrees in the first week."
LIGHT = "Light says: Layers need 16 hours of light."
_known: TypeAdapter[Any] = TypeAdapter(RealtimeServerEvent)


def saw_only_what_openai_says(report: ClientReport) -> None:
    """Each event is one that OpenAI's own types know in full, none is an error, and nothing of the gateway's shows."""
    assert report.errors == []
    assert report.of("error") == []
    assert report.events[0]["type"] == "session.created"
    for event in report.events:
        _known.validate_python(event)
    ids = [event["event_id"] for event in report.events]
    assert len(ids) == len(set(ids))
    for trace in ('"vt_', "<context>", "<passage", TAG, load_settings({}).instructions[:40]):
        assert trace not in report.text


def had_the_whole_conversation(report: ClientReport, *, spoken_after: int = 1) -> None:
    """A spoken question, a typed one, a call, an interruption, speech again; each response has its source."""
    spoken, typed, called, cut, *again = report.texts
    for answer in (spoken, *again):
        assert answer == (UNKNOWING if IS_DIRECT else BROODING)
    assert typed == (UNKNOWING if IS_DIRECT else LIGHT)
    assert called == "The tool says: 3: 42 birds"
    assert cut.startswith("Well,")
    assert len(again) == spoken_after
    heard = report.of("conversation.item.input_audio_transcription.completed")
    assert [event["transcript"] for event in heard] == [QUESTION] * (1 + spoken_after)
    statuses = [event["response"]["status"] for event in report.of("response.done")]
    assert statuses == ["completed"] * INTERRUPTED + ["cancelled"] + ["completed"] * spoken_after
    assert audio_ms(report, 0) > 1000


def was_truncated_once(report: ClientReport, *answers: int) -> None:
    """Only the client truncated, and only the responses with these indexes; no audio of them came after the speech."""
    items = [report.of("response.done")[answer]["response"]["output"][0]["id"] for answer in answers]
    truncated = [event["item_id"] for event in report.of("conversation.item.truncated")]
    received = [event for event in report.sent if event["type"] == "conversation.item.truncate"]
    assert truncated == [event["item_id"] for event in received] == items
    for answer, event in zip(answers, received, strict=True):
        assert 0 < event["audio_end_ms"] <= audio_ms(report, answer)
    # The first speech interrupts no response.
    for speech, item in zip(report.of("input_audio_buffer.speech_started")[1:], items, strict=True):
        rest = report.events[report.events.index(speech) :]
        assert item not in {event["item_id"] for event in rest if event["type"] == "response.output_audio.delta"}


def was_asked_with_context_first(report: ClientReport, *, answers: int, with_context: int) -> None:
    """The model never responded automatically, and each context item preceded its `response.create`."""
    if IS_DIRECT:
        return
    for update in (event for event in report.sent if event["type"] == "session.update"):
        detection = update["session"].get("audio", {}).get("input", {}).get("turn_detection")
        assert detection is None or detection["create_response"] is False
    received = [event for event in report.sent if event["type"] in ("conversation.item.create", "response.create")]
    contexts = [at for at, event in enumerate(received) if "<context>" in json.dumps(event)]
    assert len(contexts) == with_context
    assert all(received[at + 1]["type"] == "response.create" for at in contexts)
    assert len([event for event in received if event["type"] == "response.create"]) == answers


def audio_ms(report: ClientReport, answer: int) -> float:
    """The duration of a response's audio; `answer` is its index."""
    response_id = report.of("response.done")[answer]["response"]["id"]
    deltas = [event for event in report.of("response.output_audio.delta") if event["response_id"] == response_id]
    return sum(len(pybase64.b64decode(event["delta"])) for event in deltas) / BYTES_PER_MS
