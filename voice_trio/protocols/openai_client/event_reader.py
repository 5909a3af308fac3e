"""Reads the frames of a client that speaks OpenAI's protocol. Nothing passes that is not named here (I11). Pure.

What goes upstream is built anew from the fields that were checked; a client's frame is never forwarded. The gateway's
own items and responses do not exist for the client: to name one is an error.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias, assert_never

import msgspec

from voice_trio.conversation.passthrough import requests
from voice_trio.conversation.response import TAG
from voice_trio.errors import EventTooLarge, InvalidEvent
from voice_trio.protocols import json_text
from voice_trio.protocols.audio import BYTES_PER_MS, BYTES_PER_SAMPLE, AudioAppended, audio_ms
from voice_trio.protocols.openai_client.request_content import item_content, picture_bytes
from voice_trio.protocols.realtime import client_events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.protocols.openai_client.client_settings import ClientSettings
    from voice_trio.protocols.realtime.items import Item


SMALL_BYTES_MAX = 1024 * 1024
"""Of all messages but those that append audio or have pictures."""
LARGE_OBJECTS_MAX = 1000
"""JSON objects in a large message: decoded, each takes many times its bytes."""


@dataclass(frozen=True, slots=True)
class SessionUpdateRequested:
    """`session.update`, as the client wrote it; `event_id` is its own."""

    session: Mapping[str, Any] = field(repr=False)
    event_id: str | None = None


PassthroughEvent: TypeAlias = requests.Request | AudioAppended | SessionUpdateRequested

_ItemEvent: TypeAlias = (
    client_events.CreateItem | client_events.RetrieveItem | client_events.DeleteItem | client_events.TruncateItem
)


class ClientEventReader:
    """Reads one client's frames. `id_prefix` begins the ids of all items of the gateway's."""

    def __init__(self, settings: ClientSettings, id_prefix: str) -> None:
        self._settings = settings
        self._prefix = id_prefix

    def read(self, frame: str | bytes) -> PassthroughEvent:
        """What a frame asks for.

        Raises `InvalidEvent` with what an `error` event needs; its subclass `EventTooLarge` ends the session.
        """
        is_large = _size(frame) > SMALL_BYTES_MAX
        if is_large:
            _check_large(frame)
        event = client_events.read_client_event(frame)
        if is_large and not _may_be_large(event, _size(frame)):
            raise EventTooLarge(_TOO_LARGE)
        try:
            return self._to_event(event)
        except InvalidEvent as error:
            error.event_id = error.event_id or event.event_id
            raise

    def _to_event(self, event: client_events.ClientEvent) -> PassthroughEvent:
        match event:
            case client_events.AppendAudio(audio=audio):
                return _audio(audio)
            case client_events.UpdateSession(session=session):
                return SessionUpdateRequested(session, event.event_id)
            case client_events.CommitAudio():
                return requests.AudioCommitRequested(event_id=event.event_id)
            case client_events.ClearAudio():
                return requests.ForwardedEvent({"type": "input_audio_buffer.clear"}, event_id=event.event_id)
            case client_events.ClearOutput():
                return requests.ForwardedEvent({"type": "output_audio_buffer.clear"}, event_id=event.event_id)
            case client_events.CreateResponse(response=response):
                return self._response_request(response, event.event_id)
            case client_events.CancelResponse(response_id=response_id):
                return requests.ResponseCancelRequested(response_id, event_id=event.event_id)
            case (
                client_events.CreateItem()
                | client_events.RetrieveItem()
                | client_events.DeleteItem()
                | client_events.TruncateItem()
            ):
                return self._item_request(event)
            case _:
                assert_never(event)

    def _item_request(self, event: _ItemEvent) -> requests.Request:
        match event:
            case client_events.CreateItem():
                return self._create_request(event)
            case client_events.RetrieveItem(item_id=item_id):
                self._check_visible(item_id, "item_retrieve")
                return requests.ItemRetrieveRequested(item_id, event_id=event.event_id)
            case client_events.DeleteItem(item_id=item_id):
                self._check_visible(item_id, "item_delete")
                return requests.ItemDeleteRequested(item_id, event_id=event.event_id)
            case client_events.TruncateItem(item_id=item_id, content_index=index, audio_end_ms=end_ms):
                self._check_visible(item_id, "item_truncate")
                return requests.ItemTruncateRequested(item_id, index, end_ms, event_id=event.event_id)
            case _:
                assert_never(event)

    def _create_request(self, event: client_events.CreateItem) -> requests.ItemCreateRequested:
        item, after = event.item, event.previous_item_id
        if item.id is not None and item.id.startswith(self._prefix):
            raise InvalidEvent(f"Item ids that begin with '{self._prefix}' are reserved.", param="item.id")
        if after is not None:
            self._check_visible(after, "item_create", "previous_item_id")
        self._check_role(item, "item.role")
        place = {} if after is None else {"previous_item_id": after}
        body = {"type": "conversation.item.create", **place, "item": item_content(item, "item")}
        role = item.role or "" if item.type == "message" else ""
        return requests.ItemCreateRequested(body, item.id, item.text, role, event_id=event.event_id)

    def _response_request(
        self, response: client_events.ResponseParams | None, event_id: str | None
    ) -> requests.ResponseRequested:
        if response is None:
            return requests.ResponseRequested(event_id=event_id)
        for index, item in enumerate(response.input or ()):
            self._check_role(item, f"response.input[{index}].role")
            if item.id is not None:
                self._check_visible(item.id, "item_retrieve", f"response.input[{index}].id")
        if response.metadata and TAG in response.metadata:
            raise InvalidEvent(f"The metadata key '{TAG}' is reserved.", param=f"response.metadata.{TAG}")
        asked = msgspec.to_builtins(response)
        if response.input is not None:
            items = enumerate(response.input)
            asked["input"] = [item_content(item, f"response.input[{index}]") for index, item in items]
        body = self._settings.response_body(asked)
        return requests.ResponseRequested(body, out_of_band=response.conversation == "none", event_id=event_id)

    def _check_role(self, item: Item, param: str) -> None:
        if item.role == "system" and not self._settings.may_instruct:
            raise InvalidEvent("System items cannot be created.", param=param)

    def _check_visible(self, item_id: str, what: str, param: str = "item_id") -> None:
        """Raises the error an upstream gives for an unknown item, if `item_id` is one of the gateway's."""
        if item_id.startswith(self._prefix):
            code = f"{what}_invalid_{param.rpartition('.')[2]}"
            raise InvalidEvent(f"Item with id '{item_id[:64]}' does not exist.", code=code, param=param)


def _audio(audio: str) -> AudioAppended:
    duration_ms = audio_ms(audio)
    if round(duration_ms * BYTES_PER_MS) % BYTES_PER_SAMPLE:
        raise InvalidEvent("The audio ends in half a sample; PCM16 has two bytes each.", param="audio")
    return AudioAppended(audio, duration_ms)


class _Envelope(msgspec.Struct):
    type: str


_envelope_decoder = msgspec.json.Decoder(_Envelope)


_TOO_LARGE = "The message is too large for its type."


def _size(frame: str | bytes) -> int:
    """The bytes of a frame on the wire."""
    if isinstance(frame, bytes) or frame.isascii():
        return len(frame)
    return len(frame.encode("utf-8", "surrogatepass"))


def _check_large(frame: str | bytes) -> None:
    """Raises `EventTooLarge` for a large message that cannot be one that may be, before all of it is decoded."""
    try:
        kind = _kind(frame)
    except json_text.UNREADABLE:
        raise EventTooLarge(_TOO_LARGE) from None
    objects = frame.count("{") if isinstance(frame, str) else frame.count(b"{")
    if kind not in ("input_audio_buffer.append", "conversation.item.create") or objects > LARGE_OBJECTS_MAX:
        raise EventTooLarge(_TOO_LARGE)


def _kind(frame: str | bytes) -> str:
    try:
        return _envelope_decoder.decode(frame).type
    except json_text.UNREADABLE:
        return _envelope_decoder.decode(json_text.well_formed(frame)).type


def _may_be_large(event: client_events.ClientEvent, size: int) -> bool:
    """Whether an event appends audio, or would be small without its pictures: text beside them costs as any other."""
    if isinstance(event, client_events.CreateItem):
        return size - picture_bytes(event.item) <= SMALL_BYTES_MAX
    return isinstance(event, client_events.AppendAudio)
