"""The dial that opens a link to the upstream. It knows URLs and headers.

The API key goes into a header and nowhere else.
"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from voice_trio.net.trio_websocket_link import Keepalive, TrioWebSocketLink, open_link, shared_ssl_context

if TYPE_CHECKING:
    import ssl

    import trio


class UpstreamDial:
    """Opens links to the upstream, for sessions a `Dial`. `safety_identifier` is the user's, hashed by the caller.

    Without a model the links lead to sessions that only transcribe.
    """

    def __init__(
        self,
        url: str,
        model: str | None,
        key: str | None,
        *,
        safety_identifier: str = "",
        keepalive: Keepalive | None = None,
        ssl_context: ssl.SSLContext | None = None,
    ) -> None:
        self._url = with_query(url, model=model, intent="transcription" if model is None else None)
        self._keepalive = keepalive or Keepalive()
        self._ssl_context = ssl_context
        self._headers: dict[str, str] = {}
        if key:
            self._headers["Authorization"] = f"Bearer {key}"
        if safety_identifier:
            self._headers["OpenAI-Safety-Identifier"] = safety_identifier

    async def __call__(self, nursery: trio.Nursery) -> TrioWebSocketLink:
        """Open a link whose background task runs in `nursery`; raises `ModelUnavailable` or `ModelRefused`.

        The caller bounds the time. A cancelled call leaves no task and no socket.
        """
        return await open_link(
            nursery, self._url, headers=self._headers, keepalive=self._keepalive, ssl_context=self._ssl_context
        )


def make_dial(url: str, model: str, key: str | None, safety_identifier: str = "") -> UpstreamDial:
    """The `Dial` for one session to `url`, a ws:// or wss:// URL without the model."""
    return UpstreamDial(url, model, key, safety_identifier=safety_identifier, ssl_context=shared_ssl_context(url))


def make_sidecar_dial(url: str, key: str | None, safety_identifier: str = "") -> UpstreamDial:
    """The `Dial` for the sidecar of one session, which only transcribes, at the same `url`."""
    return UpstreamDial(url, None, key, safety_identifier=safety_identifier, ssl_context=shared_ssl_context(url))


def with_query(url: str, **parameters: str | None) -> str:
    """`url` with `parameters` in its query; each replaces one of the same name, None removes it."""
    parts = urlsplit(url)
    query = dict(parse_qsl(parts.query, keep_blank_values=True)) | parameters
    return parts._replace(query=urlencode({name: value for name, value in query.items() if value is not None})).geturl()
