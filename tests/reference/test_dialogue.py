"""The example dialogue is valid by the schema that gateways serve, and shows what the protocol has (F57)."""

from __future__ import annotations

import json
import re

from jsonschema import Draft202012Validator

from tests.support.reference_pages import FOLDER
from voice_trio.protocols.voice.schema import voice_schema

SCHEMA = json.loads(voice_schema())
LINES = [
    json.loads(line) for line in re.findall(r"^\{.*\}$", (FOLDER / "dialogue.md").read_text("utf-8"), re.MULTILINE)
]
DIRECTIONS = {"client": "ClientMessage", "gateway": "GatewayMessage"}


def test_every_event_of_the_dialogue_is_valid_F57() -> None:
    checks = {
        side: Draft202012Validator({"$ref": f"#/$defs/{name}", "$defs": SCHEMA["$defs"]})
        for side, name in DIRECTIONS.items()
    }
    checked = [line["from"] for line in LINES if "event" in line]
    assert set(checked) == set(DIRECTIONS)
    for line in LINES:
        if "event" in line:
            checks[line["from"]].validate(line["event"])


def test_the_dialogue_shows_a_question_an_interruption_and_a_recovery_F57() -> None:
    shown = {line["event"]["type"] for line in LINES if "event" in line}
    assert shown >= {"audio.input", "text.input", "playback.position", "passage.get", "session.end", "ping"}
    assert shown >= {"connection.ready", "context.injected", "response.done", "playback.flush", "session.recovered"}
