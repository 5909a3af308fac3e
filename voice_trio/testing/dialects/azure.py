"""Azure OpenAI: OpenAI's own frames behind another URL and header, with models that are deployments.

Source: recorded traffic of the service. A transcription model is the name of a deployment: without one of that name
each transcription fails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from voice_trio.testing.dialects.dialect import DialectSession

if TYPE_CHECKING:
    from collections.abc import Iterable

    from voice_trio.testing.recorder import ModelHandshake


class AzureSession(DialectSession):
    """A connection of such a server."""

    path = "/openai/v1/realtime"

    @classmethod
    def refuses(cls, handshake: ModelHandshake) -> tuple[int, str] | None:
        if (refusal := refusal_at(cls.path, handshake)) is not None:
            return refusal
        query = parse_qs(urlsplit(handshake.path).query)
        return None if "model" in query or query.get("intent") == ["transcription"] else (400, "MissingModel")

    def to_wire(self, event: dict[str, Any]) -> Iterable[dict[str, Any]]:
        if event["type"] == "rate_limits.updated":
            return  # never recorded
        if event["type"].startswith("response.content_part."):
            event = {**event, "content": event["part"]}  # both names are sent
        yield event


def refusal_at(path: str, handshake: ModelHandshake) -> tuple[int, str] | None:
    """How Azure refuses another path than `path`, and a client without credentials."""
    if urlsplit(handshake.path).path != path:
        return 404, "NotFound"
    return None if has_credentials(handshake) else (401, "Unauthorized")


def has_credentials(handshake: ModelHandshake) -> bool:
    """Whether it has a resource's key, or a token of Entra ID, which is no key."""
    kind, _, token = handshake.headers.get("authorization", "").partition(" ")
    return "api-key" in handshake.headers or (kind == "Bearer" and token.startswith("eyJ"))
