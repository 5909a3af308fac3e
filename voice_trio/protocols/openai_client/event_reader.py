"""A drop-in client's frames, as what is asked for. Nothing passes that is not named here (I11); pure.

Whatever goes on is built anew from the fields that were checked; a client's frame is never forwarded. Items and
responses of ours do not exist for it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from voice_trio.conversation.managed.responses import TAG
from voice_trio.conversation.passthrough import requests
from voice_trio.errors import InvalidEvent
from voice_trio.protocols.audio import BYTES_PER_SAMPLE, AudioAppended, audio_ms
from voice_trio.protocols.realtime import client_events

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.protocols.openai_client.client_settings import ClientSettings
    from voice_trio.protocols.realtime.items import Item


SMALL_BYTES_MAX = 1024 * 1024
"""Of all but sound and pictures."""
LARGE_OBJECTS_MAX = 1000
"""In a large message: what is decoded must not become many times as large."""


@dataclass(frozen=True, slots=True)
class SessionUpdateRequested:
    """`session.update`, as the client wrote it."""

    session: Mapping[str, Any] = field(repr=False)
    event_id: str | None = None


PassthroughEvent: TypeAlias = requests.Request | AudioAppended | SessionUpdateRequested


class ClientEventReader:
    """Reads one client's frames. `id_prefix` begins the ids of everything that is ours, and hidden."""

    def __init__(self, wishes: ClientSettings, id_prefix: str) -> None:
        self._wishes = wishes
        self._prefix = id_prefix

    def read(self, frame: str | bytes) -> PassthroughEvent:
        """What a frame asks for; raises `InvalidEvent` with what an `error` event needs."""
        if len(frame) > SMALL_BYTES_MAX:
            _check_large(frame)
        event = client_events.read_client_event(frame)
        try:
            return self._meaning(event)
        except InvalidEvent as error:
            error.event_id = error.event_id or event.event_id
            raise

    def _meaning(self, event: client_events.ClientEvent) -> PassthroughEvent:
        match event:
            case client_events.AppendAudio(audio=audio):
                return _sound(audio)
            case client_events.UpdateSession(session=session):
                return SessionUpdateRequested(session, event.event_id)
            case client_events.CommitAudio():
                return requests.AudioCommitRequested(event_id=event.event_id)
            case client_events.ClearAudio():
                return requests.ForwardedEvent({"type": "input_audio_buffer.clear"}, event_id=event.event_id)
            case client_events.ClearOutput():
                return requests.ForwardedEvent({"type": "output_audio_buffer.clear"}, event_id=event.event_id)
            case client_events.CreateResponse(response=response):
                return self._answer(response, event.event_id)
            case client_events.CancelResponse(response_id=response_id):
                return requests.ResponseCancelRequested(response_id, event_id=event.event_id)
            case _:
                return self._of_item(event)

    def _of_item(
        self,
        event: client_events.CreateItem
        | client_events.RetrieveItem
        | client_events.DeleteItem
        | client_events.TruncateItem,
    ) -> (
        requests.ItemCreateRequested
        | requests.ItemRetrieveRequested
        | requests.ItemDeleteRequested
        | requests.ItemTruncateRequested
    ):
        match event:
            case client_events.CreateItem():
                return self._item(event)
            case client_events.RetrieveItem(item_id=item_id):
                self._check_known(item_id, "item_retrieve")
                return requests.ItemRetrieveRequested(item_id, event_id=event.event_id)
            case client_events.DeleteItem(item_id=item_id):
                self._check_known(item_id, "item_delete")
                return requests.ItemDeleteRequested(item_id, event_id=event.event_id)
            case client_events.TruncateItem(item_id=item_id):
                self._check_known(item_id, "item_truncate")
                return requests.ItemTruncateRequested(
                    item_id, event.content_index, event.audio_end_ms, event_id=event.event_id
                )

    def _item(self, event: client_events.CreateItem) -> requests.ItemCreateRequested:
        item, after = event.item, event.previous_item_id
        if item.id is not None and item.id.startswith(self._prefix):
            raise InvalidEvent(f"Item ids that begin with '{self._prefix}' are reserved.", param="item.id")
        if after is not None:
            self._check_known(after, "item_create", "previous_item_id")
        self._check_role(item, "item.role")
        place = {} if after is None else {"previous_item_id": after}
        body = {"type": "conversation.item.create", **place, "item": msgspec.to_builtins(item)}
        role = item.role or "" if item.type == "message" else ""
        return requests.ItemCreateRequested(body, item.id, item.text, role, event_id=event.event_id)

    def _answer(
        self, response: client_events.ResponseParams | None, event_id: str | None
    ) -> requests.ResponseRequested:
        if response is None:
            return requests.ResponseRequested(event_id=event_id)
        for index, item in enumerate(response.input or ()):
            self._check_role(item, f"response.input[{index}].role")
            if item.id is not None:
                self._check_known(item.id, "item_retrieve", f"response.input[{index}].id")
        if response.metadata and TAG in response.metadata:
            raise InvalidEvent(f"The metadata key '{TAG}' is reserved.", param=f"response.metadata.{TAG}")
        asked = msgspec.to_builtins(response)
        body = self._wishes.response(asked)
        return requests.ResponseRequested(body, aside=response.conversation == "none", event_id=event_id)

    def _check_role(self, item: Item, param: str) -> None:
        if item.role == "system" and not self._wishes.may_instruct():
            raise InvalidEvent("Items of the system cannot be created here.", param=param)

    def _check_known(self, item_id: str, what: str, param: str = "item_id") -> None:
        if item_id.startswith(self._prefix):
            code = f"{what}_invalid_{param.rpartition('.')[2]}"
            raise InvalidEvent(f"Item with id '{item_id[:64]}' does not exist.", code=code, param=param)


def _sound(audio: str) -> AudioAppended:
    duration_ms = audio_ms(audio)
    if round(duration_ms * 48) % BYTES_PER_SAMPLE:
        raise InvalidEvent("The audio has half a sample too many; PCM16 has two bytes each.", param="audio")
    return AudioAppended(audio, duration_ms)


class _Envelope(msgspec.Struct):
    type: str


_envelope = msgspec.json.Decoder(_Envelope)


def _check_large(frame: str | bytes) -> None:
    """Only sound, and items with pictures in them, may be larger than everything else."""
    try:
        kind = _envelope.decode(frame).type
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise InvalidEvent("The message is not valid JSON.", code="invalid_json") from error
    objects = frame.count("{") if isinstance(frame, str) else frame.count(b"{")
    if kind not in ("input_audio_buffer.append", "conversation.item.create") or objects > LARGE_OBJECTS_MAX:
        raise InvalidEvent("The message is too large for what it is.", code="invalid_value", param="type")
