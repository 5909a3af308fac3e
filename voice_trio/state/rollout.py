"""The rollout document: who is let in while voice is being introduced. Pure: no clock, no storage."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from voice_trio.errors import BadMessage

if TYPE_CHECKING:
    from voice_trio.settings import Access

LIST_ENTRIES_MAX = 10_000
ENTRY_CHARS_MAX = 256
MESSAGE_CHARS_MAX = 1_000
VERSION_MAX = 2**53 - 1
"""The largest whole number that every JSON reader keeps exact."""

_Entry = Annotated[str, msgspec.Meta(min_length=1, max_length=ENTRY_CHARS_MAX)]
_Entries = Annotated[tuple[_Entry, ...], msgspec.Meta(max_length=LIST_ENTRIES_MAX)]


class Rollout(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version of the document. `percent` is of users, 0 to 100; `message` is told to those refused by it."""

    enabled: bool
    percent: Annotated[float, msgspec.Meta(ge=0, le=100)]
    beta_users: _Entries
    plans: _Entries
    message: Annotated[str, msgspec.Meta(max_length=MESSAGE_CHARS_MAX)] = ""
    end_sessions: bool = False
    """With `enabled: false`: sessions that are open end too. Means nothing while `enabled`."""
    version: Annotated[int, msgspec.Meta(ge=0, le=VERSION_MAX)]

    @property
    def ends_sessions(self) -> bool:
        """Whether no session may go on."""
        return self.end_sessions and not self.enabled

    def includes_plan(self, plan: str) -> bool:
        """Whether `plan`, in any case, includes voice."""
        return plan.casefold() in {name.casefold() for name in self.plans}

    def includes_user(self, user_id: str, email: str) -> bool:
        """Whether the user is on the beta list, by id or email, or within the percentage."""
        folded = {entry.casefold() for entry in self.beta_users}
        is_beta = user_id in self.beta_users or bool(email and email.casefold() in folded)
        return is_beta or place_in_percent(user_id) < self.percent


def first_rollout(access: Access) -> Rollout:
    """The document that the settings seed, once, where there is none yet."""
    return Rollout(
        enabled=True,
        percent=access.rollout_percent,
        beta_users=access.beta_users,
        plans=access.allowed_plans,
        version=0,
    )


def place_in_percent(user_id: str) -> float:
    """Where a user stands, from 0 up to but not including 100: always the same, so that raising keeps everyone in."""
    digest = hashlib.sha256(b"voice_trio rollout " + user_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4]) / 2**32 * 100


def parse_rollout(document: object) -> Rollout:
    """The document that a decoded JSON value describes; every field but `message` and `end_sessions` must be there, no
    other may.

    Raises `BadMessage` naming the field that is wrong.
    """
    try:
        return msgspec.convert(document, Rollout, strict=True)
    except msgspec.ValidationError as error:
        raise BadMessage(f"rollout: {_naming_the_field(str(error))}") from error


def rollout_as_json(rollout: Rollout) -> dict[str, Any]:
    """The document as `GET /v1/voice/rollout` shows it."""
    fields: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(rollout))
    return fields


def _naming_the_field(message: str) -> str:
    """`Expected `bool`, got `str` - at `$.enabled`` → `enabled: Expected `bool`, got `str``."""
    what, separator, where = message.rpartition(" - at `$.")
    return f"{where.rstrip('`')}: {what}" if separator else message
