"""Speech in: the input buffer, turns and transcripts. Each expectation says where it comes from; sources as in
`test_session`. Audio is pushed as fast as it goes, which servers accept; only its own clock counts.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.conformance.test_responses import begin_something_long
from tests.support.conformance_servers import QUESTION, spoken_question

if TYPE_CHECKING:
    from tests.conformance.conftest import Client

WAITING = {"type": "server_vad", "create_response": False, "silence_duration_ms": 500}
DELTA = "conversation.item.input_audio_transcription.delta"
COMPLETED = "conversation.item.input_audio_transcription.completed"


def heard(**detection: Any) -> dict[str, Any]:
    return {"input": {"turn_detection": {**WAITING, **detection}}}


async def test_a_spoken_turn_without_create_response_ends_with_its_item(client: Client) -> None:
    """Recording, order of a turn; types, server_vad: with create_response false there is no response.

    speech_started → speech_stopped → committed → item added → item done, all with the id that speech_started announced.
    """
    await client.updates(audio=heard())
    await client.ask()
    done = await client.hears("conversation.item.done")
    kinds = [kind for kind in client.types() if kind.startswith(("input_audio_buffer", "conversation.item.added"))]
    assert kinds == [
        "input_audio_buffer.speech_started",
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
    ]
    started = (await client.hears("input_audio_buffer.speech_started")).event
    stopped = (await client.hears("input_audio_buffer.speech_stopped")).event
    assert started["item_id"] == stopped["item_id"] == done.event["item"]["id"]
    assert 0 <= started["audio_start_ms"] < stopped["audio_end_ms"]
    item = done.event["item"]
    assert (item["role"], item["status"], item["content"][0]["type"]) == ("user", "completed", "input_audio")
    await client.hears(COMPLETED)
    assert client.heard("response.created") == []


async def test_the_transcript_is_the_items_and_its_deltas_come_under_the_same_id(client: Client) -> None:
    """Types, …transcription_delta_event and _completed_event; recording: usage of a streaming model is a duration."""
    await client.updates(audio=heard())
    await client.ask()
    completed = (await client.hears(COMPLETED)).event
    item = (await client.hears("conversation.item.done")).event["item"]
    assert completed["item_id"] == item["id"]
    assert {entry.event["item_id"] for entry in client.heard(DELTA)} == {item["id"]}
    assert completed["usage"]["type"] in ("duration", "tokens")
    common = set(completed["transcript"].lower().split()) & set(QUESTION.split())
    assert len(common) >= 4, completed["transcript"]


async def test_with_create_response_the_server_answers_by_itself(client: Client) -> None:
    """Types, server_vad: create_response, by default true, generates a response when speech stops."""
    await client.updates(audio=heard(create_response=True))
    await client.ask()
    assert (await client.hears("response.done")).event["response"]["status"] == "completed"
    kinds = client.types()
    assert kinds.index("conversation.item.done") < kinds.index("response.created")


async def test_speech_interrupts_a_response_that_is_being_said(client: Client) -> None:
    """Types, server_vad: interrupt_response cancels an ongoing response of the conversation when speech starts.

    The reason is `turn_detected`, and the `.done` events are sent for what is interrupted, too.
    """
    await client.updates(audio=heard())
    response_id = await begin_something_long(client)
    await client.append(spoken_question(client.server.name))
    done = (await client.hears("response.done")).event["response"]
    assert (done["id"], done["status"]) == (response_id, "cancelled")
    assert done["status_details"]["reason"] == "turn_detected"
    assert done["output"][0]["status"] == "incomplete"
    kinds = client.types()
    assert kinds.index("input_audio_buffer.speech_started") < kinds.index("response.output_audio.done")


async def test_a_commit_by_hand_makes_an_item_and_no_response(client: Client) -> None:
    """Types, input_audio_buffer_commit_event: creates a new user message item, and no response."""
    await client.append(spoken_question(client.server.name))
    await client.send("input_audio_buffer.commit")
    committed = (await client.hears("input_audio_buffer.committed")).event
    assert (await client.hears("conversation.item.done")).event["item"]["id"] == committed["item_id"]
    assert client.heard("response.created") == []


async def test_an_empty_buffer_cannot_be_committed(client: Client) -> None:
    """Types, input_audio_buffer_commit_event: an error if the buffer is empty; the code is the one LiveKit handles."""
    await client.send("input_audio_buffer.commit", event_id="mine")
    await client.is_refused(event_id="mine", code="input_audio_buffer_commit_empty")


async def test_what_is_cleared_cannot_be_committed(client: Client) -> None:
    """Types, input_audio_buffer_clear_event: the server answers with input_audio_buffer.cleared."""
    await client.append(bytes(48 * 500))
    await client.send("input_audio_buffer.clear")
    await client.hears("input_audio_buffer.cleared")
    await client.send("input_audio_buffer.commit")
    await client.is_refused(code="input_audio_buffer_commit_empty")


async def test_silence_is_no_turn(client: Client) -> None:
    """Types, server_vad: speech is detected by volume; there is none."""
    await client.updates(audio=heard())
    await client.append(bytes(48 * 3000))
    await client.lives()
    assert client.heard("input_audio_buffer.speech_started") == []
