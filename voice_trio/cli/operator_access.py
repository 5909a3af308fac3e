"""How the operator's commands reach the gateways: over HTTP with an administrator's token, else by the shared state.

Both ways return the bodies of the admin routes, so that a command does not know which one it goes.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Protocol, TypeVar
from urllib.parse import quote, urlsplit

import click
import httpx2

from voice_trio.cli.shared_state import command_settings, with_shared_state
from voice_trio.errors import BadMessage
from voice_trio.settings.reading import check_url
from voice_trio.state.rollout import parse_rollout, rollout_as_json
from voice_trio.web.admin.bars import set_barred
from voice_trio.web.admin.session_control import UNKNOWN_SESSION, EndOutcome, SessionControl

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import SecretStr

    from voice_trio.state.rollout import Rollout
    from voice_trio.state.state import State

REPLY_SECONDS_MAX = 10.0
SHOWN_CHARS_MAX = 300

C = TypeVar("C", bound="Callable[..., Any]")


def gateway_options(command: C) -> C:
    """Adds `--url` and `--token` to a command."""
    url = click.option("--url", envvar="VOICE_ADMIN_URL", metavar="URL", help="A gateway; also from VOICE_ADMIN_URL.")
    token = click.option("--token", envvar="VOICE_ADMIN_TOKEN", help="An administrator's; also from VOICE_ADMIN_TOKEN.")
    return url(token(command))


class OperatorAccess(Protocol):
    """Raises `click.ClickException` with one line for each failure."""

    def sessions(self, user: str | None) -> dict[str, Any]:
        """The body of `GET /v1/voice/sessions`."""
        ...

    def session(self, session_id: str, *, words: bool) -> dict[str, Any] | None:
        """The body of `GET /v1/voice/sessions/ID`; None if the session is unknown."""
        ...

    def end(self, session_id: str) -> EndOutcome:
        """End a session."""
        ...

    def set_barred(self, user: str, *, barred: bool) -> dict[str, Any]:
        """The body of `PUT|DELETE /v1/voice/rollout/barred`."""
        ...

    def rollout(self) -> dict[str, Any]:
        """The rollout document in force."""
        ...

    def replace_rollout(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Put a document in force if its version still is; returns it with the next version."""
        ...

    def delete_records(self, user: str) -> int:
        """Delete a user's session records; returns how many there were."""
        ...

    def reset_limit(self, user: str) -> None:
        """Free all rate slots of a user."""
        ...


def open_access(url: str | None, token: str | None) -> OperatorAccess:
    """The way that is configured: the gateway at `url`, else Redis."""
    if url:
        if not token:
            raise click.ClickException("--url needs an administrator's token: --token or VOICE_ADMIN_TOKEN")
        if not token.strip().isprintable():  # the client library would show it in its error
            raise click.ClickException("--token has a character that no token has, perhaps the end of a line")
        return _GatewayAccess(_base_of(url), token.strip())
    if not os.environ.get("REDIS_URL", "").strip():
        raise click.ClickException("set REDIS_URL, or name a gateway by --url and --token")
    return _StateAccess()


class _StateAccess:
    """By the shared state in Redis."""

    def sessions(self, user: str | None) -> dict[str, Any]:
        return with_shared_state(lambda state: _control(state).listed(user))

    def session(self, session_id: str, *, words: bool) -> dict[str, Any] | None:
        return with_shared_state(lambda state: _control(state).described(session_id, words=words))

    def end(self, session_id: str) -> EndOutcome:
        return with_shared_state(lambda state: _control(state).end(session_id))

    def set_barred(self, user: str, *, barred: bool) -> dict[str, Any]:
        change = with_shared_state(lambda state: set_barred(state, _secrets(), user, barred=barred))
        return change.as_json()

    def rollout(self) -> dict[str, Any]:
        return rollout_as_json(with_shared_state(lambda state: state.rollout()))

    def replace_rollout(self, wanted: dict[str, Any]) -> dict[str, Any]:
        return rollout_as_json(with_shared_state(lambda state: _replace_rollout(state, wanted)))

    def delete_records(self, user: str) -> int:
        return with_shared_state(lambda state: state.delete_records(user))

    def reset_limit(self, user: str) -> None:
        with_shared_state(lambda state: state.reset(user))


async def _replace_rollout(state: State, wanted: dict[str, Any]) -> Rollout:
    after = await state.replace_rollout(parse_rollout(wanted))
    if after is None:
        current = (await state.rollout()).version
        raise BadMessage(f"version {current} is in force; it was changed meanwhile. Look at it and try again.")
    return after


def _control(state: State) -> SessionControl:
    return SessionControl(state, _secrets())


def _secrets() -> tuple[SecretStr, ...]:
    """The gateways' secrets if they are configured here too; a random one would give hashes of its own."""
    settings = command_settings()
    is_known = settings.tokens.signing_secret_given is not None or settings.tokens.jwt_secrets
    return settings.hashing_secrets if is_known else ()


class _GatewayAccess:
    """Over HTTP; follows no redirect, so that the token goes to no other host."""

    def __init__(self, base: str, token: str) -> None:
        self._base = base
        self._name = base[:SHOWN_CHARS_MAX]
        self._token = token

    def sessions(self, user: str | None) -> dict[str, Any]:
        return self._request("GET", "sessions", {} if user is None else {"user": user}) or {}

    def session(self, session_id: str, *, words: bool) -> dict[str, Any] | None:
        return self._request("GET", f"sessions/{quote(session_id, safe='')}", {"words": str(words).lower()})

    def end(self, session_id: str) -> EndOutcome:
        body = self._request("DELETE", f"sessions/{quote(session_id, safe='')}", {})
        return EndOutcome.UNKNOWN if body is None else EndOutcome(body["outcome"])

    def set_barred(self, user: str, *, barred: bool) -> dict[str, Any]:
        return self._request("PUT" if barred else "DELETE", "rollout/barred", {"user": user}) or {}

    def rollout(self) -> dict[str, Any]:
        return self._request("GET", "rollout", {}) or {}

    def replace_rollout(self, wanted: dict[str, Any]) -> dict[str, Any]:
        return self._request("PUT", "rollout", {}, wanted) or {}

    def delete_records(self, user: str) -> int:
        return int((self._request("DELETE", "sessions", {"user": user}) or {}).get("deleted", 0))

    def reset_limit(self, user: str) -> None:
        self._request("DELETE", "limits", {"user": user})

    def _request(
        self, method: str, path: str, parameters: dict[str, str], document: dict[str, Any] | None = None
    ) -> dict[str, Any] | None:
        """The body of a response; None for an unknown session."""
        url, headers = f"{self._base}/v1/voice/{path}", {"Authorization": f"Bearer {self._token}"}
        try:
            response = httpx2.request(
                method, url, params=parameters, headers=headers, json=document, timeout=REPLY_SECONDS_MAX
            )
            body = response.json()
        except (httpx2.HTTPError, httpx2.InvalidURL, UnicodeError) as error:
            reason = str(error) or type(error).__name__
            raise click.ClickException(f"cannot reach {self._name}: {reason[:SHOWN_CHARS_MAX]}") from error
        except ValueError as error:
            raise click.ClickException(f"{self._name} is no gateway of voice_trio: it sent no JSON") from error
        fault = body.get("error") if isinstance(body, dict) else None
        if response.status_code == httpx2.codes.OK and isinstance(body, dict) and fault is None:
            return body
        if not isinstance(fault, dict):
            raise click.ClickException(f"{self._name} answered with {response.status_code}")
        if fault.get("code") == UNKNOWN_SESSION:
            return None
        raise click.ClickException(f"{self._name}: {str(fault.get('message'))[:SHOWN_CHARS_MAX]}")


def _base_of(url: str) -> str:
    """The address before `/v1`, of a gateway's page, of its WebSocket, or of itself."""
    try:
        parts = urlsplit(check_url(url, ("https", "http", "wss", "ws")))
    except ValueError as error:
        raise click.ClickException(f"--url {error}") from error
    scheme = {"wss": "https", "ws": "http"}.get(parts.scheme.lower(), parts.scheme.lower())
    return f"{scheme}://{parts.netloc}{parts.path.partition('/v1/')[0].rstrip('/')}"
