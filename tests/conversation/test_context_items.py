"""Context of earlier turns is deleted in batches: the conversation stays bounded, and the prompt cache useful."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tests.support.conversation_fixture import Scene
from voice_trio.conversation import commands, events
from voice_trio.conversation.policy import Policy
from voice_trio.conversation.retrieval.context_items import ContextItems
from voice_trio.conversation.retrieval.passage import Passage


def test_nothing_is_deleted_until_the_budget_is_used_up_and_then_all_but_the_newest() -> None:
    ledger = ContextItems(tokens_max=1000, tokens_kept=300)
    deleted = [ledger.add(f"x{number}", 250) for number in range(10)]
    assert deleted == [[], [], [], [], ["x0", "x1", "x2"], [], [], ["x3", "x4", "x5"], [], []]


@given(st.lists(st.integers(1, 800), max_size=60))
def test_whatever_the_sizes_the_total_is_bounded_and_each_item_is_deleted_once(sizes: list[int]) -> None:
    ledger = ContextItems(tokens_max=3200, tokens_kept=800)
    deleted: list[str] = []
    for number, size in enumerate(sizes):
        deleted += ledger.add(f"x{number}", size)
        assert ledger.tokens <= 3200
    assert deleted == [f"x{number}" for number in range(len(deleted))]


def ask(scene: Scene, number: int) -> None:
    text = f"Answer {number}. " + "Chicks like it warm. " * 30
    scene.commit(scene.speak(f"how warm must chick number {number} live?"))
    for search in list(scene.searches()):
        scene.found(search.search_id, Passage(f"p{number}", "Brooding", text, "handbook"))
    response, _ = scene.begin_response(audio_ms=100)
    scene.done(response)
    scene.wait(5.0)


def test_in_a_long_conversation_old_contexts_go_before_the_new_one_comes() -> None:
    scene = Scene(Policy(context_tokens_max=200))
    for number in range(20):
        ask(scene, number)
    created = [command.item_id for command in scene.to_upstream(commands.CreateContextItem)]
    deleted = [command.item_id for command in scene.to_upstream(commands.DeleteItem)]
    assert len(created) == 20
    assert 12 <= len(deleted) <= 18
    assert deleted == created[: len(deleted)]
    log = [name for name in scene.upstream_log() if name in ("DeleteItem", "CreateContextItem")]
    batches = "".join("d" if name == "DeleteItem" else "c" for name in log).count("cd")
    assert batches <= 6


def test_a_new_model_has_no_contexts_to_delete() -> None:
    scene = Scene(Policy(context_tokens_max=200))
    for number in range(3):
        ask(scene, number)
    scene.feed(events.UpstreamLost())
    scene.feed(events.UpstreamReady())
    for number in range(3, 6):
        ask(scene, number)
    old = {command.item_id for command in scene.to_upstream(commands.CreateContextItem)[:3]}
    assert old.isdisjoint(command.item_id for command in scene.to_upstream(commands.DeleteItem))
