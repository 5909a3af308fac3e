"""A turn that is not reported yet, in the words known so far: for what is written ahead of its record."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from voice_trio.conversation.turn.history import heard_part, spoken_part
from voice_trio.conversation.turn.turn import TurnState

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from voice_trio.conversation.turn.playback import Heard
    from voice_trio.conversation.turn.turn import Turn


@dataclass(frozen=True, slots=True)
class OpenTurn:
    """What its record would say by now of the words: (item id, text) each, the response's as far as it was heard."""

    turn_id: int
    said_items: tuple[tuple[str, str], ...] = ()
    heard_items: tuple[tuple[str, str], ...] = ()


# The rule is that of an interruption: of each item the text's share of the milliseconds that were heard. Two things are
# different while a response goes on. Text of an item may be in before the first piece of its sound: that item counts as
# not heard. And text may be far ahead of its sound: then its share is that of what the sound so far can have said.


def open_turns(
    turns: Iterable[tuple[Turn, Sequence[Heard]]], *, responding: Turn | None = None
) -> tuple[OpenTurn, ...]:
    """Snapshots of turns, with what was heard of each; a turn that has neither words nor a commit is left out.

    `responding` is the turn whose response goes on.
    """
    snapshots: list[OpenTurn] = []
    for turn, heard in turns:
        said = tuple((item_id, text.strip()) for item_id, text in turn.texts.items())
        if turn.state is not TurnState.LISTENING or any(text for _, text in said):
            snapshots.append(OpenTurn(turn.id, said, tuple(_heard_items(turn, heard, goes_on=turn is responding))))
    return tuple(snapshots)


def _heard_items(turn: Turn, heard: Sequence[Heard], *, goes_on: bool) -> Iterator[tuple[str, str]]:
    sounds = {item.item_id: item for item in heard}
    growing = next(reversed(turn.response_texts), None) if goes_on else None
    for item_id, text in turn.response_texts.items():
        sound = sounds.get(item_id)
        if sound is None or sound.heard_ms <= 0:
            continue
        known = spoken_part(text.strip(), sound.received_ms) if item_id == growing else text.strip()
        if part := heard_part(known, sound.heard_ms, sound.received_ms):
            yield item_id, part
