"""Conversations written down whole: each event, everything that came of it, and what the conversation said of itself.

A story drives a scene; its transcript is compared with the one that is kept in tests/conversation/stories. Times are in
seconds; fields that have their default are left out. `python -m tests.support.stories` writes all of them anew: read
what it changed before it is committed.
"""

from __future__ import annotations

from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.support.conversation_fixture import PassthroughScene, Scene
from voice_trio.conversation import commands

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from voice_trio.conversation import events
    from voice_trio.conversation.full_duplex.events import FullDuplexEvent
    from voice_trio.conversation.passthrough import requests
    from voice_trio.conversation.policy import Policy

FOLDER = Path(__file__).parents[1] / "conversation" / "stories"


class ManagedStory(Scene):
    """The managed conversation, written down."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.lines: list[str] = []
        super().__init__(policy)

    def feed(self, event: events.Event | FullDuplexEvent | requests.Request) -> list[commands.Command]:
        issued = super().feed(event)
        _write_down(self, event, issued)
        return issued


class PassthroughStory(PassthroughScene):
    """The passthrough conversation, written down."""

    def __init__(self, policy: Policy | None = None) -> None:
        self.lines: list[str] = []
        super().__init__(policy)

    def feed(self, event: events.Event | FullDuplexEvent | requests.Request) -> list[commands.Command]:
        issued = super().feed(event)
        _write_down(self, event, issued)
        return issued


def transcript(story: ManagedStory | PassthroughStory) -> str:
    """All that happened, and what is reported when the session ends."""
    end = [_came_of_it(command) for command in story.conversation.close(story.now)]
    return "\n".join([*story.lines, f"{story.now:.3f} end of the session", *end, ""])


def show(value: object) -> str:
    """A value with all its fields but those that have their default, also where `repr` hides them."""
    if isinstance(value, Enum):
        return f"{type(value).__name__}.{value.name}"
    if isinstance(value, float):
        return f"{value:.4f}".rstrip("0").rstrip(".")
    if isinstance(value, tuple | list):
        return f"({', '.join(map(show, value))})"
    if isinstance(value, dict):
        return f"{{{', '.join(f'{key}: {show(each)}' for key, each in value.items())}}}"
    if not is_dataclass(value):
        return repr(value)
    shown = [
        f"{field.name}={show(getattr(value, field.name))}"
        for field in fields(value)
        if getattr(value, field.name) != _default(field)
    ]
    return f"{type(value).__name__}({', '.join(shown)})"


def _default(field: Any) -> object:
    return field.default_factory() if field.default_factory is not MISSING else field.default


def _write_down(
    story: ManagedStory | PassthroughStory,
    event: events.Event | FullDuplexEvent | requests.Request,
    issued: list[commands.Command],
) -> None:
    conversation, now = story.conversation, story.now
    story.lines.append(f"{now:.3f} > {show(event)}")
    story.lines += [_came_of_it(command, event) for command in issued]
    answers = (
        f"     is answering: {conversation.is_answering(now)}",
        f"     quiet since: {show(conversation.quiet_since(now))}",
        f"     open turns: {show(conversation.open_turns(now))}",
    )
    for line in answers:
        beginning = line.partition(":")[0]
        if line != next((known for known in reversed(story.lines) if known.startswith(beginning)), None):
            story.lines.append(line)


def _came_of_it(command: commands.Command, event: object = None) -> str:
    match command:
        case commands.SendToClient(told):
            return f"     client < {'the same' if told is event else show(told)}"
        case commands.SendToUpstream(sent):
            return f"     upstream < {show(sent)}"
        case commands.ScheduleEvent(at, due, turn_id):
            return f"     at {show(at)}: {show(due)}{'' if turn_id is None else f' while turn {turn_id} is open'}"
        case _:
            return f"     {show(command)}"


def write_all(stories: Mapping[str, Callable[[], ManagedStory | PassthroughStory]]) -> None:
    """Write the transcripts of all stories anew."""
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.txt"):
        file.unlink()
    for name, tell in stories.items():
        (FOLDER / f"{name}.txt").write_text(transcript(tell()))


if __name__ == "__main__":
    from tests.conversation.test_stories import STORIES

    write_all(STORIES)
