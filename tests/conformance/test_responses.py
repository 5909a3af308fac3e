"""Responses. Each expectation says where it comes from; sources as in `test_session`."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tests.conformance.conftest import Client

LONG = " ".join(
    f"Hens have {number} feathers in every long row." for number in ("ten", "twelve", "fifty", "nine", "two")
)


def response_kinds(client: Client) -> list[str]:
    """The events of a response in order, each run of deltas as one."""
    kinds: list[str] = []
    for kind in client.types():
        is_of_response = kind.startswith(("response.", "conversation.item.", "rate_limits"))
        short = "delta" if kind.endswith(".delta") else kind
        if is_of_response and not (short == "delta" and kinds and kinds[-1] == "delta"):
            kinds.append(short)
    return kinds


async def begin_something_long(client: Client, **response: object) -> str:
    """A spoken response under way, which takes its time; its id."""
    await client.creates_item("Tell me at great length about hens and their feathers.")
    await client.creates_item(f'<context>\n<passage title="Hens" source="s">{LONG}</passage>\n</context>', "system")
    await client.send("response.create", response={"output_modalities": ["audio"], **response})
    created = await client.hears("response.created")
    await client.hears("response.output_audio.delta")
    return str(created.event["response"]["id"])


async def test_a_written_response_has_its_events_in_order(client: Client) -> None:
    """Recording, text in and text out; types, response_text_delta_event and its siblings."""
    await client.creates_item("Say hello.")
    before = len(response_kinds(client))
    await client.send("response.create")
    done = (await client.hears("response.done")).event["response"]
    assert response_kinds(client)[before:][: len(WRITTEN)] == WRITTEN
    text = "".join(entry.event["delta"] for entry in client.heard("response.output_text.delta"))
    assert done["output"][0]["content"][0]["text"] == text
    assert done["status"] == "completed"


WRITTEN = [
    "response.created",
    "response.output_item.added",
    "conversation.item.added",
    "response.content_part.added",
    "delta",
    "response.output_text.done",
    "response.content_part.done",
    "conversation.item.done",
    "response.output_item.done",
    "response.done",
]
SPOKEN = [
    *WRITTEN[:5],
    "response.output_audio.done",
    "response.output_audio_transcript.done",
    *WRITTEN[6:],
]


async def test_a_spoken_response_has_its_events_in_order(client: Client) -> None:
    """Recording: output audio done, then its transcript, the part, the item in the conversation, the output item."""
    await client.creates_item("Say hello.")
    before = len(response_kinds(client))
    await client.send("response.create", response={"output_modalities": ["audio"]})
    done = (await client.hears("response.done")).event["response"]
    assert response_kinds(client)[before:][: len(SPOKEN)] == SPOKEN
    said = "".join(entry.event["delta"] for entry in client.heard("response.output_audio_transcript.delta"))
    assert done["output"][0]["content"][0]["transcript"] == said


async def test_deltas_carry_the_ids_of_their_response_and_item(client: Client) -> None:
    """Types, response_audio_delta_event: response_id, item_id, output_index and content_index."""
    await client.creates_item("Say hello.")
    await client.send("response.create", response={"output_modalities": ["audio"]})
    created, added = await client.hears("response.created"), await client.hears("response.output_item.added")
    delta = (await client.hears("response.output_audio.delta")).event
    assert delta["response_id"] == added.event["response_id"] == created.event["response"]["id"]
    assert (delta["item_id"], delta["content_index"]) == (added.event["item"]["id"], 0)


async def test_a_response_says_what_it_cost(client: Client) -> None:
    """Types, realtime_response_usage; guide, managing costs: assistant audio is one token for each 50 ms."""
    await client.creates_item("Say hello.")
    await client.send("response.create", response={"output_modalities": ["audio"]})
    usage = (await client.hears("response.done")).event["response"]["usage"]
    assert usage["total_tokens"] == usage["input_tokens"] + usage["output_tokens"]
    sound_ms = sum(len(entry.event["delta"]) * 3 / 4 / 48 for entry in client.heard("response.output_audio.delta"))
    assert abs(usage["output_token_details"]["audio_tokens"] - sound_ms / 50) <= 0.1 * sound_ms / 50 + 2


async def test_metadata_comes_back(client: Client) -> None:
    """Types, realtime_response: metadata; LiveKit's plugin expects its own in response.created within ten seconds."""
    await client.send("response.create", response={"metadata": {"client_event_id": "x1"}})
    assert (await client.hears("response.created")).event["response"]["metadata"] == {"client_event_id": "x1"}
    assert (await client.hears("response.done")).event["response"]["metadata"] == {"client_event_id": "x1"}


async def test_only_one_response_is_active_in_the_conversation(client: Client) -> None:
    """Types, response_create_event; the code is that of openai/openai-agents-python#1466 and livekit/agents#1056."""
    await begin_something_long(client)
    await client.send("response.create", event_id="mine")
    await client.is_refused(event_id="mine", code="conversation_already_has_active_response")
    assert (await client.hears("response.done")).event["response"]["status"] == "completed"


async def test_cancelling_ends_a_response_with_its_done_events(client: Client) -> None:
    """Types, response_cancel_event and realtime_response_status: the server answers with response.done, `cancelled`."""
    response_id = await begin_something_long(client)
    await client.send("response.cancel", response_id=response_id)
    done = (await client.hears("response.done")).event["response"]
    assert (done["id"], done["status"]) == (response_id, "cancelled")
    assert done["status_details"]["reason"] == "client_cancelled"
    assert done["output"][0]["status"] == "incomplete"
    assert len(client.heard("response.output_audio.done")) == 1
    assert len(client.heard("response.output_item.done")) == 1


async def test_cancelling_nothing_is_a_harmless_error(client: Client) -> None:
    """Types, response_cancel_event: with nothing to cancel there is an error, and the session is unaffected."""
    await client.send("response.cancel", event_id="mine")
    await client.is_refused(event_id="mine", code="response_cancel_not_active")
    await client.lives()


async def test_a_response_beside_the_conversation_adds_nothing_to_it(client: Client) -> None:
    """Types, realtime_response_create_params: `none` creates an out-of-band response, several of which may run."""
    await begin_something_long(client)
    items = len(client.heard("conversation.item.added"))
    await client.send("response.create", response={"conversation": "none", "metadata": {"which": "beside"}})
    while True:
        response = (await client.hears("response.done")).event["response"]
        if response.get("metadata") == {"which": "beside"}:
            break
    assert response["conversation_id"] is None
    assert len(client.heard("conversation.item.added")) == items


async def test_the_context_after_the_question_is_answered_from(client: Client) -> None:
    """Types, realtime_conversation_item_system_message: system items add context in the middle of a conversation."""
    await client.creates_item("How warm should the brooder be in the first week?")
    fact = "The brooder should be 36 degrees Celsius in the first week."
    await client.creates_item(f'<context>\n<passage title="Brooding" source="s">{fact}</passage>\n</context>', "system")
    await client.send("response.create")
    done = (await client.hears("response.done")).event["response"]
    assert "36" in done["output"][0]["content"][0]["text"]
