"""Reads and validates the price table. `voice_trio.billing.prices` applies it."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass, field
from decimal import Decimal
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from voice_trio.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

MODALITIES = ("text", "audio", "image")
FREE = "free"
"""The value in place of a file with which everything is free, for a self-hosted model."""


@dataclass(frozen=True, slots=True)
class Rates:
    """US dollars per million tokens of one modality; `cached` applies to the cached part of the input."""

    input: Decimal
    cached: Decimal
    output: Decimal

    def __le__(self, other: Rates) -> bool:
        return self.input + self.output <= other.input + other.output


@dataclass(frozen=True, slots=True)
class SpeechRates:
    """The price of transcription in US dollars: per minute of speech, else per million tokens."""

    per_minute: Decimal | None = None
    audio: Decimal = Decimal(0)
    text: Decimal = Decimal(0)
    output: Decimal = Decimal(0)


@dataclass(frozen=True, slots=True)
class TimedRates:
    """The price of a model that is billed by time, in US dollars; tokens and transcription are included."""

    per_minute: Decimal
    per_message: Decimal = Decimal(0)
    """For each text message that the model is sent."""
    standby_per_minute: Decimal = Decimal(0)
    """While its session is paused."""


@dataclass(frozen=True, slots=True)
class UpstreamPrices:
    """Prices of one kind of upstream, which take precedence."""

    models: Mapping[str, Mapping[str, Rates]] = field(default_factory=dict)
    transcription: Mapping[str, SpeechRates] = field(default_factory=dict)
    timed: Mapping[str, TimedRates] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class PriceTable:
    """Rates by model and modality; `dated` is the day on which they were looked up, None if everything is free."""

    dated: date | None = None
    models: Mapping[str, Mapping[str, Rates]] = field(default_factory=dict)
    transcription: Mapping[str, SpeechRates] = field(default_factory=dict)
    upstreams: Mapping[str, UpstreamPrices] = field(default_factory=dict)


def read_price_table(given: Path | None = None) -> PriceTable:
    """Read the price table `given`, else the one of the package; raises `ConfigurationError`."""
    if given is not None and str(given).lower() == FREE:
        return PriceTable()
    source = files("voice_trio.settings") / "prices.toml" if given is None else given.expanduser()
    try:
        table = tomllib.loads(source.read_text(encoding="utf-8"), parse_float=Decimal)
        return PriceTable(
            table["dated"],
            _read_models(table["models"]),
            _read_transcription(table["transcription"]),
            {name: _read_upstream(prices) for name, prices in table.get("upstreams", {}).items()},
        )
    except KeyError as error:
        raise ConfigurationError(f"VOICE_PRICES_FILE: {error.args[0]!r} is missing") from error
    except (OSError, ValueError, TypeError, AttributeError, ArithmeticError) as error:
        raise ConfigurationError(f"VOICE_PRICES_FILE: cannot be read: {str(error)[:200]}") from error


def _read_models(given: Mapping[str, Any]) -> dict[str, dict[str, Rates]]:
    return {name: {kind: _read_rates(model[kind]) for kind in MODALITIES} for name, model in given.items()}


def _read_transcription(given: Mapping[str, Any]) -> dict[str, SpeechRates]:
    return {name: _read_speech_rates(rates) for name, rates in given.items()}


def _read_upstream(given: Mapping[str, Any]) -> UpstreamPrices:
    timed = {
        name: TimedRates(
            _price(rates["per_minute"]),
            _price(rates.get("per_message", 0)),
            _price(rates.get("standby_per_minute", 0)),
        )
        for name, rates in given.get("timed", {}).items()
    }
    return UpstreamPrices(
        _read_models(given.get("models", {})), _read_transcription(given.get("transcription", {})), timed
    )


def _read_rates(given: Mapping[str, Any]) -> Rates:
    return Rates(*(_price(given[name]) for name in ("input", "cached", "output")))


def _read_speech_rates(given: Mapping[str, Any]) -> SpeechRates:
    if "per_minute" in given:
        return SpeechRates(_price(given["per_minute"]))
    tokens = given["per_million_tokens"]
    return SpeechRates(None, _price(tokens["audio"]), _price(tokens.get("text", 0)), _price(tokens["output"]))


def _price(given: object) -> Decimal:
    """US dollars; raises `ValueError` or `TypeError` if `given` is no price."""
    if isinstance(given, bool) or not isinstance(given, int | Decimal):
        raise TypeError(f"{given!r} is not a price")
    price = Decimal(given)
    if not 0 <= price <= 1_000_000 or price != price.quantize(Decimal("1e-6")):
        raise ValueError(f"{given} is not a price: from 0 to 1000000 with at most 6 decimals")
    return price
