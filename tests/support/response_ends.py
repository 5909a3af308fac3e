"""The check of I14 on what a client heard: each `response.created` has one `response.done`, and it is the last."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tests.support.session_fixture import SessionFixture

STATUSES = {"completed", "cancelled", "failed", "incomplete"}
UNHEARD_ENDINGS = {Ending.CLIENT_LEFT, Ending.TOO_SLOW}
"""After these the client's connection takes nothing more."""


def check_I14_every_response_ends(session: SessionFixture) -> None:
    """Of a session that is over, with a client of either protocol."""
    unended = unended_responses(entry.event for entry in session.client.heard)
    if session.summary.ending not in UNHEARD_ENDINGS:
        assert unended == [], "I14: a response has no end"


def unended_responses(heard: Iterable[dict[str, Any]]) -> list[str]:
    """The ids of responses that began and did not end; fails if one ends twice, or goes on after its end or the next's
    beginning. What runs outside of the conversation may overlap."""
    out_of_band: dict[str, bool] = {}
    unended: list[str] = []
    for event in heard:
        kind, response = event["type"], event.get("response") or {}
        response_id = str(response.get("id") or event.get("response_id") or "")
        if kind == "response.created":
            assert response_id not in out_of_band, f"I14: {response_id} began twice"
            out_of_band[response_id] = response.get("conversation_id", "conv") is None
            in_conversation = [each for each in unended if not out_of_band[each]]
            assert out_of_band[response_id] or not in_conversation, f"I14: {in_conversation} should have ended"
            unended.append(response_id)
        elif kind.startswith("response."):
            assert response_id in unended, f"I14: {kind} outside of its response"
            if kind == "response.done":
                assert response["status"] in STATUSES, "I14"
                unended.remove(response_id)
    return unended
