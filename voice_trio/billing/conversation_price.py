"""What a conversation is expected to cost by a price table, before it has taken place.

A conversation of ten minutes is counted turn by turn, as it is billed: the upstream reads the instructions, all earlier
turns (cached) and the new ones for each response. OpenAI's page on Realtime costs gives the tokens per second.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from voice_trio.billing.prices import ASSISTANT_TOKENS_PER_SECOND, USER_TOKENS_PER_SECOND

if TYPE_CHECKING:
    from voice_trio.billing.prices import Prices


@dataclass(frozen=True, slots=True)
class Conversation:
    """A conversation to be priced. The defaults are a lively one: the user and the assistant take turns of 20 s."""

    minutes: int = 10
    turns_per_minute: int = 3
    user_seconds: float = 7.0
    """What the user says in a turn; pauses are not sent to the model as tokens."""
    assistant_seconds: float = 11.0
    instructions_tokens: int = 300
    passages_tokens: int = 700
    """The passages of a turn. The model reads them again, cached, until the gateway deletes them."""
    turns_between_deletions: int = 4
    """Passages are deleted in batches (`retrieval.context_items`); what follows them is then read anew, uncached."""
    answer_tokens: int = 45
    """The text of an answer that is spoken in `assistant_seconds`."""


def conversation_cost(prices: Prices, model: str, transcription: str, talk: Conversation | None = None) -> Decimal:
    """US dollars for the whole of `talk`, transcription included."""
    talk = talk or Conversation()
    if prices.is_timed(model):
        messages = talk.minutes * talk.turns_per_minute  # the passages of each turn
        return prices.of_time(model, talk.minutes * 60.0).usd + prices.of_messages(model, messages).usd
    user = round(talk.user_seconds * USER_TOKENS_PER_SECOND)
    assistant = round(talk.assistant_seconds * ASSISTANT_TOKENS_PER_SECOND)
    turns = talk.minutes * talk.turns_per_minute
    total = Decimal(0)
    for turn in range(turns):
        kept = turn % talk.turns_between_deletions
        is_read_anew = turn > 0 and kept == 0
        audio_before = turn * (user + assistant)
        audio_anew = talk.turns_between_deletions * (user + assistant) if is_read_anew else 0
        text_before = (talk.instructions_tokens if turn else 0) + kept * talk.passages_tokens
        usage = {
            "input_token_details": {
                "text_tokens": max(text_before, talk.instructions_tokens) + talk.passages_tokens,
                "audio_tokens": audio_before + user,
                "cached_tokens_details": {"text_tokens": text_before, "audio_tokens": audio_before - audio_anew},
            },
            "output_token_details": {"audio_tokens": assistant, "text_tokens": talk.answer_tokens},
        }
        total += prices.of_response(model, usage).usd
    heard = prices.estimated_transcription(transcription, turns * talk.user_seconds).usd
    return total + heard


def minute_cost(prices: Prices, model: str, transcription: str) -> Decimal:
    """US dollars for a minute of a ten-minute conversation, on average."""
    return conversation_cost(prices, model, transcription) / Conversation().minutes
