"""A full-duplex conversation at exact times: the user's words, the assistant's words, and output that never pauses."""

from __future__ import annotations

from tests.support.conversation_fixture import ConversationDriver
from voice_trio.conversation import commands, events
from voice_trio.conversation.full_duplex.commands import AppendThinking
from voice_trio.conversation.full_duplex.conversation import FullDuplexConversation
from voice_trio.conversation.full_duplex.events import AssistantWords, OutputAudio, UserWords
from voice_trio.conversation.policy import Policy

FRAME_MS = 100.0
POLICY = Policy(prefetch_words_min=3, whole_words=True)
WORD_SECONDS = 0.2
WORD_LAG_MS = 500


class FullDuplexScene(ConversationDriver[FullDuplexConversation]):
    """Times of words on the upstream's clock follow from `now`."""

    def __init__(self, policy: Policy = POLICY, *, hears: bool = True) -> None:
        super().__init__(FullDuplexConversation(policy))
        if hears:
            self.silence(1)

    def says(self, text: str, *, every: float = WORD_SECONDS) -> None:
        """The words of a user's sentence as they come in, the last one now."""
        for number, word in enumerate(text.split()):
            if number:
                self.wait(every)
            end_ms = round(self.now * 1000) - WORD_LAG_MS
            self.feed(UserWords(" " + word, end_ms - 200, end_ms))

    def answers(self, text: str, *, loud_ms: float = 300.0, sent: bool = True) -> None:
        """A word with its sound, at once."""
        start_ms = round(self.now * 1000)
        self.feed(AssistantWords(" " + text, start_ms, start_ms + 200))
        self.sound(loud_ms, sent=sent)

    def sound(self, loud_ms: float, *, sent: bool = True) -> None:
        self._output(round(loud_ms / FRAME_MS), is_loud=True, sent=sent)

    def silence(self, frames: int, *, sent: bool = True) -> None:
        self._output(frames, is_loud=False, sent=sent)

    def _output(self, frames: int, *, is_loud: bool, sent: bool) -> None:
        """In real time."""
        for _ in range(frames):
            issued = self.feed(OutputAudio("AAAA", FRAME_MS, is_loud))
            for command in issued:
                event = command.event if isinstance(command, commands.SendToClient) else None
                if sent and isinstance(event, events.ResponseAudioDelta):
                    self.feed(events.AudioSent(event.item_id, FRAME_MS))
            self.wait(FRAME_MS / 1000)

    def appended(self) -> list[AppendThinking]:
        return self.to_upstream(AppendThinking)

    def seen(self) -> list[str]:
        """What the client was sent, by name; runs of sound and of deltas count once."""
        names = [type(command.event).__name__ for command in self.of(commands.SendToClient)]
        return [name for place, name in enumerate(names) if place == 0 or names[place - 1] != name]
