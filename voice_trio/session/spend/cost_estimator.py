"""What one connection's open responses and transcriptions are expected to cost, and have visibly cost so far.

It reads what goes upstream and what comes back, and keeps the reserves. It knows prices, and no budgets.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeAlias, assert_never, get_args

from voice_trio.billing.prices import Cost, UsageEstimate
from voice_trio.billing.usage import is_reported
from voice_trio.conversation import commands, events
from voice_trio.conversation.policy import ALREADY_ACTIVE
from voice_trio.conversation.response import TAG
from voice_trio.session.observers import ClientSessionUpdated, SidecarAudioSent, TranscriptionModelChanged
from voice_trio.session.spend.heard_speech import HeardSpeech
from voice_trio.session.spend.input_estimator import InputEstimator
from voice_trio.session.spend.reserves import Reserve, Reserves

if TYPE_CHECKING:
    from collections.abc import Mapping

    from voice_trio.billing.expected_output import ExpectedOutput
    from voice_trio.billing.prices import Prices
    from voice_trio.protocols.realtime import RealtimeConfig

OBSERVED_SECONDS = 1.0
"""Of sound between two looks at what a response or a transcription has cost so far."""
OBSERVED_CHARACTERS = 400
"""The same of a response's text."""

_SpeechEvent: TypeAlias = (
    events.SpeechStarted | events.SpeechStopped | events.SpeechCommitted | events.TranscriptFailed | SidecarAudioSent
)
EstimatedEvent: TypeAlias = (
    _SpeechEvent
    | events.ResponseAudioDelta
    | events.ResponseTranscriptDelta
    | events.ResponseCreated
    | events.CreationOverdue
    | events.UpstreamError
    | TranscriptionModelChanged
    | ClientSessionUpdated
)
ESTIMATED_EVENTS = get_args(EstimatedEvent)

# When a reserve is closed. A response's is closed by its bill, whatever its size. One that was refused, or that the
# upstream has not created when the conversation waits for it no longer, costs nothing. All others are billed as they
# stand when the upstream is lost or the session ends, also those that were never created: the request had left.


class CostEstimator:
    """`reserves` are the session's, which the estimator opens and closes."""

    def __init__(
        self,
        prices: Prices,
        expected_output: ExpectedOutput,
        config: RealtimeConfig,
        reserves: Reserves,
    ) -> None:
        self.turn = 0
        """The turn that is open: what is asked for now belongs to it."""
        self.reserves = reserves
        self.speech = HeardSpeech()
        self._prices = prices
        self._expected_output = expected_output
        self._config = config
        self._transcription_model = config.transcription_model
        self._sidecar_model = config.sidecar_model or config.transcription_model
        self._input = InputEstimator(config.instructions)
        self._is_timed = prices.is_timed(config.model)
        """Whether responses and their transcriptions are included in the price of the session's time."""

    def model_of(self, kind: str) -> str:
        """The model by whose prices a kind of usage is billed."""
        if kind == "response":
            return self._config.model
        return self._sidecar_model if kind == "sidecar" else self._transcription_model

    # What goes upstream

    def reserve_response(self, key: str, body: Mapping[str, object]) -> None:
        """Reserve what a response with this `body` of its `response.create` will probably cost."""
        self.reserves.put(key, self._expected(body))

    def note_command(self, command: commands.UpstreamCommand) -> None:
        """Anything else goes upstream: an item that responses will read, or a commit, whose transcription is paid."""
        match command:
            case commands.ForwardClientEvent(event_id=event_id, is_commit=True):
                self._reserve_transcription(event_id, self.speech.take_buffer())
            case commands.ForwardClientEvent(body={"type": "input_audio_buffer.clear"}):
                self.speech.take_buffer()
            case _:
                self._input.note_command(command)

    def _expected(self, body: Mapping[str, object]) -> Reserve:
        if self._is_timed:
            return Reserve("response", self.turn)
        read, model = self._input.of_response(body), self._config.model
        asked = body.get("max_output_tokens")
        output_max = asked if isinstance(asked, int) else self._config.max_output_tokens
        is_out_of_band = body.get("conversation") == "none"
        return Reserve(
            "response",
            self.turn,
            input_usd=self._prices.estimated_response(
                model, UsageEstimate(read.text, read.audio, 0.0, 0, read.image)
            ).usd,
            output_usd=self._expected_output.usd(model, output_max),
            added=None if is_out_of_band else self._input.added,
        )

    def _reserve_transcription(self, key: str, seconds: float) -> None:
        """So much audio is in an item: its transcription is certainly paid."""
        self._input.note_speech(seconds)
        if self.speech.is_transcribed and seconds > 0 and not self._is_timed:
            cost = self._prices.estimated_transcription(self._transcription_model, seconds)
            self.reserves.put(key, Reserve("transcription", self.turn, cost.usd, seconds=seconds))

    # What happens

    def on_event(self, event: EstimatedEvent, now: float) -> None:
        """Keep what an estimate needs."""
        match event:
            case events.ResponseAudioDelta():
                self.on_audio(event, now)
            case events.ResponseTranscriptDelta():
                self._on_text(event)
            case events.ResponseCreated():
                self._on_created(event)
            case events.CreationOverdue(tag):
                self.reserves.forget_uncreated(tag)
            case events.UpstreamError():
                self._on_refused(event)
            case TranscriptionModelChanged(model):
                self.speech.is_transcribed = model is not None
                self._transcription_model = model or self._transcription_model
            case ClientSessionUpdated(session):
                self._input.note_session(session)
            case _:
                self._on_speech(event)

    def _on_speech(self, event: _SpeechEvent) -> None:
        match event:
            case events.SpeechStarted():
                self.speech.started(event)
            case events.SpeechStopped():
                self._reserve_transcription(event.item_id, self.speech.stopped(event))
            case events.SpeechCommitted():
                self._on_committed(event.item_id)
            case events.TranscriptFailed():
                self.reserves.release(event.item_id)
            case SidecarAudioSent():
                self._on_sidecar_audio(event)
            case _:
                assert_never(event)

    def on_audio(self, event: events.ResponseAudioDelta, now: float) -> None:
        """Sound of a response, the most frequent event: once a second of it is looked at."""
        reserve = self.reserves.get(event.response_id)
        if reserve is not None:
            before = reserve.seconds
            reserve.seconds = before + event.duration_ms / 1000
            if reserve.seconds // OBSERVED_SECONDS != before // OBSERVED_SECONDS:
                self._observe(event.response_id, reserve)

    def _on_text(self, event: events.ResponseTranscriptDelta) -> None:
        reserve = self.reserves.get(event.response_id)
        if reserve is not None:
            before = reserve.characters
            reserve.characters = before + len(event.delta)
            if reserve.characters // OBSERVED_CHARACTERS != before // OBSERVED_CHARACTERS:
                self._observe(event.response_id, reserve)

    def _observe(self, response_id: str, reserve: Reserve) -> None:
        if self._is_timed:
            return
        seen = UsageEstimate(output_audio_seconds=reserve.seconds, output_characters=reserve.characters)
        self.reserves.observe(response_id, self._prices.estimated_response(self._config.model, seen).usd)

    def _on_committed(self, item_id: str) -> None:
        is_reserved = self.reserves.get(item_id) is not None  # the upstream announced the end of its speech
        if is_reserved or self.reserves.name("transcription", None, item_id) is None:
            self.speech.take_buffer()

    def _on_sidecar_audio(self, event: SidecarAudioSent) -> None:
        if self.reserves.get(event.source_id) is None:
            self.reserves.put(event.source_id, Reserve("sidecar", self.turn, is_created=True))
        reserve = self.reserves.get(event.source_id)
        if reserve is None:
            return  # it has its bill
        before = reserve.seconds
        reserve.seconds = before + event.seconds
        if reserve.seconds // OBSERVED_SECONDS != before // OBSERVED_SECONDS:
            usd = self._prices.estimated_transcription(self._sidecar_model, reserve.seconds).usd
            self.reserves.observe(event.source_id, usd)

    def _on_created(self, event: events.ResponseCreated) -> None:
        if self.reserves.get(event.response_id) is not None:
            return  # a repeated event
        if self.reserves.name("response", event.metadata.get(TAG), event.response_id) is None:
            unsolicited = self._expected({})
            unsolicited.is_created = True
            self.reserves.put(event.response_id, unsolicited)

    def _on_refused(self, event: events.UpstreamError) -> None:
        """What the upstream refused costs nothing."""
        if event.event_id is not None:
            self.reserves.forget_uncreated(event.event_id)
        elif event.code == ALREADY_ACTIVE:
            asked = (key for key in self.reserves.open if self.reserves[key].added is not None)
            self.reserves.forget_uncreated(next(asked, ""))

    def start_anew(self) -> None:
        """The upstream is lost; the next one has heard and said nothing."""
        self._input.start_anew()
        self.speech.start_anew()

    # The bill

    def settle(self, kind: str, source_id: str, usage: Mapping[str, object] | None) -> tuple[int, Cost]:
        """Close a reserve; returns the turn and the cost: by `usage`, else as it was reserved, as an estimate."""
        reserve = self.reserves.get(source_id)
        if reserve is None:
            reserve = self._expected({}) if kind == "response" else Reserve(kind, self.turn)
        if kind == "response":
            cost = self._settle_response(source_id, reserve, usage)
        else:
            cost = self._price_transcription(reserve, usage)
        self.reserves.release(source_id)
        return reserve.turn_id, Cost() if self._is_timed and kind != "sidecar" else cost

    def _settle_response(self, source_id: str, reserve: Reserve, usage: Mapping[str, object] | None) -> Cost:
        if self.reserves.get(source_id) is reserve:
            self._observe(source_id, reserve)  # its last piece, of less than a second, counts too
        if reserve.added is not None:
            self._input.settle(usage, reserve.seconds, reserve.added)
        model = self._config.model
        estimate = self._prices.unreported(reserve.usd)
        if usage is None or not is_reported(usage):
            return estimate
        cost = self._prices.of_response(model, usage)
        if not cost.is_estimate:
            self._expected_output.note(model, self._prices.output_usd(model, usage))
        return cost.or_estimate(estimate)

    def _price_transcription(self, reserve: Reserve, usage: Mapping[str, object] | None) -> Cost:
        model = self.model_of(reserve.kind)
        estimate = self._prices.estimated_transcription(model, reserve.seconds)
        if usage is None or not is_reported(usage):
            return estimate
        return self._prices.of_transcription(model, usage).or_estimate(estimate)
