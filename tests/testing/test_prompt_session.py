"""The public session for tests of a prompt: it takes settings, and the example uses nothing else (F57)."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from voice_trio.errors import ConfigurationError
from voice_trio.prompt_testing import Passage, prompt_session

if TYPE_CHECKING:
    from trio.testing import MockClock

EXAMPLES = Path(__file__).parents[2] / "examples"
PUBLIC = {"voice_trio.client", "voice_trio.prompt_testing", "voice_trio.testing"}
LIGHT = [Passage(f"light{number}", "Light", f"Layers need {number} hours of light.", "handbook") for number in (14, 16)]


async def test_settings_are_those_of_a_gateway_F57(autojump_clock: MockClock) -> None:
    async with prompt_session("Be brief.", LIGHT, RAG_LIMIT="1", VOICE_NAME="cedar") as session:
        update = await session.model.hears("session.update")
        assert update.event["session"]["audio"]["output"]["voice"] == "cedar"
        await session.ask("How much light do layers need?")
        (context,) = session.texts("system")
        assert context.count("<passage ") == 1


async def test_a_wrong_setting_is_reported_F57(autojump_clock: MockClock) -> None:
    with pytest.raises(ConfigurationError, match="RAG_LIMIT"):
        async with prompt_session("Be brief.", RAG_LIMIT="many"):
            pass


@pytest.mark.parametrize("example", sorted(EXAMPLES.glob("*.py")), ids=lambda path: str(path.name))
def test_an_example_imports_what_is_public_F57(example: Path) -> None:
    imported = re.findall(r"^ *(?:from|import) (voice_trio\S*)", example.read_text("utf-8"), re.MULTILINE)
    assert set(imported) <= PUBLIC
