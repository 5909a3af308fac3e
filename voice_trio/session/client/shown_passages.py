"""The passages that a session's client may open: what the model was given in this session, the newest of it.

Pure. It may know nothing of how a passage was found or how it is sent.
"""

from __future__ import annotations

from dataclasses import replace
from hashlib import blake2b
from typing import TYPE_CHECKING

from cachetools import LRUCache

from voice_trio import limits
from voice_trio.conversation.retrieval.context import visible_text
from voice_trio.conversation.session_events import PassageOpened
from voice_trio.errors import BadMessage
from voice_trio.net.token_bucket import TokenBucket

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.conversation.commands import InjectedPassage


class ShownPassages:
    """Gives the passages of one session their ids, and returns a passage by its id while it is remembered.

    An id is valid in its own session only. It is made of the session's id and of the passage, so a passage that comes
    again has the same one, also after a resume, and no other session's id can be made of it.
    """

    def __init__(self, session_id: str, now: float) -> None:
        self._key = blake2b(session_id.encode()).digest()
        self._opened = TokenBucket(limits.PASSAGES_OPENED_BURST, limits.PASSAGES_OPENED_PER_SECOND, now)
        self._by_id: LRUCache[str, PassageOpened] = LRUCache(limits.PASSAGES_SHOWN_CHARACTERS_MAX, getsizeof=_size)

    def remember(self, passages: Iterable[InjectedPassage]) -> tuple[InjectedPassage, ...]:
        """The passages with the ids by which the client may open them."""
        return tuple([replace(passage, id=self._remember(passage)) for passage in passages])

    def open(self, passage_id: str, now: float) -> PassageOpened:
        """The passage of that id; raises `BadMessage` if it is unknown or forgotten, or if too many are opened."""
        if not self._opened.take(now):
            raise BadMessage("too many passages at once; this one was not opened")
        passage = self._by_id.get(passage_id)
        if passage is None:
            raise BadMessage("this session has no such passage, or has forgotten it", code="not_found")
        return replace(passage, text=visible_text(passage.text).strip())

    def _remember(self, passage: InjectedPassage) -> str:
        digest = blake2b(key=self._key, digest_size=15)
        for part in (passage.title, passage.source, passage.text):
            data = part.encode(errors="surrogatepass")
            digest.update(len(data).to_bytes(8, "big") + data)
        passage_id = f"psg_{digest.hexdigest()}"
        text = passage.text
        if len(text) > limits.PASSAGE_SHOWN_CHARACTERS_MAX:
            text = text[: limits.PASSAGE_SHOWN_CHARACTERS_MAX - 1] + "…"
        self._by_id[passage_id] = PassageOpened(passage_id, passage.title, text)
        return passage_id


def _size(passage: PassageOpened) -> int:
    return limits.PASSAGE_SHOWN_CHARACTERS_MIN + len(passage.text)
