"""What the user says, from the first sound to the last word: hearings opened and closed, transcripts told. Pure.

An utterance belongs to the item it will become when it is committed. It may take several hearings: where the client
commits by hand, one for each stretch of speech; where somebody speaks without end, one each minute.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from voice_trio.embedded.commands import CancelRecognition, FinishRecognition, RecognizeAudio, StartRecognition
from voice_trio.protocols.audio import BYTES_PER_MS
from voice_trio.protocols.realtime import input_events

if TYPE_CHECKING:
    from voice_trio.embedded.commands import OutputList
    from voice_trio.protocols.realtime.items import Item

RECOGNITION_BYTES_MAX = 60_000 * BYTES_PER_MS


@dataclass(slots=True)
class _Recognition:
    """`text` grows with each delta until the final one replaces it."""

    text: str = ""
    over: bool = False


@dataclass(slots=True)
class _Utterance:
    item_id: str
    announced: bool
    recognitions: dict[int, _Recognition] = field(default_factory=dict)
    told: str = ""
    trouble: input_events.ErrorDetails | None = None
    item: Item | None = None
    audio_ms: float = 0.0

    @property
    def text(self) -> str:
        return " ".join(recognition.text for recognition in self.recognitions.values() if recognition.text)

    @property
    def is_final(self) -> bool:
        return self.item is not None and all(recognition.over for recognition in self.recognitions.values())


class Utterances:
    """`announced` utterances have their words told to the client; all have them kept, for the one who answers."""

    def __init__(self, out: OutputList) -> None:
        self._out = out
        self._by_item: dict[str, _Utterance] = {}
        self._by_recognition: dict[int, _Utterance] = {}
        self._recognitions = 0
        self._current: int | None = None
        self._current_bytes = 0
        self._texts: dict[str, str] = {}
        self._unheard: dict[str, input_events.ErrorDetails] = {}

    # The user's voice

    def begin(self, item_id: str, *, announced: bool, pcm: bytes = b"") -> None:
        """A stretch of speech begins that will be part of this item."""
        self._current = self._new_recognition(self._utterance(item_id, announced))
        self._current_bytes = 0
        self.hear(pcm)

    def hear(self, pcm: bytes) -> None:
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

    def commit(self, item: Item, audio_ms: float, *, announced: bool) -> None:
        """The item exists from now on; its transcript is told as soon as all of it has been heard."""
        self.end()
        utterance = self._utterance(item.id or "", announced)
        utterance.item, utterance.audio_ms = item, audio_ms
        self._tell_if_final(utterance)

    def listen_to(self, item: Item, pcm: bytes) -> None:
        """A client made the item, sound and all: its words are kept for the one who answers, and not told."""
        utterance = self._utterance(item.id or "", announced=False)
        utterance.item = item
        recognition_id = self._new_recognition(utterance)
        self._out.add(RecognizeAudio(recognition_id, pcm))
        self._out.add(FinishRecognition(recognition_id))

    def forget(self, item_id: str) -> None:
        """The audio was cleared, or the item deleted."""
        self._texts.pop(item_id, None)
        self._unheard.pop(item_id, None)
        utterance = self._by_item.pop(item_id, None)
        for recognition_id in utterance.recognitions if utterance else ():
            if self._current == recognition_id:
                self._current = None
            if self._by_recognition.pop(recognition_id, None):
                self._out.add(CancelRecognition(recognition_id))

    # Words

    def words(self, recognition_id: int, delta: str) -> None:
        """Words have become sure, while the user may still be speaking."""
        utterance = self._by_recognition.get(recognition_id)
        if utterance is None or not delta:
            return
        recognition = utterance.recognitions[recognition_id]
        recognition.text += delta
        self._tell(utterance, utterance.text)

    def heard(self, recognition_id: int, text: str) -> str | None:
        """All words of a hearing. Returns the item's id if nothing of it is left to be heard."""
        return self._over(recognition_id, text)

    def unheard(self, recognition_id: int, trouble: input_events.ErrorDetails) -> str | None:
        """A hearing failed; what it had heard before stays. Returns the same as `heard`."""
        if (utterance := self._by_recognition.get(recognition_id)) is not None:
            utterance.trouble = utterance.trouble or trouble
        return self._over(recognition_id, None)

    def cannot_hear(self, item_id: str, trouble: input_events.ErrorDetails) -> None:
        """The item to come cannot be heard at all."""
        self._utterance(item_id, announced=True).trouble = trouble

    def _over(self, recognition_id: int, text: str | None) -> str | None:
        utterance = self._by_recognition.pop(recognition_id, None)
        if utterance is None:
            return None
        if self._current == recognition_id:
            self._current = None
        recognition = utterance.recognitions[recognition_id]
        recognition.over = True
        recognition.text = recognition.text if text is None else text
        self._tell_if_final(utterance)
        return utterance.item_id if utterance.is_final else None

    # What is known

    def text_of(self, item: Item) -> str:
        """The best that is known of what the item says, now."""
        utterance = self._by_item.get(item.id or "")
        return (utterance.text if utterance else self._texts.get(item.id or "")) or item.text

    def is_pending(self, item_id: str | None) -> bool:
        """Whether more words of a committed item may come."""
        return item_id in self._by_item

    def trouble_of(self, item_id: str | None) -> input_events.ErrorDetails | None:
        """Why an item could not be heard; none if it was."""
        return self._unheard.get(item_id or "")

    # Telling

    def _utterance(self, item_id: str, announced: bool) -> _Utterance:
        return self._by_item.setdefault(item_id, _Utterance(item_id, announced))

    def _new_recognition(self, utterance: _Utterance) -> int:
        self._recognitions += 1
        utterance.recognitions[self._recognitions] = _Recognition()
        self._by_recognition[self._recognitions] = utterance
        self._out.add(StartRecognition(self._recognitions))
        return self._recognitions

    def _tell(self, utterance: _Utterance, text: str) -> None:
        """Deltas only ever append; where the whole disagrees with its parts, `.completed` alone says so."""
        if text.startswith(utterance.told) and (delta := text[len(utterance.told) :]):
            utterance.told = text
            if utterance.announced:
                event = input_events.TranscriptionDelta(item_id=utterance.item_id, content_index=0, delta=delta)
                self._out.emit(event)

    def _tell_if_final(self, utterance: _Utterance) -> None:
        if not utterance.is_final or utterance.item is None:
            return
        self._by_item.pop(utterance.item_id, None)
        self._texts[utterance.item_id] = utterance.text
        if utterance.trouble is not None:
            self._unheard[utterance.item_id] = utterance.trouble
            self._tell_trouble(utterance, utterance.trouble)
        elif utterance.announced:
            self._tell_all(utterance, utterance.item)

    def _tell_all(self, utterance: _Utterance, item: Item) -> None:
        text = utterance.text
        self._tell(utterance, text)
        for part in item.content or ():
            part.transcript = text if part.type == "input_audio" else part.transcript
        usage = {"type": "duration", "seconds": math.ceil(utterance.audio_ms / 1000)}
        self._out.emit(
            input_events.TranscriptionCompleted(
                item_id=utterance.item_id, content_index=0, transcript=text, usage=usage
            )
        )

    def _tell_trouble(self, utterance: _Utterance, trouble: input_events.ErrorDetails) -> None:
        if utterance.announced:
            self._out.emit(input_events.TranscriptionFailed(item_id=utterance.item_id, content_index=0, error=trouble))
        else:
            self._out.emit(input_events.error_event(trouble))
