"""Code, schema and document tell the same story of the voice protocol."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from voice_trio.conversation.commands import InjectedPassage
from voice_trio.conversation.session_events import QueryMetrics, ToClient
from voice_trio.conversation.turn.record import Outcome
from voice_trio.protocols.voice import client_events, server_events, writer
from voice_trio.protocols.voice.schema import voice_schema

DOCUMENT = (Path(__file__).parents[2] / "docs" / "protocol.md").read_text()
SCHEMA: dict[str, Any] = json.loads(voice_schema())
PARTS: dict[str, Any] = SCHEMA["$defs"]
WRITTEN = [kind for kind in get_args(ToClient) if kind not in get_args(writer.Withheld)]
SECTIONS = {"ClientMessage": "From clients", "GatewayMessage": "From the gateway"}

_text, _number = st.text(max_size=20), st.integers(0, 10**9)
_BY_ANNOTATION: dict[str, st.SearchStrategy[Any]] = {
    "str": _text,
    "str | None": st.none() | _text,
    "str | int | None": st.none() | _text | _number,
    "int": _number,
    "float": st.floats(0, 1e9),
    "float | None": st.none() | st.floats(0, 1e9),
    "bool": st.booleans(),
    "Outcome": st.sampled_from(Outcome),
    "tuple[InjectedPassage, ...]": st.lists(st.builds(InjectedPassage, _text, _text, _text, _text), max_size=3).map(
        tuple
    ),
    "Mapping[str, str]": st.just({}),
    "Mapping[str, int]": st.dictionaries(_text, _number, max_size=3),
    "tuple[str, ...]": st.lists(_text, max_size=3).map(tuple),
    "tuple[QueryMetrics, ...]": st.builds(
        QueryMetrics, _number, st.none() | _number, st.sampled_from(["found", "nothing", "failed", "unfinished"])
    ).map(lambda query: (query,)),
    "Usage | None": st.none(),
}
_BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "audio": st.just("AAAA"),
    "status": st.sampled_from(["completed", "cancelled", "failed", "incomplete"]),
    "session": st.sampled_from(['{"type":"realtime","model":"m"}', "{}", "no JSON"]),
    "type": st.sampled_from(["session.created", "session.updated"]),
}


def any_of(kind: type[Any]) -> st.SearchStrategy[Any]:
    fields = {}
    for each in dataclasses.fields(kind):
        fields[each.name] = _BY_NAME[each.name] if each.name in _BY_NAME else _BY_ANNOTATION[str(each.type)]
    return st.builds(kind, **fields)


@pytest.mark.parametrize("kind", WRITTEN, ids=lambda kind: kind.__name__)
def test_whatever_is_written_for_clients_is_in_the_schema_with_all_its_fields(kind: type[Any]) -> None:
    @given(any_of(kind))
    def holds(event: Any) -> None:
        frame = writer.write(event)
        assert frame is not None
        told: Any = msgspec.json.decode(frame, type=server_events.ServerEvent)
        described = msgspec.to_builtins(told)
        written = json.loads(frame)
        assert set(described) >= set(written)  # no field that the schema does not know …
        assert all(described[name] == written[name] for name in written)

    holds()


def test_a_refusal_is_in_the_schema() -> None:
    told: Any = msgspec.json.decode(writer.refusal("rate_limited", "Later.", 12), type=server_events.ServerEvent)
    assert told.error.retry_after == 12


def tags(direction: str) -> dict[str, dict[str, Any]]:
    mapping = PARTS[direction]["discriminator"]["mapping"]
    return {tag: PARTS[reference.rpartition("/")[2]] for tag, reference in mapping.items()}


def test_everything_a_client_may_say_is_in_the_schema() -> None:
    assert tags("ClientMessage").keys() == client_events.CLIENT_EVENT_TYPES
    assert len(get_args(client_events.ClientEvent)) == len(client_events.CLIENT_EVENT_TYPES)


def test_every_reference_in_the_schema_leads_somewhere() -> None:
    references = set(re.findall(r'"#/\$defs/([^"]+)"', json.dumps(SCHEMA)))
    assert references <= PARTS.keys()
    assert not [name for name in PARTS if name.startswith("_")]


def documented(direction: str) -> dict[str, set[tuple[str, bool]]]:
    """Of each event in the document's table its fields, and whether each must be there."""
    section = DOCUMENT.split(f"## {SECTIONS[direction]}\n")[1].split("\n## ")[0]
    found = {}
    for row in re.findall(r"^\| `([^`]+)` \|([^|]*)\|", section, re.MULTILINE):
        names = re.findall(r"`([^`]+)`", row[1])
        found[row[0]] = {(name.removesuffix("?"), not name.endswith("?")) for name in names}
    return found


@pytest.mark.parametrize("direction", SECTIONS)
def test_the_document_lists_every_event_with_its_fields(direction: str) -> None:
    described = {}
    for tag, part in tags(direction).items():
        required = set(part["required"])
        described[tag] = {(name, name in required) for name in part["properties"] if name != "type"}
    assert documented(direction) == described
