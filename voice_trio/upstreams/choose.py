"""Which profile an upstream has: the one that is set, else by the host and the path of its URL."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Literal, TypeAlias
from urllib.parse import urlsplit

from voice_trio.upstreams.azure import AZURE
from voice_trio.upstreams.azure_voice_live import AZURE_VOICE_LIVE
from voice_trio.upstreams.flat import FLAT
from voice_trio.upstreams.gpt_live import GPT_LIVE
from voice_trio.upstreams.openai import OPENAI
from voice_trio.upstreams.profile import Authorization
from voice_trio.upstreams.xai import XAI

if TYPE_CHECKING:
    from voice_trio.upstreams.profile import UpstreamProfile

ProfileName: TypeAlias = Literal["auto", "openai", "azure", "azure-voice-live", "flat", "gpt-live", "xai"]
_ALL = (OPENAI, AZURE, AZURE_VOICE_LIVE, FLAT, GPT_LIVE, XAI)
PROFILES: dict[str, UpstreamProfile] = {profile.name: profile for profile in _ALL}
_AZURE_HOSTS = (".openai.azure.com", ".cognitiveservices.azure.com", ".services.ai.azure.com")
_BASIC_HOSTS = ("api.inworld.ai",)
"""OpenAI's interface, by their documents, under another scheme of authorization."""


def profile_for(name: ProfileName, url: str) -> UpstreamProfile:
    """The profile of that name; for `auto` the one that the host and path of `url` point to, else OpenAI's."""
    profile = PROFILES[_name_by_url(url) if name == "auto" else name]
    host = (urlsplit(url).hostname or "").lower()
    if profile is OPENAI and host in _BASIC_HOSTS:
        return replace(OPENAI, authorization=Authorization.BASIC)
    if profile is GPT_LIVE and host.endswith(_AZURE_HOSTS):
        return replace(GPT_LIVE, authorization=Authorization.API_KEY, needs_key=True, path="/openai/v1/live/sessions")
    return profile


def _name_by_url(url: str) -> str:
    parts = urlsplit(url)
    if parts.path.lower().startswith("/voice-live/"):
        return "azure-voice-live"
    if parts.path.lower().endswith("/live/sessions"):
        return "gpt-live"
    if (parts.hostname or "").lower().endswith(_AZURE_HOSTS):
        return "azure"
    if (parts.hostname or "").lower() == "api.x.ai":
        return "xai"
    return "openai"
