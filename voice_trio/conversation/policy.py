"""The numbers a conversation decides by, and the upstream's error codes that end it."""

from __future__ import annotations

from dataclasses import dataclass

from voice_trio import limits

RESPONSE_ATTEMPTS_MAX = 3  # of response.create in one turn, when a response unknown to us is in the way
PLAYBACK_CHECK_SECONDS_MIN = 0.02  # between two looks whether a response has been heard to its end
STALE_CONTEXTS = 4  # full contexts that may stay in the conversation before a batch of them is deleted
CONTINUATIONS_MAX = 2  # of one answer that breaks off with its upstream; after that the user is asked to ask again
UNASKED_MAX = 3  # responses in one session that no one asked for: the server does not wait to be asked
ANSWERS_UNASKED = "answers_unasked"
TOOL_ROUNDS_MAX = 4  # after so many rounds of function calls in one turn, the model must answer in words

# The upstream's error codes that decide something.
SESSION_EXPIRED = "session_expired"
ALREADY_ACTIVE = "conversation_already_has_active_response"

# A response that the session did not admit: what is left of a budget is reserved by other responses.
BUDGET_EXHAUSTED = "budget_exhausted"
BUDGET_RESERVED_MESSAGE = "Other answers are using what is left of the budget. Please ask again in a moment."

# With these, another connection for this account would be refused as well.
FATAL_CODES = frozenset(
    {
        "account_deactivated",
        "billing_hard_limit_reached",
        "credit_balance_exhausted",
        "insufficient_quota",
        "invalid_api_key",
    }
)


@dataclass(frozen=True, slots=True)
class Policy:
    """Seconds, words, tokens; the defaults are the documented ones."""

    wait_seconds_max: float = 0.2
    prefetch_words_min: int = 5
    searches_in_flight_max: int = 2
    searches_max: int = 8  # of one turn during speech
    searches_at_end_max: int = 2  # of one turn from its commit on
    passage_cache: bool = False  # passages that searches returned are cached, and can be searched within milliseconds
    upstream_interrupts: bool = True  # the upstream cancels its response by itself when speech begins
    whole_words: bool = False  # deltas of transcripts are whole words: the last one can be searched for too
    context_tokens_max: int = 800
    speed: float = 1.0
    chinese_speed: float = 1.15  # Mandarin at normal speed is heard as slow; only a speed of 1.0 is raised
    position_seconds_max: float = limits.POSITION_SECONDS_MAX
    silent_seconds: float = limits.RESPONSE_SILENT_SECONDS
    creation_seconds_max: float = limits.RESPONSE_CREATED_SECONDS_MAX
    stall_seconds_max: float = limits.RESPONSE_STALL_SECONDS_MAX
    commit_seconds_max: float = limits.COMMIT_MISSING_SECONDS
    speech_again_seconds: float = 3.0  # after the upstream was lost in mid-speech: then the user is asked to repeat
    known_words_seconds: float = 1.0  # the same where words are known: the user has finished, the words are asked
    done_seconds_max: float = limits.RESPONSE_DONE_SECONDS_MAX
