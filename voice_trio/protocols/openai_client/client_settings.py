"""The session settings of one client of OpenAI's protocol: what it may set, what is in force, what it is shown.

The gateway's instructions, its transcription model and `create_response: false` stay in force whatever the client asks
for; the client's instructions are appended to the gateway's. A setting the client may not have is left out where the
client can do without it. Where it could not (another audio format, a tool that is no function) it gets an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, TypeAlias, TypedDict

import msgspec

from voice_trio.conversation.passthrough.requests import TurnPolicyUpdated
from voice_trio.errors import InvalidEvent
from voice_trio.protocols.openai_client.request_content import function_choice, function_tools
from voice_trio.protocols.realtime.sessions import PCM_24K

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence, Set

    from voice_trio.protocols.realtime import RealtimeConfig

INSTRUCTIONS_CHARACTERS_MAX = 32_000
PENDING_MAX = 64
SETTING_NAMES = frozenset(
    {
        "instructions",
        "voice",
        "speed",
        "turn_detection",
        "tools",
        "output_modalities",
        "language",
        "noise_reduction",
        "max_output_tokens",
        "reasoning",
        "transcription_model",
    }
)
"""All that `allowed` may hold."""

_TURN_DETECTION = frozenset(
    {"type", "threshold", "prefix_padding_ms", "silence_duration_ms", "eagerness", "interrupt_response"}
)

_Json: TypeAlias = dict[str, Any]


@dataclass(frozen=True, slots=True)
class _InForce:
    """The client's own settings, as of the last update the upstream has accepted."""

    instructions: str = ""
    tools: Sequence[_Json] = ()
    tool_choice: Any = "auto"
    wants_transcripts: bool = False
    turn_policy: TurnPolicyUpdated = field(
        default_factory=lambda: TurnPolicyUpdated(automatic=True, interrupts=True, detects_turns=True)
    )


class _Changes(TypedDict, total=False):
    """The fields of `_InForce` that an update changes."""

    instructions: str
    tools: Sequence[_Json]
    tool_choice: Any
    wants_transcripts: bool
    turn_policy: TurnPolicyUpdated


@dataclass(frozen=True, slots=True)
class _PendingUpdate:
    """An update the upstream has not answered; `event_id` is the client's own id of it."""

    event_id: str | None
    changes: _Changes


class ClientSettings:
    """One client's settings; `allowed` are those of `SETTING_NAMES` that it may set.

    An update is requested, then accepted or refused by the upstream. It is in force only once it has been accepted.
    """

    def __init__(self, config: RealtimeConfig, allowed: Set[str]) -> None:
        self._config = config
        self._allowed = allowed
        self._in_force = _InForce()
        self._pending: dict[str, _PendingUpdate] = {}

    @property
    def wants_transcripts(self) -> bool:
        """Whether the client asked for transcription events."""
        return self._in_force.wants_transcripts

    @property
    def turn_policy(self) -> TurnPolicyUpdated:
        """Who creates responses and who interrupts them, by the updates that were accepted."""
        return self._in_force.turn_policy

    @property
    def may_instruct(self) -> bool:
        """Whether the client may give instructions to the model, also as system items."""
        return "instructions" in self._allowed

    def use_transcription_model(self, model: str) -> None:
        """The upstream transcribes with `model`. The configured one may have been refused, and would be again."""
        self._config = replace(self._config, transcription_model=model)

    def request_update(self, update_id: str, asked: Mapping[str, Any], event_id: str | None = None) -> _Json:
        """The session object to send upstream for the one a client sent, under our `update_id`.

        Raises `InvalidEvent` for what is not supported. The update is pending until `accept_oldest` or `refuse`.
        """
        if len(self._pending) >= PENDING_MAX:
            raise InvalidEvent("Too many updates are on their way.", code="rate_limit_exceeded")
        if asked.get("type") != "realtime":
            raise InvalidEvent("Only session type 'realtime' is supported.", param="session.type")
        session: _Json = {"type": "realtime"}
        if "instructions" in asked and self.may_instruct:
            session["instructions"] = self._with_ours(asked["instructions"] or "", "session.instructions")
        session |= self._tools(asked, "session")
        session |= self._unchanged(asked)
        audio = asked.get("audio") or {}
        sides = {
            "input": self._audio_input(audio.get("input") or {}),
            "output": self._audio_output(audio.get("output") or {}, "session"),
        }
        if audio := {side: values for side, values in sides.items() if values}:
            session["audio"] = audio
        self._pending[update_id] = _PendingUpdate(event_id, self._changes(asked))
        return session

    def accept_oldest(self) -> None:
        """The upstream has accepted the oldest pending update: Realtime servers answer updates in order."""
        if self._pending:
            update = self._pending.pop(next(iter(self._pending)))
            self._in_force = replace(self._in_force, **update.changes)

    def is_pending(self, update_id: str | None) -> bool:
        """Whether the upstream has neither accepted nor refused that update."""
        return update_id in self._pending

    def refuse(self, update_id: str) -> str | None:
        """The upstream has refused a pending update; returns the client's own id of it."""
        return self._pending.pop(update_id).event_id

    def response_body(self, asked: Mapping[str, Any]) -> _Json:
        """The `response` of a `response.create`, from one the client sent; raises `InvalidEvent`."""
        body = {name: asked[name] for name in ("input", "conversation", "metadata") if asked.get(name) is not None}
        if asked.get("instructions") is not None and self.may_instruct:
            body["instructions"] = self._with_ours(asked["instructions"], "response.instructions")
        body |= self._tools(asked, "response")
        body |= self._unchanged(asked)
        if output := self._audio_output((asked.get("audio") or {}).get("output") or {}, "response"):
            body["audio"] = {"output": output}
        return body

    def visible_session(self, session_json: str, expires_at: float) -> _Json:
        """The upstream's session as the client sees it: its own instructions and tools in place of the gateway's.

        `expires_at` is the end of the gateway's session, in Unix time.
        """
        session: _Json = msgspec.json.decode(session_json)
        session["instructions"] = self._in_force.instructions
        session["tools"], session["tool_choice"] = self._in_force.tools, self._in_force.tool_choice
        session["expires_at"] = int(expires_at)
        audio_input = (session.get("audio") or {}).get("input")
        if isinstance(audio_input, dict):
            if not self.wants_transcripts:
                audio_input["transcription"] = None
            if isinstance(audio_input.get("turn_detection"), dict):
                audio_input["turn_detection"]["create_response"] = self.turn_policy.automatic
        return session

    def _changes(self, asked: Mapping[str, Any]) -> _Changes:
        changes: _Changes = {}
        if "instructions" in asked and self.may_instruct:
            changes["instructions"] = asked["instructions"] or ""
        tools = self._tools(asked, "session")
        if "tools" in tools:
            changes["tools"] = tools["tools"]
        if "tool_choice" in tools:
            changes["tool_choice"] = tools["tool_choice"]
        audio_input = (asked.get("audio") or {}).get("input") or {}
        if "turn_detection" in audio_input and "turn_detection" in self._allowed:
            changes["turn_policy"] = _turn_policy(audio_input["turn_detection"])
        if "transcription" in audio_input:
            changes["wants_transcripts"] = audio_input["transcription"] is not None
        return changes

    def _with_ours(self, text: str, param: str) -> str:
        if len(text) > INSTRUCTIONS_CHARACTERS_MAX:
            raise InvalidEvent(f"Instructions of more than {INSTRUCTIONS_CHARACTERS_MAX} characters.", param=param)
        return f"{self._config.instructions}\n\n{text}" if text.strip() else self._config.instructions

    def _tools(self, asked: Mapping[str, Any], where: str) -> _Json:
        if "tools" not in self._allowed:
            return {}
        settings: _Json = {}
        if asked.get("tools") is not None:
            settings["tools"] = function_tools(asked["tools"], f"{where}.tools")
        if asked.get("tool_choice") is not None:
            settings["tool_choice"] = function_choice(asked["tool_choice"], f"{where}.tool_choice")
        if asked.get("parallel_tool_calls") is not None:
            settings["parallel_tool_calls"] = asked["parallel_tool_calls"]
        return settings

    def _unchanged(self, asked: Mapping[str, Any]) -> _Json:
        names = {"output_modalities", "max_output_tokens", "reasoning"} & self._allowed
        given = {name: asked[name] for name in sorted(names) if asked.get(name) is not None}
        if "max_output_tokens" in given:
            given["max_output_tokens"] = self._capped(given["max_output_tokens"])
        if "reasoning" in given:
            given["reasoning"] = _kept(given["reasoning"], "effort")
        return given

    def _capped(self, tokens: int | str) -> int:
        """A client may lower the gateway's bound on the output of a response, and not raise it."""
        highest = self._config.max_output_tokens
        return min(tokens, highest) if isinstance(tokens, int) else highest

    def _audio_input(self, asked: Mapping[str, Any]) -> _Json:
        _check_format(asked.get("format"), "session.audio.input.format")
        settings: _Json = {}
        if "turn_detection" in asked and "turn_detection" in self._allowed:
            settings["turn_detection"] = _turn_detection(asked["turn_detection"])
        # A client that turns transcription off only stops seeing it: retrieval needs the words of every turn.
        if asked.get("transcription") is not None:
            settings["transcription"] = self._transcription(asked["transcription"])
        if "noise_reduction" in asked and "noise_reduction" in self._allowed:
            noise_reduction = asked["noise_reduction"]
            settings["noise_reduction"] = noise_reduction and _kept(noise_reduction, "type", "strength")
        return settings

    def _transcription(self, asked: Mapping[str, Any]) -> _Json:
        transcription: _Json = {"model": self._config.transcription_model}
        if asked.get("model") and "transcription_model" in self._allowed:
            transcription["model"] = asked["model"]
        if asked.get("language") and "language" in self._allowed:
            transcription["language"] = asked["language"]
        return transcription

    def _audio_output(self, asked: Mapping[str, Any], where: str) -> _Json:
        _check_format(asked.get("format"), f"{where}.audio.output.format")
        names = [name for name in ("voice", "speed") if name in self._allowed]
        given = {name: asked[name] for name in names if asked.get(name) is not None}
        if isinstance(given.get("voice"), dict):
            given["voice"] = _kept(given["voice"], "id")
        return given


def _kept(values: Mapping[str, Any], *names: str) -> _Json:
    return {name: values[name] for name in names if name in values}


def _turn_detection(asked: Mapping[str, Any] | None) -> _Json | None:
    # With `create_response` or `idle_timeout_ms` the upstream would respond by itself, without context.
    if asked is None:
        return None
    kept = {name: value for name, value in asked.items() if name in _TURN_DETECTION and value is not None}
    return {**kept, "create_response": False}


def _turn_policy(asked: Mapping[str, Any] | None) -> TurnPolicyUpdated:
    detection = asked or {}
    return TurnPolicyUpdated(
        automatic=detection.get("create_response", True),
        interrupts=detection.get("interrupt_response", True),
        detects_turns=asked is not None,
    )


def _check_format(asked: Mapping[str, Any] | None, param: str) -> None:
    # Durations are computed for PCM16 at 24 kHz everywhere in the gateway.
    if asked is not None and asked.get("type") not in (None, PCM_24K["type"]):
        raise InvalidEvent("Only 'audio/pcm' at 24000 Hz is supported.", param=param)
