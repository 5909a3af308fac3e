"""A turn that is not reported yet, in the words known so far: for what is written ahead of its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_trio.conversation.turn.turn import TurnState

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from voice_trio.conversation.turn.playback import Heard
    from voice_trio.conversation.turn.turn import Turn


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """What its record would say by now of the words: (item id, text) each, the response's as far as it was heard."""

    turn_id: int
    said_items: tuple[tuple[str, str], ...] = ()
    heard_items: tuple[tuple[str, str], ...] = ()


# The rule is that of an interruption: of each item the text's share of the milliseconds that were heard. One thing is
# different. An interrupted response has all its text when it is recorded; here text of an item may be in before the
# first piece of its sound. Such an item counts as not heard.


def open_turns(turns: Iterable[tuple[Turn, Sequence[Heard]]]) -> tuple[OpenTurn, ...]:
    """Snapshots of turns, with what was heard of each; a turn that has neither words nor a commit is left out."""
    snapshots = (_snapshot(turn, heard) for turn, heard in turns)
    return tuple(snapshot for snapshot in snapshots if snapshot is not None)


def _snapshot(turn: Turn, heard: Sequence[Heard]) -> OpenTurn | None:
    said = tuple((item_id, text.strip()) for item_id, text in turn.texts.items())
    if turn.state is TurnState.LISTENING and not any(text for _, text in said):
        return None
    with_sound = {item.item_id for item in heard}
    return OpenTurn(turn.id, said, tuple(item for item in turn.heard_items(heard) if item[0] in with_sound))
