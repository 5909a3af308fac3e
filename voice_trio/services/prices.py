"""What usage costs: a dated table of prices, and exact US dollars for what a model says it used.

Costs are `Decimal`, whole multiples of `GRAIN`: sums of them are exact, in any order. What cannot be priced as stated
(an unknown model, tokens of no known kind, usage that never came) is priced by rule, marked as an estimate and named in
a warning; nothing is dropped. Knows nothing of sessions or budgets.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from decimal import Decimal
from functools import reduce
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from voice_trio.errors import ConfigurationError
from voice_trio.services.usage import MODALITIES, Faults, input_tokens, output_tokens, seconds_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

GRAIN = Decimal("1e-12")
"""US dollars. Prices per token are multiples of it; prices per minute are rounded to it, half to even."""
USER_TOKENS_PER_SECOND = 10
"""One audio token for 100 ms of what the user says (OpenAI's page on Realtime costs)."""
ASSISTANT_TOKENS_PER_SECOND = 20
"""One audio token for 50 ms of what the assistant says (same page)."""
CHARACTERS_PER_TOKEN = 4
"""Of text, where nobody has counted: OpenAI's rule of thumb for English."""
FREE = "free"
"""In place of a file: nothing costs anything, as with a model of one's own."""

_DATED_NAME = re.compile(r"-20\d\d-\d\d-\d\d$")
_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars for a million tokens of one modality; `cached` input is a part of the input."""

    input: Decimal
    cached: Decimal
    output: Decimal

    def __le__(self, other: Rates) -> bool:
        return self.input + self.output <= other.input + other.output


@dataclass(frozen=True, slots=True)
class SpeechRates:
    """What transcription costs: by the minute of speech, else by the million tokens."""

    per_minute: Decimal | None = None
    audio: Decimal = Decimal(0)
    text: Decimal = Decimal(0)
    output: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class Cost:
    """US dollars. `is_estimate` if any part of it was not stated by the model; `warnings` are names for the log."""

    usd: Decimal = Decimal(0)
    is_estimate: bool = False
    warnings: tuple[str, ...] = ()

    def __add__(self, other: Cost) -> Cost:
        names = dict.fromkeys((*self.warnings, *other.warnings))
        return Cost(self.usd + other.usd, self.is_estimate or other.is_estimate, tuple(names))


@dataclass(frozen=True, slots=True)
class Guess:
    """What is known of a response whose usage never came: tokens of its input, seconds of its sound."""

    input_text_tokens: int = 0
    input_audio_tokens: int = 0
    output_audio_seconds: float = 0.0
    output_characters: int = 0


class Prices:
    """One price table. Never raises after it was loaded: usage is what a server says, and may be anything."""

    def __init__(
        self, dated: date | None, models: Mapping[str, Mapping[str, Rates]], transcription: Mapping[str, SpeechRates]
    ) -> None:
        self.dated = dated
        """The day on which the prices were looked up; None where nothing costs anything."""
        self._models = models
        self._transcription = transcription
        self._is_free = dated is None
        known = list(models.values())
        self._dearest = {
            kind: reduce(lambda one, other: other if one <= other else one, (model[kind] for model in known))
            for kind in (MODALITIES if known else ())
        }
        self._dearest_speech = max(
            transcription.values(), key=lambda rates: rates.per_minute or Decimal(0), default=SpeechRates(Decimal(0))
        )

    def knows(self, model: str) -> bool:
        """Whether the conversation's model has prices of its own."""
        return self._is_free or _find(self._models, model) is not None

    def of_response(self, model: str, usage: Mapping[str, Any]) -> Cost:
        """What a response cost, by the `usage` of its `response.done`."""
        if self._is_free:
            return Cost()
        faults = Faults()
        rates, is_estimate = self._rates(model, faults)
        reads, unclear_in = input_tokens(usage, faults)
        writes, unclear_out = output_tokens(usage, faults)
        tokens = [(reads[kind][0], rates[kind].input) for kind in MODALITIES]
        tokens += [(reads[kind][1], rates[kind].cached) for kind in MODALITIES]
        tokens += [(writes[kind], rates[kind].output) for kind in MODALITIES]
        return _cost(tokens, faults, is_estimate=is_estimate or unclear_in or unclear_out)

    def of_transcription(self, model: str, usage: Mapping[str, Any]) -> Cost:
        """What transcribing one item cost, by its usage: tokens, or seconds of speech."""
        if self._is_free:
            return Cost()
        faults = Faults()
        rates, is_estimate = self._speech_rates(model, faults)
        if "seconds" in usage or usage.get("type") == "duration":
            seconds = seconds_of(usage.get("seconds"), faults)
            by_minute = rates.per_minute is not None
            return _speech_cost(rates, seconds, faults, is_estimate=is_estimate or not by_minute)
        return _by_token(rates, usage, faults, is_estimate=is_estimate)

    def estimated_response(self, model: str, guess: Guess) -> Cost:
        """What a response must have cost whose usage never came, by the published token rules; nothing was cached."""
        if self._is_free:
            return Cost()
        faults = Faults(["usage_missing"])
        rates, _ = self._rates(model, faults)
        spoken = round(guess.output_audio_seconds * ASSISTANT_TOKENS_PER_SECOND)
        written = -(-guess.output_characters // CHARACTERS_PER_TOKEN)
        tokens = [
            (guess.input_text_tokens, rates["text"].input),
            (guess.input_audio_tokens, rates["audio"].input),
            (spoken, rates["audio"].output),
            (written, rates["text"].output),
        ]
        return _cost(tokens, faults, is_estimate=True)

    def estimated_transcription(self, model: str, seconds: float) -> Cost:
        """What transcribing so much speech must have cost."""
        if self._is_free:
            return Cost()
        faults = Faults(["usage_missing"])
        rates, _ = self._speech_rates(model, faults)
        return _speech_cost(rates, Decimal(repr(max(0.0, seconds))), faults, is_estimate=True)

    def _rates(self, model: str, faults: Faults) -> tuple[Mapping[str, Rates], bool]:
        found = _find(self._models, model)
        if found is None:
            faults.names.append("price_missing")
            return self._dearest, True
        return found, False

    def _speech_rates(self, model: str, faults: Faults) -> tuple[SpeechRates, bool]:
        found = _find(self._transcription, model)
        if found is None:
            faults.names.append("price_missing")
            return self._dearest_speech, True
        return found, False


def load_prices(given: Path | None = None) -> Prices:
    """The table in the file `given`, else the one that comes with the package; raises `ConfigurationError`."""
    if given is not None and str(given).lower() == FREE:
        return Prices(None, {}, {})
    source = files("voice_trio.services") / "prices.toml" if given is None else given.expanduser()
    try:
        table = tomllib.loads(source.read_text(encoding="utf-8"), parse_float=Decimal)
        return Prices(
            table["dated"],
            {name: {kind: _read_rates(model[kind]) for kind in MODALITIES} for name, model in table["models"].items()},
            {name: _read_speech_rates(rates) for name, rates in table["transcription"].items()},
        )
    except KeyError as error:
        raise ConfigurationError(f"VOICE_PRICES_FILE: {error.args[0]!r} is missing") from error
    except (OSError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise ConfigurationError(f"VOICE_PRICES_FILE: cannot be read: {str(error)[:200]}") from error


def _by_token(rates: SpeechRates, usage: Mapping[str, Any], faults: Faults, *, is_estimate: bool) -> Cost:
    details = faults.inner(usage, "input_token_details")
    audio, text = faults.count(details, "audio_tokens"), faults.count(details, "text_tokens")
    audio += max(0, faults.count(usage, "input_tokens") - audio - text)
    if rates.per_minute is not None:  # priced by the minute, told in tokens
        seconds = Decimal(audio) / USER_TOKENS_PER_SECOND
        return _speech_cost(rates, seconds, faults, is_estimate=True)
    output = faults.count(usage, "output_tokens")
    return _cost([(audio, rates.audio), (text, rates.text), (output, rates.output)], faults, is_estimate=is_estimate)


def _speech_cost(rates: SpeechRates, seconds: Decimal, faults: Faults, *, is_estimate: bool) -> Cost:
    if rates.per_minute is None:
        return _cost([(round(seconds * USER_TOKENS_PER_SECOND), rates.audio)], faults, is_estimate=True)
    usd = (seconds * rates.per_minute / 60).quantize(GRAIN)
    return Cost(usd, is_estimate, tuple(dict.fromkeys(faults.names)))


def _cost(tokens: list[tuple[int, Decimal]], faults: Faults, *, is_estimate: bool) -> Cost:
    usd = sum((count * rate / _MILLION for count, rate in tokens), Decimal(0)).quantize(GRAIN)
    return Cost(usd, is_estimate, tuple(dict.fromkeys(faults.names)))


def _find(table: Mapping[str, Any], model: str) -> Any:
    """By name, else by the name without its date (`gpt-realtime-2.1-2026-07-06`)."""
    return table.get(model) or table.get(_DATED_NAME.sub("", model))


def _read_rates(given: Mapping[str, Any]) -> Rates:
    return Rates(*(_price(given[name]) for name in ("input", "cached", "output")))


def _read_speech_rates(given: Mapping[str, Any]) -> SpeechRates:
    if "per_minute" in given:
        return SpeechRates(_price(given["per_minute"]))
    tokens = given["per_million_tokens"]
    return SpeechRates(None, _price(tokens["audio"]), _price(tokens.get("text", 0)), _price(tokens["output"]))


def _price(given: object) -> Decimal:
    """US dollars; raises `ValueError` for what is no price."""
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        raise TypeError(f"{given!r} is not a price")
    price = Decimal(given)
    if not 0 <= price <= 1_000_000 or price != price.quantize(Decimal("1e-6")):
        raise ValueError(f"{given} is not a price: from 0 to 1000000 with at most 6 decimals")
    return price
