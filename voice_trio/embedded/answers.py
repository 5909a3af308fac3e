"""What the embedded server's responses say: each waits for the user's last words, then is answered and spoken. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pybase64

from voice_trio.embedded import answerer
from voice_trio.embedded.commands import CancelSynthesis, Synthesize
from voice_trio.protocols.audio import BYTES_PER_MS
from voice_trio.protocols.realtime.server_events import StatusDetails

if TYPE_CHECKING:
    from voice_trio.embedded.commands import OutputList
    from voice_trio.embedded.utterances import Utterances
    from voice_trio.protocols.realtime_server.response import ServerResponse
    from voice_trio.protocols.realtime_server.session import ServerSession

LAST_WORDS_SECONDS_MAX = 0.2
"""How long an answer waits for the transcript of what was just said; then it is made of the words there are."""
_WORD = re.compile(r"\s*\S+\s*$|\s*\S+")


class Answers:
    """Fills the responses of one session."""

    def __init__(self, out: OutputList, server: ServerSession, utterances: Utterances) -> None:
        self._out = out
        self._server = server
        self._utterances = utterances
        self._waiting: dict[str, tuple[ServerResponse, float]] = {}

    @property
    def deadline(self) -> float | None:
        """When `on_time` must be called, at the latest."""
        return min((due for _, due in self._waiting.values()), default=None)

    def generate(self, response: ServerResponse, now: float) -> None:
        """Answer at once, or as soon as the user's last words are known."""
        response.begin()
        if self._utterances.is_pending(_newest_user_item(response)):
            self._waiting[response.id] = response, now + LAST_WORDS_SECONDS_MAX
        else:
            self._answer(response)

    def transcript_final(self, item_id: str) -> None:
        """All that can be recognised of an item has been: the responses that waited for it are answered."""
        for response, _ in list(self._waiting.values()):
            if _newest_user_item(response) == item_id:
                self._answer(response)

    def on_time(self, now: float) -> None:
        for response, due in list(self._waiting.values()):
            if now >= due:
                self._answer(response)

    def chunk_synthesized(self, response_id: str, text: str, pcm: bytes) -> None:
        """The next piece of speech; it comes too late for a response that has ended."""
        response = self._server.responses.get(response_id)
        if response is None:
            return
        response.write(text)
        if pcm:
            response.add_audio(pybase64.b64encode(pcm).decode("ascii"), len(pcm) / BYTES_PER_MS)
        if response.is_too_long:
            self._out.add(CancelSynthesis(response.id))
            self._end_too_long(response)

    def cut(self, response: ServerResponse, reason: str) -> None:
        """End a response now."""
        self._waiting.pop(response.id, None)
        self._out.add(CancelSynthesis(response.id))
        self._server.responses.end(response, "cancelled", StatusDetails(type="cancelled", reason=reason))

    def _answer(self, response: ServerResponse) -> None:
        self._waiting.pop(response.id, None)
        text = self._text_for(response)
        config = response.config
        if not config.written:
            self._out.add(Synthesize(response.id, text, config.voice, config.speed))
            return
        for word in _WORD.findall(text):
            response.write(word)
            if response.is_too_long:
                self._end_too_long(response)
                return
        self._server.responses.end(response)

    def _text_for(self, response: ServerResponse) -> str:
        read = response.config.read
        lines = [answerer.ConversationLine(item.role or "tool", self._utterances.text_of(item)) for item in read]
        newest = next((item for item in reversed(read) if item.role == "user"), None)
        trouble = self._utterances.trouble_of(newest.id) if newest else None
        if trouble is not None and newest is not None and not self._utterances.text_of(newest):
            return answerer.apology(trouble.message or "")
        return answerer.answer(lines)

    def _end_too_long(self, response: ServerResponse) -> None:
        self._server.responses.end(response, "incomplete", StatusDetails(type="incomplete", reason="max_output_tokens"))


def _newest_user_item(response: ServerResponse) -> str | None:
    """The newest item of the user that a response reads."""
    return next((item.id for item in reversed(response.config.read) if item.role == "user"), None)
