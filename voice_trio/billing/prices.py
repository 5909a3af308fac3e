"""The cost of usage: exact US dollars by a dated price table, for the usage that the upstream reports.

Costs are `Decimal`, whole multiples of `GRAIN`, so their sums are exact in any order. An unknown model, tokens of an
unknown modality and missing usage are priced by rule, marked as an estimate and named in a warning. No usage is
ignored. Knows nothing of sessions or budgets.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from typing import TYPE_CHECKING, Any

from voice_trio.billing.usage import UNREADABLE, UsageFaults, input_tokens, output_tokens, seconds_of
from voice_trio.settings.price_table import (
    MODALITIES,
    PriceTable,
    Rates,
    SpeechRates,
    TimedRates,
    UpstreamPrices,
    read_price_table,
)

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GRAIN = Decimal("1e-12")
"""US dollars. Prices per token are multiples of it; prices per minute are rounded to it, half to even."""
USER_TOKENS_PER_SECOND = 10
"""One audio token for 100 ms of what the user says (OpenAI's page on Realtime costs)."""
ASSISTANT_TOKENS_PER_SECOND = 20
"""One audio token for 50 ms of what the assistant says (same page)."""
CHARACTERS_PER_TOKEN = 4
"""Of text without a token count: OpenAI's rule of thumb for English."""
_DATED_NAME = re.compile(r"-20\d\d-\d\d-\d\d$")
_MILLION = Decimal(1_000_000)
_FREE = Rates(Decimal(0), Decimal(0), Decimal(0))


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars. `is_estimate` if the upstream did not report all of it; `warnings` are names for the log."""

    usd: Decimal = Decimal(0)
    is_estimate: bool = False
    warnings: tuple[str, ...] = ()

    @property
    def is_unreadable(self) -> bool:
        """Whether a reported value could not be counted: the cost may lack what it stands for."""
        return not UNREADABLE.isdisjoint(self.warnings)

    def or_estimate(self, estimate: Cost) -> Cost:
        """This cost if all of it could be read, else the higher of the two, as an estimate."""
        if not self.is_unreadable:
            return self
        return Cost(max(self.usd, estimate.usd), is_estimate=True, warnings=self.warnings)

    def __add__(self, other: Cost) -> Cost:
        names = dict.fromkeys((*self.warnings, *other.warnings))
        return Cost(self.usd + other.usd, self.is_estimate or other.is_estimate, tuple(names))


@dataclass(frozen=True, slots=True)
class UsageEstimate:
    """What is known of a response without reported usage: tokens of its input, seconds of its audio."""

    input_text_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_seconds: float = 0.0
    output_characters: int = 0
    input_image_tokens: int = 0


class Prices:
    """One price table. No method raises, for any usage that an upstream may report."""

    def __init__(self, table: PriceTable, upstream: str = "openai") -> None:
        self.dated = table.dated
        """The day on which the prices were looked up; None if everything is free."""
        own = table.upstreams.get(upstream, UpstreamPrices())
        self._table = table
        self._by_upstream: dict[str, Prices] = {}
        self._models = models = {**table.models, **own.models}
        self._transcription = {**table.transcription, **own.transcription}
        self._timed = own.timed
        self._is_free = table.dated is None
        self._dearest = {
            kind: reduce(_dearer, (model[kind] for model in models.values()), _FREE) for kind in MODALITIES
        }
        self._dearest_speech = max(
            self._transcription.values(),
            key=lambda rates: rates.per_minute or Decimal(0),
            default=SpeechRates(Decimal(0)),
        )

    def of_upstream(self, name: str) -> Prices:
        """The prices of the kind of upstream of that name, made once."""
        if name not in self._by_upstream:
            self._by_upstream[name] = Prices(self._table, name)
        return self._by_upstream[name]

    def knows(self, model: str) -> bool:
        """Whether `model` has prices of its own."""
        return self._is_free or self.is_timed(model) or _find(self._models, model) is not None

    def knows_transcription(self, model: str) -> bool:
        """Whether the transcription by `model` has a price of its own."""
        return self._is_free or _find(self._transcription, model) is not None

    def unpriced(self, model: str, transcription_model: str) -> list[str]:
        """Those of the two without a price of their own; a timed model's includes the transcription."""
        wanted = [] if self.is_timed(model) else [transcription_model]
        return [
            *([] if self.knows(model) else [model]),
            *[name for name in wanted if not self.knows_transcription(name)],
        ]

    def is_timed(self, model: str) -> bool:
        """Whether `model` is billed by the time that its session lasts; then its tokens cost nothing."""
        return self._timed_rates(model) is not None

    def of_time(self, model: str, seconds: float, standby_seconds: float = 0.0) -> Cost:
        """The cost of a timed model's session of so many seconds, of which `standby_seconds` were paused."""
        rates = self._timed_rates(model)
        if rates is None:
            return Cost()
        paused = Decimal(repr(min(max(0.0, standby_seconds), max(0.0, seconds))))
        active = Decimal(repr(max(0.0, seconds))) - paused
        usd = (active * rates.per_minute + paused * rates.standby_per_minute) / 60
        return Cost(usd.quantize(GRAIN))

    def of_messages(self, model: str, count: int) -> Cost:
        """The cost of so many text messages to a timed model."""
        rates = self._timed_rates(model)
        return Cost() if rates is None else Cost((count * rates.per_message).quantize(GRAIN))

    def of_response(self, model: str, usage: Mapping[str, Any]) -> Cost:
        """The cost of a response, by the `usage` of its `response.done`."""
        if self._is_free:
            return Cost()
        faults = UsageFaults()
        rates, is_estimate = self._rates(model, faults)
        reads, unclear_in = input_tokens(usage, faults)
        writes, unclear_out = output_tokens(usage, faults)
        tokens = [(reads[kind][0], rates[kind].input) for kind in MODALITIES]
        tokens += [(reads[kind][1], rates[kind].cached) for kind in MODALITIES]
        tokens += [(writes[kind], rates[kind].output) for kind in MODALITIES]
        return _cost(tokens, faults, is_estimate=is_estimate or unclear_in or unclear_out)

    def of_transcription(self, model: str, usage: Mapping[str, Any]) -> Cost:
        """The cost of transcribing one item, by its usage: tokens, or seconds of speech."""
        if self._is_free:
            return Cost()
        faults = UsageFaults()
        rates, is_estimate = self._speech_rates(model, faults)
        if "seconds" in usage or usage.get("type") == "duration":
            seconds = seconds_of(usage.get("seconds"), faults)
            by_minute = rates.per_minute is not None
            return _speech_cost(rates, seconds, faults, is_estimate=is_estimate or not by_minute)
        return _by_token(rates, usage, faults, is_estimate=is_estimate)

    def estimated_response(self, model: str, estimate: UsageEstimate) -> Cost:
        """The estimated cost of a response without reported usage, by the published token rules and without caching."""
        if self._is_free:
            return Cost()
        faults = UsageFaults(["usage_missing"])
        rates, _ = self._rates(model, faults)
        spoken = round(estimate.output_audio_seconds * ASSISTANT_TOKENS_PER_SECOND)
        written = -(-estimate.output_characters // CHARACTERS_PER_TOKEN)
        tokens = [
            (estimate.input_text_tokens, rates["text"].input),
            (estimate.input_audio_tokens, rates["audio"].input),
            (estimate.input_image_tokens, rates["image"].input),
            (spoken, rates["audio"].output),
            (written, rates["text"].output),
        ]
        return _cost(tokens, faults, is_estimate=True)

    def output_usd(self, model: str, usage: Mapping[str, Any]) -> Decimal:
        """What the output of a response cost, by the `usage` of its `response.done`."""
        names = ("output_tokens", "output_token_details")
        return self.of_response(model, {name: usage[name] for name in names if name in usage}).usd

    def unreported(self, usd: Decimal) -> Cost:
        """The cost of a response without reported usage that was expected to cost `usd`."""
        return Cost() if self._is_free else Cost(usd, is_estimate=True, warnings=("usage_missing",))

    def estimated_transcription(self, model: str, seconds: float) -> Cost:
        """The estimated cost of transcribing `seconds` of speech."""
        if self._is_free:
            return Cost()
        faults = UsageFaults(["usage_missing"])
        rates, _ = self._speech_rates(model, faults)
        return _speech_cost(rates, Decimal(repr(max(0.0, seconds))), faults, is_estimate=True)

    def _timed_rates(self, model: str) -> TimedRates | None:
        return None if self._is_free else _find(self._timed, model)

    def _rates(self, model: str, faults: UsageFaults) -> tuple[Mapping[str, Rates], bool]:
        found = _find(self._models, model)
        if found is None:
            faults.names.append("price_missing")
            return self._dearest, True
        return found, False

    def _speech_rates(self, model: str, faults: UsageFaults) -> tuple[SpeechRates, bool]:
        found = _find(self._transcription, model)
        if found is None:
            faults.names.append("price_missing")
            return self._dearest_speech, True
        return found, False


def load_prices(given: Path | None = None) -> Prices:
    """Load the price table `given`, else the one of the package; raises `ConfigurationError`."""
    return Prices(read_price_table(given))


def _by_token(rates: SpeechRates, usage: Mapping[str, Any], faults: UsageFaults, *, is_estimate: bool) -> Cost:
    details = faults.inner(usage, "input_token_details")
    audio, text = faults.count(details, "audio_tokens"), faults.count(details, "text_tokens")
    audio += max(0, faults.count(usage, "input_tokens") - audio - text)
    if rates.per_minute is not None:  # priced by the minute, reported in tokens
        seconds = Decimal(audio) / USER_TOKENS_PER_SECOND
        return _speech_cost(rates, seconds, faults, is_estimate=True)
    output = faults.count(usage, "output_tokens")
    return _cost([(audio, rates.audio), (text, rates.text), (output, rates.output)], faults, is_estimate=is_estimate)


def _speech_cost(rates: SpeechRates, seconds: Decimal, faults: UsageFaults, *, is_estimate: bool) -> Cost:
    if rates.per_minute is None:
        return _cost([(round(seconds * USER_TOKENS_PER_SECOND), rates.audio)], faults, is_estimate=True)
    usd = (seconds * rates.per_minute / 60).quantize(GRAIN)
    return Cost(usd, is_estimate or faults.is_unreadable, tuple(dict.fromkeys(faults.names)))


def _cost(tokens: list[tuple[int, Decimal]], faults: UsageFaults, *, is_estimate: bool) -> Cost:
    usd = sum((count * rate / _MILLION for count, rate in tokens), Decimal(0)).quantize(GRAIN)
    return Cost(usd, is_estimate or faults.is_unreadable, tuple(dict.fromkeys(faults.names)))


def _dearer(one: Rates, other: Rates) -> Rates:
    return other if one <= other else one


def _find(table: Mapping[str, Any], model: str) -> Any:
    """Look up by name, else by the name without its date (`gpt-realtime-2.1-2026-07-06`)."""
    return table.get(model) or table.get(_DATED_NAME.sub("", model))
