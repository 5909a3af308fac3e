"""The tables of docs/costs.md, computed from the price table."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from voice_trio.billing.conversation_price import Conversation, conversation_cost
from voice_trio.billing.prices import ASSISTANT_TOKENS_PER_SECOND, USER_TOKENS_PER_SECOND, load_prices
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import Callable
    from decimal import Decimal

PAGE = Path(__file__).parents[2] / "docs" / "costs.md"
PRICES = load_prices()
DEFAULTS = load_settings({}).upstream
MODELS = ("gpt-realtime-2.1", "gpt-realtime-2.1-mini")
MONTH_USD = 600
DAYS = 30
TALKS = {
    "as above": Conversation(),
    "5 minutes of it": Conversation(minutes=5),
    "2 minutes of it": Conversation(minutes=2),
    "one question a minute": Conversation(turns_per_minute=1),
    "answers of 5 s": Conversation(assistant_seconds=5.0, answer_tokens=20),
    "instructions of 3,000 tokens": Conversation(instructions_tokens=3000),
    "an empty knowledge base": Conversation(passages_tokens=0),
}


def cost(model: str, talk: Conversation | None = None) -> Decimal:
    """US dollars of a conversation, with the default transcription model."""
    return conversation_cost(PRICES, model, DEFAULTS.transcription_model, talk)


def models_table() -> str:
    """Ten minutes, by model."""
    rows = [f"| `{model}` | {cost(model):.2f} | {cost(model) / 10:.3f} |" for model in MODELS]
    return _table("| model | 10 minutes, USD | a minute, USD |", rows)


def kinds_table() -> str:
    """Conversations of other kinds, by model."""
    rows = [
        f"| {name} | " + " | ".join(f"{cost(model, talk):.2f}" for model in MODELS) + " |"
        for name, talk in TALKS.items()
    ]
    return _table("| conversation | " + " | ".join(f"`{model}`, USD" for model in MODELS) + " |", rows)


def month_table() -> str:
    """How many conversations of ten minutes a month's budget carries."""
    rows = []
    for model in MODELS:
        count = int(MONTH_USD / cost(model))
        rows.append(f"| `{model}` | {count:,} | {count // DAYS} | {count * 10 // 60:,} h |")
    return _table(f"| model | conversations for {MONTH_USD} USD | a day | talking |", rows)


def timed_table() -> str:
    """Models that are billed by time, with a message of passages for each turn."""
    rows = []
    for upstream, model in (("gpt-live", "gpt-live-1.1"), ("xai", "grok-voice-latest")):
        usd = conversation_cost(PRICES.of_upstream(upstream), model, "")
        rows.append(f"| `{upstream}` | `{model}` | {usd:.2f} | {usd / 10:.3f} | {int(MONTH_USD / usd):,} |")
    return _table(f"| upstream | model | 10 minutes, USD | a minute, USD | conversations for {MONTH_USD} USD |", rows)


def parts_table() -> str:
    """The parts of ten minutes with the default model, in hundredths of the whole."""
    talk, model = Conversation(), MODELS[0]
    turns = talk.minutes * talk.turns_per_minute
    user = round(talk.user_seconds * USER_TOKENS_PER_SECOND) * turns
    said = {"audio_tokens": round(talk.assistant_seconds * ASSISTANT_TOKENS_PER_SECOND) * turns}
    written = {"text_tokens": talk.answer_tokens * turns}
    passages = {"text_tokens": talk.passages_tokens * turns}
    parts = {
        "what the assistant says": _price(model, {"output_token_details": said | written}),
        "passages, read for the first time": _price(model, {"input_token_details": passages}),
        "what the user says": _price(model, {"input_token_details": {"audio_tokens": user}}),
        "transcription": PRICES.estimated_transcription(DEFAULTS.transcription_model, turns * talk.user_seconds).usd,
    }
    parts["earlier turns, read again for each answer"] = cost(model) - sum(parts.values())
    shares = sorted(((100 * usd / cost(model), name) for name, usd in parts.items()), reverse=True)
    return _table("| part | share |", [f"| {name} | {share:.0f} % |" for share, name in shares])


def _price(model: str, usage: dict[str, Any]) -> Decimal:
    return PRICES.of_response(model, usage).usd


TABLES: dict[str, Callable[[], str]] = {
    "models": models_table,
    "parts": parts_table,
    "kinds": kinds_table,
    "month": month_table,
    "timed": timed_table,
}


def with_tables(page: str) -> str:
    """`page` with each table between its comments written anew."""
    for name, make in TABLES.items():
        start, end = f"<!-- {name} -->\n", f"<!-- end of {name} -->"
        before, rest = page.split(start)
        page = before + start + make() + end + rest.split(end)[1]
    return page


def _table(header: str, rows: list[str]) -> str:
    return "\n".join([header, "|" + "---|" * (header.count("|") - 1), *rows]) + "\n"
