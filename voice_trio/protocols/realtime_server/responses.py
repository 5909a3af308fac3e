"""The responses of one Realtime session: which are in progress, which may be created or cancelled. Pure.

At most one at a time belongs to the conversation; a few more may be in progress beside it (`conversation: none`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from voice_trio.errors import InvalidEvent
from voice_trio.protocols.realtime import client_events, server_events
from voice_trio.protocols.realtime_server.response import ResponseConfig, ServerResponse
from voice_trio.protocols.realtime_server.session_object import check_format, check_output_tokens, voice_name

if TYPE_CHECKING:
    from voice_trio.protocols.realtime import server_events
    from voice_trio.protocols.realtime.items import Item, ItemList
    from voice_trio.protocols.realtime_server.response import EventSink
    from voice_trio.protocols.realtime_server.session_object import SessionObject

OUT_OF_BAND_MAX = 4


class ServerResponses:
    """`open` one, fill it, `end` it."""

    def __init__(self, out: EventSink, items: ItemList, session: SessionObject, conversation_id: str) -> None:
        self._out = out
        self._items = items
        self._session = session
        self._conversation_id = conversation_id
        self._in_progress: dict[str, ServerResponse] = {}

    @property
    def active(self) -> ServerResponse | None:
        """The response in progress that belongs to the conversation; there is one at most."""
        return next((each for each in self._in_progress.values() if each.config.in_conversation), None)

    def get(self, response_id: str) -> ServerResponse | None:
        """A response in progress, in the conversation or beside it."""
        return self._in_progress.get(response_id)

    def open(self, params: client_events.ResponseParams | None = None) -> ServerResponse:
        """A new response that the caller fills; raises `InvalidEvent`, and then there is none."""
        params = params or client_events.ResponseParams()
        self._check(params)
        config = self._config(params)
        response = ServerResponse(self._out, self._items, self._session, config, self._conversation_id)
        self._in_progress[response.id] = response
        return response

    def end(
        self,
        response: ServerResponse,
        status: server_events.ResponseStatus = "completed",
        details: server_events.StatusDetails | None = None,
    ) -> None:
        """End a response in progress; `details` say why it is not `completed`."""
        del self._in_progress[response.id]
        response.end(status, details)

    def to_cancel(self, response_id: str | None) -> ServerResponse:
        """The response that a client may cancel; raises `InvalidEvent`. `None` means the conversation's."""
        response = self.active if response_id is None else self.get(response_id)
        if response is None or not response.can_be_cut:
            raise InvalidEvent("Cancellation failed: no active response found", code="response_cancel_not_active")
        return response

    def _check(self, params: client_events.ResponseParams) -> None:
        if self._session.is_transcription:
            raise InvalidEvent("A transcription session creates no responses.", param="type")
        if params.conversation not in (None, "auto", "none"):
            message = f"Invalid value: {params.conversation[:64]!a}. Supported values are: 'auto', 'none'."
            raise InvalidEvent(message, param="response.conversation")
        check_output_tokens(params.max_output_tokens, "response.max_output_tokens")
        if params.audio and params.audio.output:
            check_format(params.audio.output.format, "response.audio.output.format")
            self._session.check_voice(params.audio.output.voice, "response.audio.output.voice")
        if params.conversation == "none":
            if sum(not each.config.in_conversation for each in self._in_progress.values()) >= OUT_OF_BAND_MAX:
                message = f"At most {OUT_OF_BAND_MAX} responses may be in progress beside the conversation's."
                raise InvalidEvent(message, code="too_many_responses", param="response.conversation")
        elif (active := self.active) is not None:
            message = (
                f"Conversation already has an active response in progress: {active.id}. "
                "Wait until the response is finished before creating a new one."
            )
            raise InvalidEvent(message, code="conversation_already_has_active_response")

    def _config(self, params: client_events.ResponseParams) -> ResponseConfig:
        session, spoken = self._session, params.audio.output if params.audio else None
        asked = spoken.voice if spoken else None
        return ResponseConfig(
            written=(params.output_modalities or session.modalities) == ["text"],
            voice=session.voice if asked is None else voice_name(asked),
            speed=session.speed,
            tokens_max=session.output_tokens_max if params.max_output_tokens is None else params.max_output_tokens,
            in_conversation=params.conversation != "none",
            metadata=params.metadata,
            instructions=session.instructions if params.instructions is None else params.instructions,
            read=tuple(self._items.order) if params.input is None else tuple(self._resolved(params.input)),
        )

    def _resolved(self, given: list[Item]) -> list[Item]:
        """The input of a response, with references replaced by the items that they refer to."""
        items = []
        for index, item in enumerate(given):
            try:
                items.append(self._items.find(item.id or "") if item.type == "item_reference" else item)
            except InvalidEvent as error:
                raise InvalidEvent(str(error), param=f"response.input[{index}].id") from error
        return items
