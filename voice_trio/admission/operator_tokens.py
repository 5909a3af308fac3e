"""The tokens of operators: an administrator's, and the one that `/metrics` may require. Knows nothing of HTTP.

Tokens that do not verify are counted by address. Beyond the limit such a token is refused with a time to wait; one that
verifies passes all the same, and one that has expired is not counted, because several people may share an address.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING

import structlog
import trio

from voice_trio import limits
from voice_trio.admission import refusals
from voice_trio.admission.client_address import mask_address
from voice_trio.admission.refusals import RecentEvents, Refusal
from voice_trio.errors import TokenInvalid, TokenNotAccepted, TokenUncheckable

if TYPE_CHECKING:
    from collections.abc import Callable

    from voice_trio.auth.tokens import TokenVerifier, User

log = structlog.get_logger(__name__)


class OperatorTokens:
    """Checks operators' tokens; `on_failure` is called with the kind of each that does not verify."""

    def __init__(self, verifier: TokenVerifier, metrics_token: str | None, on_failure: Callable[[str], None]) -> None:
        self._verifier = verifier
        self._metrics_token = metrics_token
        self._on_failure = on_failure
        self._failures = RecentEvents(limit=limits.FAILED_TOKENS_PER_MINUTE, window_seconds=limits.MINUTE_SECONDS)
        self._logged = RecentEvents(limit=1, window_seconds=limits.MINUTE_SECONDS)
        self._logged_in_all = RecentEvents(
            limit=limits.UNKNOWN_REFUSALS_LOGGED_PER_MINUTE, window_seconds=limits.MINUTE_SECONDS
        )

    async def check_administrator(self, token: str, address: str) -> User | Refusal:
        """The administrator that `token` names, or the refusal of the client at `address`."""
        try:
            with trio.fail_after(limits.TOKEN_SECONDS_MAX):
                user = await self._verifier.verify(token)
        except (TokenUncheckable, trio.TooSlowError):
            return refusals.token_uncheckable(limits.TOKEN_SECONDS_MAX)
        except TokenNotAccepted as error:
            self._report("administrator", address)
            return refusals.token_invalid(str(error))
        except TokenInvalid as error:
            return self._refuse("administrator", address, str(error))
        return user if user.is_admin else refusals.not_administrator()

    def check_metrics(self, token: str, address: str) -> Refusal | None:
        """The refusal of a client that may not read the metrics; None if it may."""
        if self._metrics_token is None or hmac.compare_digest(token.encode(), self._metrics_token.encode()):
            return None
        return self._refuse("metrics", address, "a bearer token is needed")

    def _refuse(self, kind: str, address: str, what: str) -> Refusal:
        self._report(kind, address)
        wait = self._failures.wait_seconds(address)
        self._failures.note(address)
        if wait:
            return refusals.too_many_attempts(limits.FAILED_TOKENS_PER_MINUTE, wait)
        return refusals.token_invalid(what)

    def _report(self, kind: str, address: str) -> None:
        self._on_failure(kind)
        if not self._logged.wait_seconds(address) and not self._logged_in_all.wait_seconds("all"):
            self._logged.note(address)
            self._logged_in_all.note("all")
            log.warning("operator_token_refused", kind=kind, client=mask_address(address))
