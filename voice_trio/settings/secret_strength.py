"""How strong a shared secret must be: long enough for its use, and no placeholder. Pure; no message quotes a secret."""

from __future__ import annotations

import itertools
import re

HMAC_KEY_BYTES_MIN = {"HS256": 32, "HS384": 48, "HS512": 64}
"""RFC 7518 §3.2: a key has at least as many bytes as the hash. One token suffices to guess a shorter one offline."""
BEARER_BYTES_MIN = 16
"""For a secret that is guessed by requests only, or that another party chooses: 128 bits, if it is random."""

REMEDY = "make one with `openssl rand -hex 32`"

_DISTINCT_MIN = 8  # of 32 random hexadecimal digits 14 are distinct on average; fewer than 8 once in 10^7
_STEPS_SHARE_MAX = 2 / 3  # of neighbours that are equal or follow each other, as in "aaaabbbb" and "12345678"
_REST_CHARS_MIN = 16  # without the words of a placeholder
_CHARS_EXAMINED_MAX = 1024

# The words of placeholders in documentation, tutorials and `.env` files. A secret may contain them beside enough else.
_WORDS = (
    *("admin", "app", "at", "bit", "bits", "change", "changed", "changeit", "changeme", "changethis", "characters"),
    *("default", "demo", "dev", "development", "django", "dummy", "example", "foobar", "generate", "here", "hmac"),
    *("insecure", "jwt", "key", "least", "letmein", "local", "long", "must", "pass", "passphrase", "passwd"),
    *("password", "placeholder", "please", "private", "prod", "production", "qwerty", "random", "replace"),
    *("replaceme", "sample", "secret", "secrets", "secure", "shared", "sign", "signing", "some", "staging", "string"),
    *("strong", "super", "test", "testing", "the", "this", "todo", "token", "trio", "unsafe", "value", "very"),
    *("voice", "with", "your"),
)
_PLACEHOLDER = re.compile(f"(?:{'|'.join(sorted(_WORDS, key=len, reverse=True))})+")
# The secret of FastAPI's tutorial, which is copied into many services.
_PUBLISHED = frozenset({"09d25e094faa6ca2556c818166b7a9563b93f7099f6f0f4caa6cf63b88e8d3e7"})


def secret_fault(secret: str, bytes_min: int, use: str) -> str:
    """What is wrong with `secret`, "" if nothing; `use` names what needs `bytes_min` bytes."""
    size = len(secret.encode("utf-8", "surrogatepass"))
    if size < bytes_min:
        return f"must have at least {bytes_min} random bytes for {use}, not {size}; {REMEDY}"
    if is_placeholder(secret):
        return f"must be random, not a placeholder, a pattern or a published example; {REMEDY}"
    return ""


def is_placeholder(secret: str) -> bool:
    """Whether `secret` is made of a placeholder's words, repeats itself, counts, or has few distinct characters."""
    text = secret.casefold()[:_CHARS_EXAMINED_MAX]
    rest = "".join("" if _PLACEHOLDER.fullmatch(part) else part for part in re.findall(r"[a-z]+|[^a-z\W_]+", text))
    stands_for_itself = len(rest) < len(re.sub(r"[\W_]", "", text)) and len(rest) < _REST_CHARS_MIN
    return text in _PUBLISHED or stands_for_itself or _is_pattern(text) or len(set(text)) < _DISTINCT_MIN


def _is_pattern(text: str) -> bool:
    """Whether a unit of at most half the length repeats, or most neighbours are equal or consecutive."""
    repeats = any(text.startswith(text[unit:]) for unit in range(1, len(text) // 2 + 1))
    steps = sum(abs(ord(left) - ord(right)) <= 1 for left, right in itertools.pairwise(text))
    return repeats or steps > _STEPS_SHARE_MAX * max(1, len(text) - 1)
