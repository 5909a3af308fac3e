"""What a drop-in client wants of its session: the part it may have goes upstream, and is what it sees.

The server's instructions, its transcription model and `create_response: false` stay in force whatever a client says;
its own instructions are appended. What it asks for and may not have is left out, as long as it can do without; where
it could not (another sound format, a tool that is no function) it is told so. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import msgspec

from voice_trio.conversation.passthrough.requests import TurnPolicyUpdated
from voice_trio.errors import InvalidEvent
from voice_trio.protocols.realtime.writer import PCM_24K

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Set

    from voice_trio.protocols.realtime import RealtimeConfig

INSTRUCTIONS_CHARACTERS_MAX = 32_000
TOOLS_MAX = 128
PENDING_MAX = 64

_TURN_DETECTION = frozenset(
    {"type", "threshold", "prefix_padding_ms", "silence_duration_ms", "eagerness", "interrupt_response"}
)


@dataclass(frozen=True, slots=True)
class _Asked:
    """An update on its way: the client's own id of it, and what holds once the model has taken it."""

    event_id: str | None
    effects: list[Callable[[], None]]


class ClientSettings:
    """One client's; `allowed` are the names above. Those of an update count from its `accept` on."""

    def __init__(self, config: RealtimeConfig, allowed: Set[str]) -> None:
        self._config = config
        self._allowed = allowed
        self._instructions = ""
        self._tools: list[dict[str, Any]] = []
        self._tool_choice: Any = "auto"
        self._wants_transcripts = False
        self._manner = TurnPolicyUpdated(automatic=True, interrupts=True, detects_turns=True)
        self._pending: dict[str, _Asked] = {}

    def heard_by(self, transcription_model: str) -> None:
        """The model's server transcribes with that: what was wanted may have been refused, and would be again."""
        self._config = replace(self._config, transcription_model=transcription_model)

    @property
    def wants_transcripts(self) -> bool:
        """Whether the client asked to be told what the user said."""
        return self._wants_transcripts

    @property
    def manner(self) -> TurnPolicyUpdated:
        """Who asks for answers, by the updates that were accepted."""
        return self._manner

    def ask(self, update_id: str, asked: Mapping[str, Any], event_id: str | None = None) -> dict[str, Any]:
        """The session object to send upstream for one the client sent; raises `InvalidEvent` for what cannot be."""
        if len(self._pending) >= PENDING_MAX:
            raise InvalidEvent("Too many updates are on their way.", code="rate_limit_exceeded")
        then: list[Callable[[], None]] = []
        session: dict[str, Any] = {"type": "realtime"}
        if asked.get("type") != "realtime":
            raise InvalidEvent("Only a session of type 'realtime' can be had here.", param="session.type")
        if "instructions" in asked and "instructions" in self._allowed:
            text = asked["instructions"] or ""
            session["instructions"] = self.instructions(text, "session.instructions")
            then.append(lambda: setattr(self, "_instructions", text))
        session |= self._tools_of(asked, "session", then)
        session |= self._plain(asked)
        audio = asked.get("audio") or {}
        sides = {"input": self._ears(audio.get("input") or {}, then), "output": self._voice(audio.get("output") or {})}
        if audio := {side: values for side, values in sides.items() if values}:
            session["audio"] = audio
        self._pending[update_id] = _Asked(event_id, then)
        return session

    def accept(self) -> None:
        """The model has made the oldest update its own."""
        if self._pending:
            for take_effect in self._pending.pop(next(iter(self._pending))).effects:
                take_effect()

    def is_pending(self, update_id: str | None) -> bool:
        """Whether that is an update the model has not answered yet."""
        return update_id in self._pending

    def refuse(self, update_id: str) -> str | None:
        """The model will not have that update; returns the client's own id of it."""
        return self._pending.pop(update_id).event_id

    def response(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """The `response` of a `response.create`, from one the client sent; raises `InvalidEvent`."""
        body = {name: asked[name] for name in ("input", "conversation", "metadata") if asked.get(name) is not None}
        if asked.get("instructions") is not None and "instructions" in self._allowed:
            body["instructions"] = self.instructions(asked["instructions"], "response.instructions")
        body |= self._tools_of(asked, "response", [])
        body |= self._plain(asked)
        if voice := self._voice((asked.get("audio") or {}).get("output") or {}, "response"):
            body["audio"] = {"output": voice}
        return body

    def may_instruct(self) -> bool:
        """Whether the client may tell the model how to behave: in instructions, or in items of the system's."""
        return "instructions" in self._allowed

    def instructions(self, text: str, param: str) -> str:
        """The server's, with the client's after them."""
        if len(text) > INSTRUCTIONS_CHARACTERS_MAX:
            raise InvalidEvent(f"Instructions of more than {INSTRUCTIONS_CHARACTERS_MAX} characters.", param=param)
        return f"{self._config.instructions}\n\n{text}" if text.strip() else self._config.instructions

    def shown(self, session_json: str, expires_at: float) -> dict[str, Any]:
        """The session as its client sees it: its own instructions, tools and wishes, and none of ours."""
        session: dict[str, Any] = msgspec.json.decode(session_json)
        session["instructions"] = self._instructions
        session["tools"], session["tool_choice"] = self._tools, self._tool_choice
        session["expires_at"] = int(expires_at)
        heard = (session.get("audio") or {}).get("input")
        if isinstance(heard, dict):
            if not self._wants_transcripts:
                heard["transcription"] = None
            if isinstance(heard.get("turn_detection"), dict):
                heard["turn_detection"]["create_response"] = self._manner.automatic
        return session

    def _tools_of(self, asked: Mapping[str, Any], where: str, then: list[Callable[[], None]]) -> dict[str, Any]:
        if "tools" not in self._allowed:
            return {}
        wished: dict[str, Any] = {}
        if asked.get("tools") is not None:
            tools = wished["tools"] = list(asked["tools"])
            if len(tools) > TOOLS_MAX:
                raise InvalidEvent(f"More than {TOOLS_MAX} tools.", param=f"{where}.tools")
            for index, tool in enumerate(tools):
                if not isinstance(tool, dict) or tool.get("type") != "function":
                    message = "Only tools of type 'function' can be had here."
                    raise InvalidEvent(message, param=f"{where}.tools[{index}].type")
            then.append(lambda: setattr(self, "_tools", tools))
        choice = asked.get("tool_choice")
        if choice is not None:
            if isinstance(choice, dict) and choice.get("type") != "function":
                raise InvalidEvent("Only functions can be chosen here.", param=f"{where}.tool_choice")
            wished["tool_choice"] = choice
            then.append(lambda: setattr(self, "_tool_choice", choice))
        if asked.get("parallel_tool_calls") is not None:
            wished["parallel_tool_calls"] = asked["parallel_tool_calls"]
        return wished

    def _plain(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        """What passes as it is."""
        names = {"output_modalities", "max_output_tokens", "reasoning"} & self._allowed
        return {name: asked[name] for name in sorted(names) if asked.get(name) is not None}

    def _ears(self, asked: Mapping[str, Any], then: list[Callable[[], None]]) -> dict[str, Any]:
        _check_format(asked.get("format"), "session.audio.input.format")
        wished: dict[str, Any] = {}
        if "turn_detection" in asked and "turn_detection" in self._allowed:
            wished["turn_detection"] = self._turn_detection(asked["turn_detection"], then)
        if "transcription" in asked:
            wished |= self._transcription(asked["transcription"], then)
        if "noise_reduction" in asked and "noise_reduction" in self._allowed:
            wished["noise_reduction"] = asked["noise_reduction"]
        return wished

    def _turn_detection(self, asked: Mapping[str, Any] | None, then: list[Callable[[], None]]) -> dict[str, Any] | None:
        """Neither `create_response` nor `idle_timeout_ms`: the server would answer by itself, without context."""
        wished = asked or {}
        automatic, interrupts = wished.get("create_response", True), wished.get("interrupt_response", True)
        manner = TurnPolicyUpdated(automatic=automatic, interrupts=interrupts, detects_turns=asked is not None)
        then.append(lambda: setattr(self, "_manner", manner))
        if asked is None:
            return None
        kept = {name: value for name, value in asked.items() if name in _TURN_DETECTION and value is not None}
        return {**kept, "create_response": False}

    def _transcription(self, asked: Mapping[str, Any] | None, then: list[Callable[[], None]]) -> dict[str, Any]:
        """The server's model transcribes, whether or not the client wants to hear of it: retrieval lives on words."""
        then.append(lambda: setattr(self, "_wants_transcripts", asked is not None))
        if asked is None:
            return {}
        transcription: dict[str, Any] = {"model": self._config.transcription_model}
        if asked.get("model") and "transcription_model" in self._allowed:
            transcription["model"] = asked["model"]
        if asked.get("language") and "language" in self._allowed:
            transcription["language"] = asked["language"]
        return {"transcription": transcription}

    def _voice(self, asked: Mapping[str, Any], where: str = "session") -> dict[str, Any]:
        _check_format(asked.get("format"), f"{where}.audio.output.format")
        return {
            name: asked[name] for name in ("voice", "speed") if name in self._allowed and asked.get(name) is not None
        }


def _check_format(asked: Any, param: str) -> None:
    """Lengths of sound are reckoned in PCM16 at 24 kHz throughout."""
    if asked is not None and asked.get("type") not in (None, PCM_24K["type"]):
        raise InvalidEvent("Only 'audio/pcm' at 24000 Hz can be had here.", param=param)
