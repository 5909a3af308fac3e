"""Every error code that the gateway can send to a voice client is in the schema and in docs/protocol.md (F27)."""

from __future__ import annotations

import ast
import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from voice_trio.protocols.voice.schema import voice_schema
from voice_trio.protocols.voice.server_events import ERROR_CODES
from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs" / "protocol.md").read_text("utf-8").split("## Errors")[1].split("## ")[0]
FOLDERS = ("conversation", "protocols/voice", "session", "admission", "web")
NOT_THIS_PROTOCOL = {
    # Of `/v1/realtime`, of client secrets and of the operator's routes.
    *("web/realtime_endpoint.py", "web/client_secrets.py", "web/admin.py"),
}
FIRST_ARGUMENT = {"ErrorNotice", "notify", "Refusal", "refusal"}
"""Calls whose first argument is a code."""


def trees() -> Iterator[tuple[str, ast.Module]]:
    for folder in FOLDERS:
        for path in sorted((ROOT / "voice_trio" / folder).rglob("*.py")):
            name = path.relative_to(ROOT / "voice_trio").as_posix()
            if name not in NOT_THIS_PROTOCOL and "openai" not in name and "realtime" not in name:
                yield name, ast.parse(path.read_text("utf-8"))


def constants() -> dict[str, str]:
    """The texts that have a name at the top of a module."""
    found: dict[str, str] = {}
    for _, tree in trees():
        for line in tree.body:
            match line:
                case ast.Assign(targets=[ast.Name(id=name)], value=ast.Constant(value=str(text))):
                    found[name] = text
    return found


def codes_in_calls() -> dict[str, str]:
    """code → the module that sends it; codes that are computed come from one of these or from an `Ending`."""
    names = constants()
    found: dict[str, str] = {}
    for module, tree in trees():
        for call in ast.walk(tree):
            if not isinstance(call, ast.Call):
                continue
            name = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
            arguments = call.args[:1] if name in FIRST_ARGUMENT else []
            if name in ("BadMessage", "NotJson"):
                arguments = [keyword.value for keyword in call.keywords if keyword.arg == "code"]
            for argument in arguments:
                if isinstance(argument, ast.Constant) and isinstance(argument.value, str):
                    found[argument.value] = module
                elif isinstance(argument, ast.Name) and argument.id in names:
                    found[names[argument.id]] = module
    return found


SENT = {
    **codes_in_calls(),
    **{ending.value.error_code: "an ending" for ending in Ending if ending.value.error_code is not None},
    "bad_message": "errors.BadMessage",
}


@pytest.mark.parametrize("code", sorted(SENT))
def test_a_code_that_is_sent_is_in_the_schema_and_on_the_page_F27(code: str) -> None:
    assert code in ERROR_CODES, f"{code}, sent by {SENT[code]}, is not in the schema"
    assert f"`{code}`" in DOCUMENT, f"{code}, sent by {SENT[code]}, is not in docs/protocol.md, Errors"


def test_a_code_of_the_schema_is_sent_and_on_the_page_F27() -> None:
    assert set(ERROR_CODES) == set(SENT)
    assert [code for code in ERROR_CODES if f"`{code}`" not in DOCUMENT] == []


def test_the_schema_names_the_codes_and_allows_for_more_F27() -> None:
    code = json.loads(voice_schema())["$defs"]["ErrorBody"]["properties"]["code"]
    assert code == {"type": "string", "examples": list(ERROR_CODES)}


def test_the_search_finds_what_is_sent_from_every_place_F27() -> None:
    assert {"answer_failed", "budget_exhausted", "not_allowed", "rate_limited", "taken_over"} <= set(codes_in_calls())
