"""What a response is expected to read, in tokens: items, instructions and tools, until a usage corrects it."""

from __future__ import annotations

from typing import Any

import pybase64
import pytest

from voice_trio.conversation import commands
from voice_trio.session.spend.input_estimator import IMAGE_TOKENS, InputEstimator, InputTokens, item_tokens, text_tokens


def message(*parts: dict[str, Any]) -> dict[str, Any]:
    return {"type": "message", "role": "user", "content": list(parts)}


def text(size: int) -> dict[str, Any]:
    return {"type": "input_text", "text": "x" * size}


def create(item: dict[str, Any]) -> commands.ForwardClientEvent:
    return commands.ForwardClientEvent("e", {"type": "conversation.item.create", "item": item})


@pytest.mark.parametrize(
    ("written", "tokens"),
    [("", 0), ("a", 1), ("four", 1), ("fives", 2), ("naïve", 2), ("孵化温度", 3), ("🐔", 1), ("\ud83d", 1)],
)
def test_a_text_has_a_token_for_four_bytes(written: str, tokens: int) -> None:
    assert text_tokens(written) == tokens


SECOND = pybase64.b64encode(bytes(48_000)).decode()


@pytest.mark.parametrize(
    ("item", "tokens"),
    [
        (message(text(400), text(40)), InputTokens(text=110)),
        (message({"type": "input_image", "image_url": "x" * 9999}, text(4)), InputTokens(text=1, image=IMAGE_TOKENS)),
        (message(*[{"type": "input_image"}] * 3), InputTokens(image=3 * IMAGE_TOKENS)),
        (message({"type": "input_audio", "audio": SECOND, "transcript": "hello you"}), InputTokens(text=3, audio=10)),
        (message(*[{"type": "input_audio", "audio": SECOND}] * 2), InputTokens(audio=20)),
        (message({"type": "output_text", "text": None}), InputTokens()),
        ({"type": "function_call", "name": "four", "arguments": "x" * 40}, InputTokens(text=11)),
        ({"type": "function_call_output", "output": "x" * 400}, InputTokens(text=100)),
    ],
)
def test_an_item_has_the_tokens_of_its_parts(item: dict[str, Any], tokens: InputTokens) -> None:
    assert item_tokens(item) == tokens


def test_a_response_reads_instructions_and_every_item_so_far() -> None:
    estimator = InputEstimator("x" * 40)
    for command in (
        commands.CreateContextItem("e", "i", None, "x" * 400),
        commands.CreateUserItem("e", "i", "x" * 80),
        commands.CreateAssistantItem("e", "i", "x" * 40),
        commands.CreateFunctionOutput("e", "c", "x" * 20),
        create(message(text(8))),
        commands.DeleteItem("e", "i"),
    ):
        estimator.note_command(command)
    estimator.note_speech(2.5)
    assert estimator.conversation == InputTokens(10 + 100 + 20 + 10 + 5 + 2, 25)
    assert estimator.of_response({}) == estimator.conversation
    with_own = estimator.of_response({"instructions": "x" * 12, "tools": [{"name": "f"}]})
    assert with_own == estimator.conversation + InputTokens(3 + text_tokens('[{"name":"f"}]'))


def test_a_response_with_its_own_input_reads_that_in_place_of_the_conversation() -> None:
    estimator = InputEstimator("x" * 40)
    estimator.note_command(create(message(text(4000))))
    assert estimator.of_response({"input": []}) == InputTokens(10)
    assert estimator.of_response({"input": [message(text(40)), message(text(4))]}) == InputTokens(10 + 10 + 1)


def test_a_reference_is_as_long_as_its_item_or_where_that_is_unknown_as_the_conversation() -> None:
    estimator = InputEstimator("")
    estimator.note_command(create({"id": "known", **message(text(400))}))
    estimator.note_command(create(message(text(4000))))
    known, unknown = ({"type": "item_reference", "id": item_id} for item_id in ("known", "of the server"))
    assert estimator.of_response({"input": [known, known]}) == InputTokens(200)
    assert estimator.of_response({"input": [unknown]}) == InputTokens(1100)


def test_until_the_next_usage_old_and_new_instructions_and_tools_both_count() -> None:
    estimator = InputEstimator("x" * 40)
    estimator.note_session({"instructions": "x" * 400, "tools": [{"name": "f"}]})
    tools = text_tokens('[{"name":"f"}]')
    assert estimator.conversation == InputTokens(10 + 100 + tools)
    estimator.note_session({"instructions": "x" * 80})
    assert estimator.conversation == InputTokens(10 + 100 + 20 + tools)
    assert estimator.of_response({"input": []}) == InputTokens(100 + tools)  # the longer may still be in force
    estimator.settle(usage(text=30), 0.0, estimator.added)
    assert estimator.of_response({"input": []}) == InputTokens(20 + tools)
    estimator.note_session({"audio": {}})
    assert estimator.of_response({"input": []}) == InputTokens(20 + tools)


def usage(text: int = 0, audio: int = 0, image: int = 0, cached: int = 0, out: tuple[int, int] = (0, 0)) -> Any:
    read = {"text_tokens": text, "audio_tokens": audio, "image_tokens": image, "cached_tokens": cached}
    wrote = {"text_tokens": out[0], "audio_tokens": out[1]}
    return {"input_token_details": read, "output_token_details": wrote}


def test_a_usage_says_how_long_the_conversation_is_but_for_what_came_since_it_was_asked_for() -> None:
    estimator = InputEstimator("x" * 4000)
    estimator.note_command(create(message(text(40))))
    asked = estimator.added
    estimator.note_command(create(message(text(400), {"type": "input_image"})))
    estimator.note_speech(3.0)
    estimator.settle(usage(700, 20, 5, cached=600, out=(7, 90)), 4.5, asked)
    assert estimator.conversation == InputTokens(700 + 7 + 100, 20 + 90 + 30, 5 + IMAGE_TOKENS)


@pytest.mark.parametrize("reported", [None, {}, {"output_tokens": 50}, {"input_tokens": True}, usage(out=(5, 5))])
def test_without_a_readable_usage_the_conversation_grows_by_what_was_heard(reported: Any) -> None:
    estimator = InputEstimator("x" * 40)
    estimator.note_command(create(message(text(40))))
    estimator.settle(reported, 4.5, estimator.added)
    assert estimator.conversation == InputTokens(20, 90)


def test_a_new_upstream_has_read_nothing_but_the_instructions() -> None:
    estimator = InputEstimator("x" * 40)
    estimator.note_command(create(message(text(4000))))
    estimator.settle(usage(5000), 0.0, estimator.added)
    estimator.note_speech(9.0)
    estimator.start_anew()
    assert estimator.conversation == InputTokens(10)
    assert estimator.added == InputTokens()
