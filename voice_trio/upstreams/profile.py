"""What the gateway must know of an upstream: its URL, its headers, its gate, what it can do, and how its wire differs.

The gate decides who makes an upstream respond. Context can stand before a response only if nothing responds earlier.
"""

from __future__ import annotations

import base64
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING, Literal, Protocol, TypeAlias
from urllib.parse import parse_qsl, urlsplit

from voice_trio.net.dial import with_query
from voice_trio.protocols.realtime import append_audio, read_event, session_update, write_command

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from voice_trio.conversation import commands, events
    from voice_trio.conversation.full_duplex.events import AnyUpstreamEvent
    from voice_trio.protocols.realtime import RealtimeConfig, SessionState

_WEB_TOKEN = re.compile(r"eyJ[\w-]+\.[\w-]+\.[\w-]+")  # a JSON Web Token; no resource key has a dot

Role: TypeAlias = Literal["system", "user", "developer"]


class Gate(Enum):
    """What makes the upstream respond, and so what the context must come before."""

    HELD = "create_response: false holds: it detects and commits turns, and responds only to response.create"
    OWN_COMMIT = "turn detection is off: the gateway detects and commits, then asks with response.create"
    COMMIT_ANSWERS = "turn detection is off: the gateway detects, and its commit is responded to by itself"
    NONE = "full duplex: it responds when it decides to; context goes in while the user speaks"

    @property
    def detects_here(self) -> bool:
        """Whether the gateway detects speech and commits it."""
        return self in (Gate.OWN_COMMIT, Gate.COMMIT_ANSWERS)


class Authorization(Enum):
    """How the key is sent; the value is the header's form."""

    BEARER = "Authorization: Bearer KEY"
    API_KEY = "api-key: KEY, or Authorization: Bearer TOKEN for a token of Entra ID"
    BASIC = "Authorization: Basic KEY, or Bearer TOKEN for a JSON Web Token"

    def header(self, key: str) -> tuple[str, str]:
        """Name and value. A key of `BASIC` that is no base64 yet (it has a colon) is encoded."""
        if self is Authorization.BEARER or _WEB_TOKEN.fullmatch(key):
            return "Authorization", f"Bearer {key}"
        match self:
            case Authorization.API_KEY:
                return "api-key", key
            case Authorization.BASIC:
                return "Authorization", "Basic " + (base64.b64encode(key.encode()).decode() if ":" in key else key)


class Translator(Protocol):
    """Reads and writes the frames of one connection; it may keep what it needs to know of that connection."""

    def session_update(self, config: RealtimeConfig, event_id: str) -> str:
        """The first frame of ours: the upstream transcribes, and responds only as its profile's gate says."""
        ...

    def read(self, frame: str) -> Iterable[AnyUpstreamEvent | SessionState]:
        """The events of one frame, in order; none for one without meaning. Raises `BadMessage` for what is no event.

        `session.created` and `session.updated` come as `SessionState`, with what this upstream's own fields say.
        """
        ...

    def write(self, command: commands.UpstreamCommand) -> Iterable[str]:
        """The frames of a command, in order; none where the upstream has nothing like it."""
        ...

    def append_audio(self, audio: str) -> str:
        """The frame of `audio`, base64 of PCM16 mono 24 kHz that has been checked."""
        ...


class RealtimeTranslator:
    """OpenAI's GA wire as it is; base class of those that differ from it in a few places."""

    def session_update(self, config: RealtimeConfig, event_id: str) -> str:
        return session_update(config, event_id)

    def read(self, frame: str) -> Iterable[events.UpstreamEvent | SessionState]:
        return (read_event(frame),)

    def write(self, command: commands.UpstreamCommand) -> Iterable[str]:
        return (write_command(command),)

    def append_audio(self, audio: str) -> str:
        return append_audio(audio)


@dataclass(frozen=True, slots=True, kw_only=True)
class UpstreamProfile:
    """One kind of upstream. The defaults are those of OpenAI's GA interface."""

    name: str
    """As `VOICE_UPSTREAM` has it."""
    title: str
    """For people."""
    authorization: Authorization = Authorization.BEARER
    needs_key: bool = False
    """Whether it refuses a connection without a key."""
    model: str | None = None
    """The model where `OPENAI_REALTIME_MODEL` is not set; None: the default of that variable."""
    transcription_model: str | None = None
    """The same for `OPENAI_TRANSCRIPTION_MODEL`."""
    voice: str | None = None
    """The same for `VOICE_NAME`; "": the one that the upstream has by default."""
    gate: Gate = Gate.HELD
    interrupts: bool = True
    """Whether it cancels its response by itself when speech begins."""
    truncates: bool = True
    """Whether an item can be cut at what was heard."""
    deletes: bool = True
    """Whether an item can be deleted."""
    changes_speed: bool = True
    """Whether the speed of speech can be changed between responses."""
    context_role: Role = "system"
    """The role of the item with the passages: one that the upstream obeys."""
    speaks_openai: bool = True
    """Whether a client of OpenAI's own protocol can be served: frames are passed on as they are."""
    transcribes_speech: bool = True
    """Whether words come during speech, with the right transcription model; else the sidecar is needed for them."""
    transcribes_apart: bool = True
    """Whether it has sessions that only transcribe (`?intent=transcription`), for the sidecar."""
    fallback_transcription_model: str | None = "gpt-transcribe"
    """Tried once where the configured model is refused or fails; every server of this kind should have it."""
    session_seconds_max: float = 3600.0
    """How long it keeps a session, by its documentation."""
    translator: Callable[[], Translator] | None = None
    """Makes the translator of a connection; None: OpenAI's GA wire, which needs none."""
    path: str = ""
    """Where it listens, for a URL that names only the host."""
    parameters: tuple[tuple[str, str], ...] = ()
    """Of its URL, with their values where a URL lacks them."""
    paths_replaced: tuple[str, ...] = ()
    """Paths of other kinds of upstream at the same host, for a URL that was left as it was."""
    model_parameter: str | None = "model"
    """The parameter of the URL that names the model; None: the URL does not name it."""

    def url(self, given: str, model: str) -> str:
        """The URL of a conversation; what `given` has of a path and of parameters stays, but for the model."""
        names = {} if self.model_parameter is None else {self.model_parameter: model}
        return with_query(self._completed(given), **names)

    def transcription_url(self, given: str) -> str:
        """The URL of a session that only transcribes."""
        without = {} if self.model_parameter is None else {self.model_parameter: None}
        return with_query(self._completed(given), **without, intent="transcription")

    def headers(self, key: str | None, safety_identifier: str = "") -> dict[str, str]:
        """The headers of the opening request; `safety_identifier` is the user's, hashed by the caller."""
        headers = dict([self.authorization.header(key)]) if key else {}
        if safety_identifier and self.speaks_openai:
            headers["OpenAI-Safety-Identifier"] = safety_identifier
        return headers

    def _completed(self, given: str) -> str:
        parts = urlsplit(given)
        if self.path and parts.path in ("", "/", *self.paths_replaced):
            given = parts._replace(path=self.path).geturl()
        has = dict(parse_qsl(parts.query, keep_blank_values=True))
        lacks = {name: value for name, value in self.parameters if name not in has}
        return with_query(given, **lacks) if lacks else given
