"""What to do about transcriptions that fail turn after turn: another model once, then the sidecar, then say so.

An upstream may accept a model that it does not have: Azure names models by their deployments, and only a transcription
shows that there is none of that name.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import trio

from voice_trio.conversation import commands, events

if TYPE_CHECKING:
    from voice_trio.conversation.full_duplex.events import AnyUpstreamEvent
    from voice_trio.session.ports import ConnectedUpstream, SessionPort, SidecarPort

TRANSCRIPTIONS = frozenset({events.TranscriptCompleted, events.TranscriptFailed})
"""The exact types of events that tell of a transcription."""
FAILURES_MAX = 3
"""In a row; a single one may be of a sound that has no words."""


class TranscriptionWatch:
    """Of one session, over all its upstreams."""

    def __init__(self, host: SessionPort, sidecar: SidecarPort | None) -> None:
        self._host = host
        self._sidecar = sidecar
        self._failures = 0
        self._model = ""
        self._changes = 0
        self._has_given_up = False

    def follow(self, upstream: ConnectedUpstream) -> None:
        """This upstream transcribes from now on."""
        self._model = upstream.transcription_model
        self._failures = 0

    def note(self, event: AnyUpstreamEvent) -> None:
        """The upstream has transcribed something, or failed to; other events change nothing."""
        if isinstance(event, events.TranscriptCompleted):
            self._failures = 0
        elif isinstance(event, events.TranscriptFailed):
            self._failures += 1
            if self._failures == FAILURES_MAX:
                self._failures = 0
                self._do_without(event.code)

    def _do_without(self, code: str) -> None:
        other = self._host.config.upstream.fallback_transcription_model
        summary, log = self._host.summary, self._host.log
        if other not in (None, self._model) and not summary.transcription_fallback:
            assert other is not None
            log.warning("transcription_fallback", refused=self._model, code=code, model=other)
            self._model, summary.transcription_fallback = other, True
            self._changes += 1
            change = commands.ChangeTranscription(f"{self._host.config.id_prefix}l{self._changes}", other)
            self._host.execute(commands.SendToUpstream(change), trio.current_time())
        elif self._sidecar is not None and self._sidecar.take_over():
            log.warning("transcription_by_sidecar", refused=self._model, code=code)
            summary.transcription_fallback = True
        elif not self._has_given_up:
            self._has_given_up = summary.transcription_fallback = True
            log.error("transcription_failing", model=self._model, code=code)
