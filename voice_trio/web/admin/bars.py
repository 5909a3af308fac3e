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
    from pydantic import SecretStr

    from voice_trio.state.rollout import Rollout
    from voice_trio.state.state import State


@dataclass(frozen=True, slots=True)
class BarChange:
    """What was done for a user with these `hashes`; without a change the document is the one that was in force."""

    hashes: tuple[str, ...]
    changed: bool
    rollout: Rollout

    def as_json(self) -> dict[str, Any]:
        """The body of `PUT|DELETE /v1/voice/rollout/barred`."""
        return {"changed": self.changed, "users": list(self.hashes), "rollout": rollout_as_json(self.rollout)}


async def set_barred(state: State, signing_secret: SecretStr | None, user: str, *, barred: bool) -> BarChange:
    """Bar `user`, an id or a hash, or unbar them.

    A text of 32 hexadecimal digits may be either, so both meanings are barred. Raises `BadMessage` for a wrong `user`,
    a full list, or a document that others keep changing, and `StateUnavailable`.
    """
    hashes = user_hashes(user, signing_secret)
    for _ in range(limits.OPERATOR_CHANGES_MAX):
        before = await state.rollout()
        others = tuple(entry for entry in before.barred if entry not in hashes)
        wanted = (*others, *hashes) if barred else others
        if set(wanted) == set(before.barred):
            return BarChange(hashes, changed=False, rollout=before)
        if len(wanted) > limits.ROLLOUT_ENTRIES_MAX:
            raise BadMessage(f"barred: at most {limits.ROLLOUT_ENTRIES_MAX} users can be barred")
        after = await state.replace_rollout(msgspec.structs.replace(before, barred=wanted))
        if after is not None:
            return BarChange(hashes, changed=True, rollout=after)
    raise BadMessage("version: others changed the document at the same time; try again")
