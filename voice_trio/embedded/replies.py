"""Which responses there are: asked for, waiting for the user's last words, being said, cut short. Pure.

At most one at a time belongs to the conversation; a few more may stand beside it (`conversation: none`).
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from voice_trio.embedded import answerer
from voice_trio.embedded.commands import CancelSynthesis, Synthesize
from voice_trio.embedded.reply import Reply, Terms
from voice_trio.embedded.session_object import check_format, check_output_tokens, voice_name
from voice_trio.errors import InvalidEvent
from voice_trio.protocols.realtime import input_events, server_events

if TYPE_CHECKING:
    from voice_trio.embedded.commands import OutputList
    from voice_trio.embedded.session_object import SessionObject
    from voice_trio.embedded.utterances import Utterances
    from voice_trio.protocols.realtime.client_events import ResponseParams
    from voice_trio.protocols.realtime.items import Item, ItemList

LAST_WORDS_SECONDS_MAX = 0.2
"""How long an answer waits for the transcript of what was just said; then it is made of the words there are."""
OUT_OF_BAND_MAX = 4
_WORD = re.compile(r"\s*\S+\s*$|\s*\S+")


class Replies:
    def __init__(self, out: OutputList, items: ItemList, utterances: Utterances, session: SessionObject) -> None:
        self._out = out
        self._items = items
        self._utterances = utterances
        self._session = session
        self._conversation_id = out.new_id("conv")
        self._under_way: dict[str, Reply] = {}
        self._waiting: dict[str, float] = {}

    @property
    def active(self) -> Reply | None:
        """The one that belongs to the conversation."""
        return next((reply for reply in self._under_way.values() if reply.terms.in_conversation), None)

    @property
    def deadline(self) -> float | None:
        """When `on_time` must be called, at the latest."""
        return min(self._waiting.values(), default=None)

    def create(self, params: ResponseParams, now: float) -> None:
        """Begin a response; raises `InvalidEvent`, and then there is none."""
        self._check(params)
        reply = Reply(self._out, self._items, self._terms(params), self._conversation_id)
        self._under_way[reply.id] = reply
        reply.begin()
        if self._utterances.is_pending(_newest_words(reply)):
            self._waiting[reply.id] = now + LAST_WORDS_SECONDS_MAX
        else:
            self._answer(reply)

    def heard(self, item_id: str) -> None:
        """All that can be heard of an item has been: whoever waited for it can answer."""
        for reply_id in list(self._waiting):
            if _newest_words(self._under_way[reply_id]) == item_id:
                self._answer(self._under_way[reply_id])

    def on_time(self, now: float) -> None:
        for reply_id, due in list(self._waiting.items()):
            if now >= due:
                self._answer(self._under_way[reply_id])

    def cancel(self, response_id: str | None) -> None:
        """Cut one short for the client, without an id the conversation's; raises `InvalidEvent` if there is none."""
        reply = self.active if response_id is None else self._under_way.get(response_id)
        if reply is None:
            raise InvalidEvent("Cancellation failed: no active response found", code="response_cancel_not_active")
        self._cut(reply, "client_cancelled")

    def interrupt(self) -> None:
        """The user began to speak: the conversation's response, if any, is cut short."""
        if self.active is not None:
            self._cut(self.active, "turn_detected")

    # What the mouth tells

    def said(self, response_id: str, text: str, pcm: bytes) -> None:
        """The next piece of an answer has been synthesised; too late for a response that is over."""
        reply = self._under_way.get(response_id)
        if reply is None:
            return
        reply.write(text)
        if pcm:
            reply.sound(pcm)
            self._session.voice_is_frozen = True
        if reply.is_too_long:
            self._out.add(CancelSynthesis(reply.id))
            self._end_too_long(reply)

    def finished(self, response_id: str) -> None:
        if reply := self._under_way.pop(response_id, None):
            reply.end("completed")

    def failed(self, response_id: str, message: str) -> None:
        """The answer cannot be said, or not to its end."""
        if reply := self._under_way.pop(response_id, None):
            error = input_events.ErrorDetails(type="server_error", code="speech_failed", message=message)
            reply.end("failed", server_events.StatusDetails(type="failed", error=error))

    # Making one

    def _check(self, params: ResponseParams) -> None:
        if params.conversation not in (None, "auto", "none"):
            message = f"Invalid value: {params.conversation[:64]!a}. Supported values are: 'auto', 'none'."
            raise InvalidEvent(message, param="response.conversation")
        check_output_tokens(params.max_output_tokens, "response.max_output_tokens")
        if params.audio and params.audio.output:
            check_format(params.audio.output.format, "response.audio.output.format")
            self._session.check_voice(params.audio.output.voice, "response.audio.output.voice")
        if params.conversation == "none":
            if sum(not reply.terms.in_conversation for reply in self._under_way.values()) >= OUT_OF_BAND_MAX:
                message = f"At most {OUT_OF_BAND_MAX} responses may be in progress beside the conversation's."
                raise InvalidEvent(message, code="too_many_responses", param="response.conversation")
        elif (active := self.active) is not None:
            message = (
                f"Conversation already has an active response in progress: {active.id}. "
                "Wait until the response is finished before creating a new one."
            )
            raise InvalidEvent(message, code="conversation_already_has_active_response")

    def _terms(self, params: ResponseParams) -> Terms:
        session, spoken = self._session, params.audio.output if params.audio else None
        asked = spoken.voice if spoken else None
        return Terms(
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
        """The input of a response, with references replaced by what they refer to."""
        items = []
        for index, item in enumerate(given):
            try:
                items.append(self._items.find(item.id or "") if item.type == "item_reference" else item)
            except InvalidEvent as error:
                raise InvalidEvent(str(error), param=f"response.input[{index}].id") from error
        return items

    def _answer(self, reply: Reply) -> None:
        self._waiting.pop(reply.id, None)
        text = self._text_for(reply)
        if not reply.terms.written:
            self._out.add(Synthesize(reply.id, text, reply.terms.voice, reply.terms.speed))
            return
        for word in _WORD.findall(text):
            reply.write(word)
            if reply.is_too_long:
                self._end_too_long(reply)
                return
        del self._under_way[reply.id]
        reply.end("completed")

    def _text_for(self, reply: Reply) -> str:
        lines = [
            answerer.ConversationLine(item.role or "tool", self._utterances.text_of(item)) for item in reply.terms.read
        ]
        newest = next((item for item in reversed(reply.terms.read) if item.role == "user"), None)
        trouble = self._utterances.trouble_of(newest.id) if newest else None
        if trouble is not None and newest is not None and not self._utterances.text_of(newest):
            return answerer.apology(trouble.message or "")
        return answerer.answer(lines)

    def _cut(self, reply: Reply, reason: str) -> None:
        del self._under_way[reply.id]
        self._waiting.pop(reply.id, None)
        self._out.add(CancelSynthesis(reply.id))
        reply.end("cancelled", server_events.StatusDetails(type="cancelled", reason=reason))

    def _end_too_long(self, reply: Reply) -> None:
        del self._under_way[reply.id]
        reply.end("incomplete", server_events.StatusDetails(type="incomplete", reason="max_output_tokens"))


def _newest_words(reply: Reply) -> str | None:
    """The newest item of the user that a response reads."""
    return next((item.id for item in reversed(reply.terms.read) if item.role == "user"), None)
