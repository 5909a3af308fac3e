"""Every error this package raises on purpose, as one tree.

    VoiceTrioError
    ├── ConfigurationError      the operator's: wrong settings, a missing extra
    ├── BadMessage              theirs, the client's: a message we refuse, never fatal by itself
    │   ├── NotJson             … not even JSON: ten of these end a connection
    │   └── InvalidEvent        … a Realtime event that a server answers with an `error` naming the field
    ├── TokenInvalid            theirs: a token that is missing, malformed, expired or not for us
    │   └── TokenUncheckable    … not theirs: the keys to check it with could not be fetched
    ├── PlanUnverified          the service that knows a user's plan failed or made no sense
    ├── LinkClosed              the peer is gone, politely or not
    ├── ModelUnavailable        the upstream could not be reached or refused us; worth another try
    │   └── ModelRefused        … not worth another try: wrong key, no quota, unknown model
    ├── KnowledgeUnavailable    a search failed; the turn goes on without context
    ├── StateUnavailable        shared state failed; admission falls back
    └── UnreadableDocument      a file that `knowledge import` cannot read; the import goes on with the next

Foreign exceptions are mapped in the adapter that met them (`raise … from error`); above the adapters only these appear.
"""

from __future__ import annotations


class VoiceTrioError(Exception):
    """Root of everything raised on purpose."""


class ConfigurationError(VoiceTrioError):
    """The operator must change something; the message says what, by variable name."""


class BadMessage(VoiceTrioError):
    """A message from a client that is refused; `code` is the contract's `error.code`."""

    def __init__(self, message: str, *, code: str = "bad_message") -> None:
        super().__init__(message)
        self.code = code


class NotJson(BadMessage):
    """A text frame that is no JSON at all."""


class InvalidEvent(BadMessage):
    """A Realtime client event with a fault; `param` is the path of the field, `event_id` the event's, where known."""

    def __init__(
        self, message: str, *, code: str = "invalid_value", param: str | None = None, event_id: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.param = param
        self.event_id = event_id


class TokenInvalid(VoiceTrioError):
    """A token is missing, malformed, expired or not for us; the message never quotes it."""


class TokenUncheckable(TokenInvalid):
    """The keys to check a token could not be fetched: the caller is refused, but nothing is held against them."""


class PlanUnverified(VoiceTrioError):
    """Which plan a user has could not be learnt: the service failed, refused, took too long or made no sense."""


class LinkClosed(VoiceTrioError):
    """The peer closed or vanished; `code` and `reason` are what it said, where it said anything."""

    def __init__(self, code: int | None = None, reason: str = "") -> None:
        super().__init__(f"closed with {code} {reason}".rstrip() if code else "connection lost")
        self.code = code
        self.reason = reason


class ModelUnavailable(VoiceTrioError):
    """The upstream could not be reached, broke off, or said something that a retry may cure."""


class ModelRefused(ModelUnavailable):
    """The upstream said no in a way that a retry cannot cure: wrong key, no quota, unknown model."""


class KnowledgeUnavailable(VoiceTrioError):
    """A search failed or took too long; the turn goes on without context."""


class StateUnavailable(VoiceTrioError):
    """Shared state (limits, sessions, rollout) did not answer."""


class UnreadableDocument(VoiceTrioError):
    """A file cannot be imported; the message says why, and what to do."""
