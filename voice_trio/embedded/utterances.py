"""What the user says, from the first audio to the last word: recognitions started and ended, transcripts sent. Pure.

An utterance belongs to the item that it becomes when it is committed. It may take several recognitions: one for each
stretch of speech where the client commits, and one each minute where speech does not end.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_trio.embedded.commands import CancelRecognition, FinishRecognition, RecognizeAudio, StartRecognition
from voice_trio.protocols.audio import BYTES_PER_MS
from voice_trio.protocols.realtime import input_events

if TYPE_CHECKING:
    from voice_trio.embedded.commands import OutputList
    from voice_trio.protocols.realtime.items import Item
    from voice_trio.protocols.realtime_server.session import ServerSession

RECOGNITION_BYTES_MAX = 60_000 * BYTES_PER_MS


@dataclass(slots=True)
class _Recognition:
    """`text` grows with each delta until the final one replaces it."""

    text: str = ""
    over: bool = False


@dataclass(slots=True)
class _PendingUtterance:
    item_id: str
    announced: bool
    recognitions: dict[int, _Recognition] = field(default_factory=dict)
    sent: str = ""
    trouble: input_events.ErrorDetails | None = None
    item: Item | None = None

    @property
    def text(self) -> str:
        return " ".join(recognition.text for recognition in self.recognitions.values() if recognition.text)

    @property
    def is_final(self) -> bool:
        return self.item is not None and all(recognition.over for recognition in self.recognitions.values())


class Utterances:
    """The client gets the transcripts of `announced` utterances; all are kept for the answers."""

    def __init__(self, out: OutputList, server: ServerSession) -> None:
        self._out = out
        self._server = server
        self._by_item: dict[str, _PendingUtterance] = {}
        self._by_recognition: dict[int, _PendingUtterance] = {}
        self._recognitions = 0
        self._current: int | None = None
        self._current_bytes = 0
        self._texts: dict[str, str] = {}
        self._troubles: dict[str, input_events.ErrorDetails] = {}

    # The user's audio

    def begin(self, item_id: str, *, announced: bool, pcm: bytes = b"") -> None:
        """A stretch of speech begins that will be part of this item."""
        self._current = self._new_recognition(self._utterance(item_id, announced))
        self._current_bytes = 0
        self.feed(pcm)

    def feed(self, pcm: bytes) -> None:
        """More of the stretch of speech that began last."""
        if self._current is None or not pcm:
            return
        self._out.add(RecognizeAudio(self._current, pcm))
        self._current_bytes += len(pcm)
        if self._current_bytes >= RECOGNITION_BYTES_MAX:
            utterance = self._by_recognition[self._current]
            self.end()
            self.begin(utterance.item_id, announced=utterance.announced)

    def end(self) -> None:
        """The stretch of speech is over; there may be others before the item is committed."""
        if self._current is not None:
            self._out.add(FinishRecognition(self._current))
            self._current = None

    def commit(self, item: Item, *, announced: bool) -> None:
        """The item exists from now on; its transcript is sent as soon as all of it has been recognised."""
        self.end()
        utterance = self._utterance(item.id or "", announced)
        utterance.item = item
        self._announce_if_final(utterance)

    def recognize_item(self, item: Item, pcm: bytes) -> None:
        """The client created the item with its audio: the words are kept for the answers, and not sent."""
        utterance = self._utterance(item.id or "", announced=False)
        utterance.item = item
        recognition_id = self._new_recognition(utterance)
        self._out.add(RecognizeAudio(recognition_id, pcm))
        self._out.add(FinishRecognition(recognition_id))

    def forget(self, item_id: str) -> None:
        """The audio was cleared, or the item deleted."""
        self._texts.pop(item_id, None)
        self._troubles.pop(item_id, None)
        utterance = self._by_item.pop(item_id, None)
        for recognition_id in utterance.recognitions if utterance else ():
            if self._current == recognition_id:
                self._current = None
            if self._by_recognition.pop(recognition_id, None):
                self._out.add(CancelRecognition(recognition_id))

    # Words

    def words_recognized(self, recognition_id: int, delta: str) -> None:
        """Words became stable while the user may still be speaking."""
        utterance = self._by_recognition.get(recognition_id)
        if utterance is None or not delta:
            return
        recognition = utterance.recognitions[recognition_id]
        recognition.text += delta
        self._announce_delta(utterance, utterance.text)

    def speech_recognized(self, recognition_id: int, text: str) -> str | None:
        """The whole text of a recognition. Returns the id of its item if that is recognised to its end."""
        return self._finish(recognition_id, text)

    def recognition_failed(self, recognition_id: int, trouble: input_events.ErrorDetails) -> str | None:
        """A recognition failed; its words so far stay. Returns the same as `speech_recognized`."""
        if (utterance := self._by_recognition.get(recognition_id)) is not None:
            utterance.trouble = utterance.trouble or trouble
        return self._finish(recognition_id, None)

    def cannot_recognize(self, item_id: str, trouble: input_events.ErrorDetails) -> None:
        """The item to come cannot be recognised at all."""
        self._utterance(item_id, announced=True).trouble = trouble

    def _finish(self, recognition_id: int, text: str | None) -> str | None:
        utterance = self._by_recognition.pop(recognition_id, None)
        if utterance is None:
            return None
        if self._current == recognition_id:
            self._current = None
        recognition = utterance.recognitions[recognition_id]
        recognition.over = True
        recognition.text = recognition.text if text is None else text
        self._announce_if_final(utterance)
        return utterance.item_id if utterance.is_final else None

    # What is known

    def text_of(self, item: Item) -> str:
        """The words of the item that are known now."""
        utterance = self._by_item.get(item.id or "")
        return (utterance.text if utterance else self._texts.get(item.id or "")) or item.text

    def is_pending(self, item_id: str | None) -> bool:
        """Whether more words of a committed item may come."""
        return item_id in self._by_item

    def trouble_of(self, item_id: str | None) -> input_events.ErrorDetails | None:
        """Why an item could not be recognised; `None` if it was."""
        return self._troubles.get(item_id or "")

    # Transcripts

    def _utterance(self, item_id: str, announced: bool) -> _PendingUtterance:
        return self._by_item.setdefault(item_id, _PendingUtterance(item_id, announced))

    def _new_recognition(self, utterance: _PendingUtterance) -> int:
        self._recognitions += 1
        utterance.recognitions[self._recognitions] = _Recognition()
        self._by_recognition[self._recognitions] = utterance
        self._out.add(StartRecognition(self._recognitions))
        return self._recognitions

    def _announce_delta(self, utterance: _PendingUtterance, text: str) -> None:
        """Deltas only ever append; where the whole disagrees with its parts, `.completed` alone says so."""
        if text.startswith(utterance.sent) and (delta := text[len(utterance.sent) :]):
            utterance.sent = text
            if utterance.announced:
                self._server.transcript_delta(utterance.item_id, delta)

    def _announce_if_final(self, utterance: _PendingUtterance) -> None:
        if not utterance.is_final or utterance.item is None:
            return
        self._by_item.pop(utterance.item_id, None)
        self._texts[utterance.item_id] = utterance.text
        if utterance.trouble is not None:
            self._troubles[utterance.item_id] = utterance.trouble
            self._announce_trouble(utterance, utterance.trouble)
        elif utterance.announced:
            text = utterance.text
            self._announce_delta(utterance, text)
            self._server.transcript_completed(utterance.item_id, text)

    def _announce_trouble(self, utterance: _PendingUtterance, trouble: input_events.ErrorDetails) -> None:
        if utterance.announced:
            self._server.transcript_failed(utterance.item_id, trouble)
        else:
            self._out.emit(input_events.error_event(trouble))
