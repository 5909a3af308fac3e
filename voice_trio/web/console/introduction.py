"""`GET /console/introduction`: what an empty page may say about the assistant, for users who may talk to it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import trio

from voice_trio import limits
from voice_trio.admission.client_address import TrustedProxies
from voice_trio.admission.refusals import Refusal
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.knowledge import NamesDocuments
from voice_trio.web.responses import bearer_and_address, json_response, refusal_response

if TYPE_CHECKING:
    from quart import Response
    from quart_trio import QuartTrio

    from voice_trio.web.gateway import Gateway

_IMPORT = "voice-trio knowledge import FOLDER"


def add_introduction_route(app: QuartTrio, gateway: Gateway) -> None:
    """The route, if the console is enabled: nothing else needs it."""
    if gateway.settings.web.console:
        app.add_url_rule("/console/introduction", "console_introduction", _Introduction(gateway).get)


class _Introduction:
    """Titles are shown to users who pass every check but the limits, and only where they may read passages."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway
        settings = gateway.settings
        self._web, self._retrieval, self._weaviate = settings.web, settings.retrieval, settings.weaviate

    async def get(self) -> Response:
        token, address = bearer_and_address(TrustedProxies.of(self._web))
        user = await self._gateway.admission.authenticate(token or None, address)
        if isinstance(user, Refusal):
            return refusal_response(user)
        questions = list(self._web.console_questions)
        return json_response(
            {
                "documents": await self._documents(),
                "import_command": _IMPORT if self._weaviate.url is None else f"{_IMPORT} --to weaviate",
                "questions": questions,
                "is_admin": user.is_admin,
            }
        )

    async def _documents(self) -> dict[str, Any] | None:
        """The number of documents and the titles of some; None where that is not known, or not to be shown."""
        knowledge = self._gateway.knowledge
        try:
            with trio.fail_after(limits.TITLES_SECONDS_MAX):
                if isinstance(knowledge, NamesDocuments) and self._retrieval.show_passages:
                    known = await knowledge.titles(limits.TITLES_MAX)
                    return {"count": known.count, "titles": list(known.titles)}
                return {"count": 0, "titles": []} if await knowledge.is_empty() else None
        except (KnowledgeUnavailable, trio.TooSlowError):
            return None
