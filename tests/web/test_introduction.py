"""What an empty console page may say: titles and questions, for users who may talk, and nothing to others (F39)."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest
import trio

from tests.support.deployment import fill_knowledge
from tests.support.gateway_fixture import make_gateway, settings, token
from voice_trio.auth.tokens import User, issue_token
from voice_trio.errors import ConfigurationError
from voice_trio.knowledge.sqlite.base import Chunk, KnowledgeWriter
from voice_trio.knowledge.sqlite.knowledge import SqliteKnowledge
from voice_trio.web.routes import make_http_app

if TYPE_CHECKING:
    from pathlib import Path

PATH = "/console/introduction"
IMPORT = "voice-trio knowledge import FOLDER"


async def introduction(path: Path, bearer: str, **variables: str) -> tuple[int, Any]:
    """The status and body for the holder of `bearer`, of a gateway with the knowledge base at `path`."""
    knowledge = SqliteKnowledge(path)
    async with trio.open_nursery() as nursery:
        gateway = replace(make_gateway(nursery, **({"VOICE_CONSOLE": "true"} | variables)), knowledge=knowledge)
        answer = await make_http_app(gateway).test_client().get(PATH, headers={"Authorization": f"Bearer {bearer}"})
        body = await answer.get_json(force=True)
    knowledge.close()
    return answer.status_code, body


async def test_a_user_learns_titles_and_questions_and_an_administrator_of_the_dashboard_F39(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.sqlite3"
    empty: dict[str, Any] = {"documents": {"count": 0, "titles": []}, "import_command": IMPORT, "questions": []}
    assert await introduction(path, token()) == (200, empty | {"is_admin": False})
    fill_knowledge(path)
    documents = {"count": 3, "titles": ["Brooding", "Light", "Water"]}
    asked = {"VOICE_CONSOLE_QUESTIONS": " How warm, and how long? |How much light?| "}
    admin = issue_token(settings().tokens, User("root", plan="elite", is_admin=True))
    assert await introduction(path, admin, **asked) == (
        200,
        {
            "documents": documents,
            "import_command": IMPORT,
            "questions": ["How warm, and how long?", "How much light?"],
            "is_admin": True,
        },
    )


async def test_a_section_is_named_by_its_document_F39(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.sqlite3"
    fill_knowledge(path)
    with KnowledgeWriter(path) as writer:
        writer.import_chunks(
            "a", "1", [Chunk("Ducks – Water", "Deep.", "a.md"), Chunk("Ducks – Feed", "Mash.", "a.md")]
        )
    _, body = await introduction(path, token())
    assert body["documents"] == {"count": 4, "titles": ["Brooding", "Light", "Water", "Ducks"]}


async def test_titles_stay_where_passages_stay_and_where_the_base_is_none_F39(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.sqlite3"
    path.write_text("no base at all, but a text of some length" * 100)
    assert (await introduction(path, token()))[1]["documents"] is None
    path.unlink()
    fill_knowledge(path)
    status, body = await introduction(path, token(), VOICE_SHOW_PASSAGES="false")
    assert (status, body["documents"]) == (200, None)


async def test_an_empty_base_without_names_is_said_with_the_command_that_fills_it_F39(tmp_path: Path) -> None:
    path = tmp_path / "knowledge.sqlite3"
    hidden = {"VOICE_SHOW_PASSAGES": "false", "WEAVIATE_URL": "http://127.0.0.1:1"}
    _, body = await introduction(path, token(), **hidden)
    assert body["documents"] == {"count": 0, "titles": []}
    assert body["import_command"] == f"{IMPORT} --to weaviate"
    fill_knowledge(path)
    assert (await introduction(path, token(), **hidden))[1]["documents"] is None


@pytest.mark.parametrize(("plan", "status", "code"), [("free", 403, "plan_required"), ("", 401, "token_invalid")])
async def test_who_may_not_talk_learns_nothing_F39(tmp_path: Path, plan: str, status: int, code: str) -> None:
    path = tmp_path / "knowledge.sqlite3"
    fill_knowledge(path)
    got, body = await introduction(path, token(plan=plan) if plan else "no token")
    assert (got, body["error"]["code"]) == (status, code)
    assert "Brooding" not in str(body)


async def test_without_the_console_there_is_no_introduction_F39(tmp_path: Path) -> None:
    assert (await introduction(tmp_path / "none", token(), VOICE_CONSOLE="false"))[0] == 404


@pytest.mark.parametrize("questions", ["a?|b?|c?|d?", "x" * 201])
def test_more_questions_than_a_page_can_show_are_refused_F39(questions: str) -> None:
    with pytest.raises(ConfigurationError, match="VOICE_CONSOLE_QUESTIONS: must be at most 3 questions"):
        settings(VOICE_CONSOLE_QUESTIONS=questions)
