"""The variables of the upstream: its kind, where it is, its models, and the sidecar beside it.

Knows neither how variables are read nor the rules between groups. docs/configuration.md is generated from it too.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, Literal, get_args
from urllib.parse import urlsplit

from pydantic import SecretStr  # noqa: TC002 - pydantic reads the annotations when the module loads

from voice_trio import limits
from voice_trio.settings.headers import SecretHeaders, headers_of
from voice_trio.settings.reading import Group, SocketUrl, any_case, env
from voice_trio.upstreams.choose import ProfileName, profile_for

if TYPE_CHECKING:
    from voice_trio.upstreams.profile import UpstreamProfile

OPENAI_HOST = "api.openai.com"
STREAMING_TRANSCRIPTION_MODEL = "gpt-realtime-whisper"


@dataclass(frozen=True, slots=True)
class SidecarServer:
    """The server of the sidecar. The upstream's key and headers go to no other host."""

    url: str
    profile: UpstreamProfile
    key: str | None = field(repr=False)
    headers: dict[str, str] = field(repr=False)
    model: str


class Upstream(Group):
    """The upstream server and its models."""

    api_key: SecretStr | None = env(
        "OPENAI_API_KEY",
        None,
        "the API key of the upstream; never sent to a client, never logged; if missing while the upstream is OpenAI: "
        "health `degraded`, sessions refused with 1011",
    )
    url: SocketUrl = env(
        "OPENAI_REALTIME_URL",
        f"wss://{OPENAI_HOST}/v1/realtime",
        "any server with the Realtime GA protocol, or one of the kinds of `VOICE_UPSTREAM`; `ws://` is allowed",
    )
    profile_name: Annotated[ProfileName, any_case(*get_args(ProfileName))] = env(
        "VOICE_UPSTREAM",
        "auto",
        "the kind of upstream: " + ", ".join(f"`{name}`" for name in get_args(ProfileName) if name != "auto") + "; "
        "`auto`: after the host and path of `OPENAI_REALTIME_URL`, else `openai`",
    )
    headers_given: SecretHeaders | None = env(
        "VOICE_UPSTREAM_HEADERS",
        None,
        'headers for each connection to the upstream, as a JSON object (`{"x-team": "voice"}`); they replace others '
        "of the same name, `Authorization` too",
    )
    model: str = env(
        "OPENAI_REALTIME_MODEL",
        "gpt-realtime-2.1",
        "the conversation's model, with Azure OpenAI the name of a deployment; other kinds of upstream have their own "
        "default",
        max_length=200,
    )
    transcription_model: str = env(
        "OPENAI_TRANSCRIPTION_MODEL",
        STREAMING_TRANSCRIPTION_MODEL,
        "must stream during speech for early retrieval; if refused, `gpt-transcribe` is tried once, health `degraded`; "
        "with Azure OpenAI the name of a deployment; other kinds of upstream have their own default",
        max_length=200,
    )
    attempts_max: int = env(
        "UPSTREAM_MAX_ATTEMPTS", 3, "attempts to connect when a session begins, of at most 4 s each", ge=1, le=20
    )
    backoff_factor: float = env(
        "UPSTREAM_BACKOFF_FACTOR", 2.0, "factor by which each pause between these attempts grows", ge=1, le=10
    )
    recovery_seconds: float = env(
        "UPSTREAM_RECOVERY_SECONDS",
        limits.RECOVERY_SECONDS,
        "seconds that a session looks for another upstream when it has lost its own; then it ends, to be resumed",
        ge=1,
        le=600,
    )
    live_store: bool = env(
        "VOICE_LIVE_STORE",
        False,
        "GPT-Live only: whether OpenAI stores each session, so that a lost connection goes on where it was; `false`: "
        "the next one begins with the text of what was said",
    )
    sidecar_transcription: Annotated[Literal["auto", "on", "off"], any_case("auto", "on", "off")] = env(
        "VOICE_SIDECAR_TRANSCRIPTION",
        "auto",
        "a second upstream connection that only transcribes, for text during speech: `auto` if the conversation "
        "refuses `OPENAI_TRANSCRIPTION_MODEL` or uses one that does not stream, `on`, `off`",
    )
    sidecar_url: SocketUrl | None = env(
        "VOICE_SIDECAR_URL",
        None,
        "another server for that second connection, of OpenAI's or Azure OpenAI's interface; needed where the upstream "
        "gives no words during speech and has no sessions that only transcribe (`azure-voice-live`, `flat`)",
    )
    sidecar_key: SecretStr | None = env(
        "VOICE_SIDECAR_API_KEY",
        None,
        "the key of `VOICE_SIDECAR_URL`; unset: `OPENAI_API_KEY` if it is on the upstream's host, else none",
    )
    sidecar_model: str | None = env(
        "VOICE_SIDECAR_MODEL",
        None,
        "the transcription model of the second connection, with Azure OpenAI the name of a deployment; unset: "
        f"`OPENAI_TRANSCRIPTION_MODEL`, with `VOICE_SIDECAR_URL` `{STREAMING_TRANSCRIPTION_MODEL}`",
        max_length=200,
    )

    @cached_property
    def profile(self) -> UpstreamProfile:
        """The kind of upstream: the one that is set, else by the URL."""
        return profile_for(self.profile_name, self.url)

    @property
    def profile_defaults(self) -> dict[str, str]:
        """The profile's defaults of variables whose usual ones are for OpenAI, by name."""
        defaults = {
            "OPENAI_REALTIME_MODEL": self.profile.model,
            "OPENAI_TRANSCRIPTION_MODEL": self.profile.transcription_model,
            "VOICE_NAME": self.profile.voice,
        }
        return {name: value for name, value in defaults.items() if value is not None}

    @property
    def key(self) -> str | None:
        return None if self.api_key is None else self.api_key.get_secret_value()

    @property
    def headers(self) -> dict[str, str]:
        """Those of `VOICE_UPSTREAM_HEADERS`."""
        return headers_of(self.headers_given)

    @property
    def sidecar(self) -> SidecarServer | None:
        """Where the sidecar transcribes; None: this upstream can have none."""
        url = self.sidecar_url or self.url
        profile = self.profile if self.sidecar_url is None else profile_for("auto", url)
        if self.sidecar_transcription == "off" or not profile.transcribes_apart:
            return None
        is_here = urlsplit(url).netloc == urlsplit(self.url).netloc
        given = self.sidecar_key.get_secret_value() if self.sidecar_key else None
        model = self.transcription_model if self.sidecar_url is None else STREAMING_TRANSCRIPTION_MODEL
        return SidecarServer(
            url,
            profile,
            key=given or (self.key if is_here else None),
            headers=self.headers if is_here else {},
            model=self.sidecar_model or model,
        )

    @property
    def warnings(self) -> tuple[str, ...]:
        """For the operator."""
        if self.profile.transcribes_speech or self.sidecar is not None:
            return ()
        return (
            f"{self.profile.title} gives no words during speech, so most spoken answers get no passages: set "
            "VOICE_SIDECAR_URL, or raise RAG_WAIT_MS",
        )

    @property
    def is_configured(self) -> bool:
        """Whether sessions can be opened: some upstreams require a key, other servers may not."""
        is_openai = (urlsplit(self.url).hostname or "").lower() == OPENAI_HOST
        return bool(self.api_key or self.headers) or not (is_openai or self.profile.needs_key)
