"""The rollout document: which users may use voice while it is being introduced. Pure: no clock, no storage."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from voice_trio import limits
from voice_trio.errors import BadMessage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.settings import Access

VERSION_MAX = 2**53 - 1
"""The largest integer that every JSON parser represents exactly (RFC 8259 §6)."""

_Entry = Annotated[str, msgspec.Meta(min_length=1, max_length=limits.ROLLOUT_ENTRY_CHARS_MAX)]
_Hash = Annotated[str, msgspec.Meta(pattern=r"\A[0-9a-f]{32}\Z")]
_Hashes = Annotated[tuple[_Hash, ...], msgspec.Meta(max_length=limits.ROLLOUT_ENTRIES_MAX)]
_Entries = Annotated[tuple[_Entry, ...], msgspec.Meta(max_length=limits.ROLLOUT_ENTRIES_MAX)]


class Rollout(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One version of the document. `percent` is of users, 0 to 100; `message` is sent to the users that it refuses."""

    enabled: bool
    percent: Annotated[float, msgspec.Meta(ge=0, le=100)]
    beta_users: _Entries
    plans: _Entries
    message: Annotated[str, msgspec.Meta(max_length=limits.ROLLOUT_MESSAGE_CHARS_MAX)] = ""
    end_sessions: bool = False
    """With `enabled: false`: open sessions end too. No effect while `enabled`."""
    barred: _Hashes = ()
    """Hashes of users who are never admitted, administrators too; their open sessions end."""
    version: Annotated[int, msgspec.Meta(ge=0, le=VERSION_MAX)]

    @property
    def ends_sessions(self) -> bool:
        """Whether open sessions must end."""
        return self.end_sessions and not self.enabled

    def bars(self, hashed: str) -> bool:
        """Whether the user with this hash is barred."""
        return hashed in self.barred

    def includes_plan(self, plan: str) -> bool:
        """Whether `plan` includes voice; compared without case."""
        return plan.casefold() in {name.casefold() for name in self.plans}

    def includes_user(self, user_id: str, email: str) -> bool:
        """Whether the user is on the beta list, by id or email, or within the percentage."""
        folded = {entry.casefold() for entry in self.beta_users}
        is_beta = user_id in self.beta_users or bool(email and email.casefold() in folded)
        return is_beta or percent_position(user_id) < self.percent


def first_rollout(access: Access) -> Rollout:
    """The document that the settings give while none is stored."""
    return Rollout(
        enabled=True,
        percent=access.rollout_percent,
        beta_users=access.beta_users,
        plans=access.allowed_plans,
        version=0,
    )


def percent_position(user_id: str) -> float:
    """The user's fixed position in [0, 100): raising the percentage never excludes a user who was included."""
    digest = hashlib.sha256(b"voice_trio rollout " + user_id.encode("utf-8", "surrogatepass")).digest()
    return int.from_bytes(digest[:4]) / 2**32 * 100


def parse_rollout(document: object) -> Rollout:
    """Validate a decoded JSON value. `message`, `end_sessions` and `barred` may be absent; unknown fields are refused.

    Raises `BadMessage` that names the wrong field.
    """
    try:
        return msgspec.convert(document, Rollout, strict=True)
    except msgspec.ValidationError as error:
        raise BadMessage(f"rollout: {_with_field_first(str(error))}") from error


def encode_rollout(rollout: Rollout, unknown: Mapping[str, Any]) -> bytes:
    """The document as it is stored, with the `unknown` fields of a later version.

    An empty `barred` is left out: an instance of an earlier version would not read a document that has the field.
    """
    fields = rollout_as_json(rollout)
    if not rollout.barred:
        del fields["barred"]
    return msgspec.json.encode({**unknown, **fields})


def decode_rollout(data: bytes) -> tuple[Rollout, dict[str, Any]]:
    """A stored document, and its fields that this version does not know. Raises `BadMessage`."""
    try:
        fields = msgspec.json.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadMessage("rollout: not valid JSON") from error
    if not isinstance(fields, dict):
        return parse_rollout(fields), {}
    known = {name: fields[name] for name in Rollout.__struct_fields__ if name in fields}
    return parse_rollout(known), {name: value for name, value in fields.items() if name not in known}


def rollout_as_json(rollout: Rollout) -> dict[str, Any]:
    """The document as `GET /v1/voice/rollout` returns it."""
    fields: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(rollout))
    return fields


def _with_field_first(message: str) -> str:
    """`Expected `bool`, got `str` - at `$.enabled`` → `enabled: Expected `bool`, got `str``."""
    what, separator, where = message.rpartition(" - at `$.")
    return f"{where.rstrip('`')}: {what}" if separator else message
