"""Barring users from voice, and admitting them again: a change of the rollout document."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import msgspec

from voice_trio import limits
from voice_trio.auth.tokens import user_hashes
from voice_trio.errors import BadMessage
from voice_trio.state.rollout import rollout_as_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from pydantic import SecretStr

    from voice_trio.state.rollout import Rollout
    from voice_trio.state.state import State


@dataclass(frozen=True, slots=True)
class BarChange:
    """What was done for a user: the `hashes` that are barred now, or were; the document in force afterwards."""

    hashes: tuple[str, ...]
    changed: bool
    rollout: Rollout

    def as_json(self) -> dict[str, Any]:
        """The body of `PUT|DELETE /v1/voice/rollout/barred`."""
        return {"changed": self.changed, "users": list(self.hashes), "rollout": rollout_as_json(self.rollout)}


async def set_barred(state: State, secrets: Sequence[SecretStr], user: str, *, barred: bool) -> BarChange:
    """Bar `user`, an id or a hash, or unbar them.

    A text of 32 hexadecimal digits may be either, so both meanings are barred. `secrets` are those of user hashes,
    today's first: a bar may be older. Raises `BadMessage` for a wrong `user`, a full list, or a document that others
    keep changing, and `StateUnavailable`.
    """
    hashes = user_hashes(user, secrets)
    added = user_hashes(user, secrets[:1]) if barred else ()
    for _ in range(limits.OPERATOR_CHANGES_MAX):
        before = await state.rollout()
        others = tuple(entry for entry in before.barred if entry not in hashes)
        named = added or tuple(entry for entry in before.barred if entry in hashes) or hashes[:1]
        if set(others) | set(added) == set(before.barred):
            return BarChange(named, changed=False, rollout=before)
        wanted = (*others, *added)
        if len(wanted) > limits.ROLLOUT_ENTRIES_MAX:
            raise BadMessage(f"barred: at most {limits.ROLLOUT_ENTRIES_MAX} users can be barred")
        after = await state.replace_rollout(msgspec.structs.replace(before, barred=wanted))
        if after is not None:
            return BarChange(named, changed=True, rollout=after)
    raise BadMessage("version: others changed the document at the same time; try again")
