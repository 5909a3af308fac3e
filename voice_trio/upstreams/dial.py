"""The dials of a session: where its upstream is, and with which key."""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.net.dial import UpstreamDial
from voice_trio.upstreams.openai import OPENAI

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.upstreams.profile import UpstreamProfile


def make_dial(
    url: str,
    model: str,
    key: str | None,
    safety_identifier: str = "",
    *,
    profile: UpstreamProfile = OPENAI,
    headers: Mapping[str, str] | None = None,
) -> UpstreamDial:
    """The `Dial` for conversations at `url`, without the model. `headers` replace others of the same name.

    `safety_identifier` is the user's, hashed by the caller.
    """
    return UpstreamDial(profile.url(url, model), _merged(profile.headers(key, safety_identifier), headers or {}))


def make_sidecar_dial(
    url: str,
    key: str | None,
    safety_identifier: str = "",
    *,
    profile: UpstreamProfile = OPENAI,
    headers: Mapping[str, str] | None = None,
) -> UpstreamDial:
    """The same for the sidecar, whose session only transcribes."""
    return UpstreamDial(profile.transcription_url(url), _merged(profile.headers(key, safety_identifier), headers or {}))


def _merged(ours: Mapping[str, str], given: Mapping[str, str]) -> dict[str, str]:
    replaced = {name.lower() for name in given}
    return {name: value for name, value in ours.items() if name.lower() not in replaced} | dict(given)
