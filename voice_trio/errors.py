"""Every error this package raises on purpose, as one tree.

    VoiceTrioError
    ├── ConfigurationError      wrong settings or a missing extra: the operator must act
    ├── BadMessage              the client sent a message that is refused; never fatal by itself
    │   ├── NotJson             … that is no JSON; ten of these end a connection
    │   └── InvalidEvent        … a Realtime event; the server answers with an `error` that names the field
    │       └── EventTooLarge   … that is fatal: its type may not be so large
    ├── TokenInvalid            a token is missing, malformed, expired or of another issuer
    │   ├── TokenNotAccepted    … although its signature verifies: it has expired, or is for another service
    │   └── TokenUncheckable    … not the client's fault: the signing keys could not be fetched
    ├── PlanUnverified          the plan service failed, or its response is malformed
    ├── LinkClosed              the connection is closed or lost
    ├── ModelUnavailable        the upstream is unreachable or refused; a retry may succeed
    │   └── ModelRefused        … a retry cannot succeed: wrong key, no quota, unknown model
    │       └── SettingsRefused … for the settings of this session, which says nothing about others
    ├── KnowledgeUnavailable    a search failed; the turn continues without context
    ├── StateUnavailable        shared state failed; admission decides by local state
    ├── UnknownDocument         a key that no document of the knowledge base has
    └── UnreadableDocument      a file that `knowledge import` cannot read; the import continues with the next

The adapter that meets a foreign exception maps it (`raise … from error`); above the adapters only these appear.
"""

from __future__ import annotations


class VoiceTrioError(Exception):
    """The base class of every error that this package raises on purpose."""


class ConfigurationError(VoiceTrioError):
    """The configuration is wrong; the message names the variable and what is right."""


class BadMessage(VoiceTrioError):
    """A client's message is refused; `code` is the `error.code` of the contract."""

    def __init__(self, message: str, *, code: str = "bad_message") -> None:
        super().__init__(message)
        self.code = code


class NotJson(BadMessage):
    """A text frame is not JSON."""


class InvalidEvent(BadMessage):
    """A Realtime client event is invalid; `param` is the path of the field, `event_id` that of the event, if known."""

    def __init__(
        self, message: str, *, code: str = "invalid_value", param: str | None = None, event_id: str | None = None
    ) -> None:
        super().__init__(message, code=code)
        self.param = param
        self.event_id = event_id


class EventTooLarge(InvalidEvent):
    """A Realtime client event is larger than its type may be; the session ends."""


class TokenInvalid(VoiceTrioError):
    """A token is missing, malformed, expired or of another issuer; the message never quotes it."""


class TokenNotAccepted(TokenInvalid):
    """The signature verifies, but not the claims: no guess, so it does not count as a failed token of its address.

    `user_id` is the user that the token names, "" if it names none.
    """

    def __init__(self, message: str, user_id: str = "") -> None:
        super().__init__(message)
        self.user_id = user_id


class TokenUncheckable(TokenInvalid):
    """The keys to verify a token could not be fetched; the attempt does not count as a failed token."""


class PlanUnverified(VoiceTrioError):
    """The plan of a user is unknown: the service failed, refused, timed out, or its response is malformed."""


class LinkClosed(VoiceTrioError):
    """The connection is closed or lost; `code` and `reason` are those of the peer's close frame, if it sent one."""

    def __init__(self, code: int | None = None, reason: str = "", *, timed_out: bool = False) -> None:
        super().__init__(f"closed with {code} {reason}".rstrip() if code else "connection lost")
        self.code = code
        self.reason = reason
        self.timed_out = timed_out
        """Whether the peer did not take what was sent, or did not send the rest of a message, in time."""


class ModelUnavailable(VoiceTrioError):
    """The upstream is unreachable, broke the connection, or refused in a way that a retry may cure."""


class ModelRefused(ModelUnavailable):
    """The upstream refused in a way that no retry can cure: wrong key, no quota, unknown model.

    With `may_pass` it can, if the same request was accepted before: a proxy answers while the upstream restarts.
    """

    def __init__(self, message: str, *, may_pass: bool = False) -> None:
        super().__init__(message)
        self.may_pass = may_pass


class SettingsRefused(ModelRefused):
    """The upstream refused the settings of one session, which says nothing about the sessions of others."""


class KnowledgeUnavailable(VoiceTrioError):
    """A search failed or timed out; the turn continues without context."""


class StateUnavailable(VoiceTrioError):
    """Shared state (limits, sessions, rollout) is unavailable."""


class UnknownDocument(VoiceTrioError):
    """A name means no document of the knowledge base, or several; nothing was changed."""


class UnreadableDocument(VoiceTrioError):
    """A file cannot be imported; the message says why, and what to do."""
