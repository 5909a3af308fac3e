"""docs/configuration.md has every variable as the code has it, and its examples are settings that work (F57)."""

from __future__ import annotations

import re

import pytest

from tests.support.configuration_tables import PAGE, with_tables
from tests.support.pages import shell_blocks
from tests.support.reference_pages import HINT
from voice_trio.settings import all_variables, load_settings

TEXT = PAGE.read_text("utf-8")
EXAMPLES = shell_blocks(TEXT)
NAMES = {variable.name for variable in all_variables()}


def test_the_page_states_every_variable_as_the_code_does_F57() -> None:
    assert with_tables(TEXT) == TEXT, HINT


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_accepted_without_a_warning_F57(example: str) -> None:
    given = dict(re.findall(r"\b([A-Z][A-Z_]+)=(\S+)", re.sub(r"#.*", "", example)))
    secrets = {name: "6b1d7f0c93ae4825b1fc07e2d9483a5e" for name, value in given.items() if value.startswith("$(")}
    settings = load_settings({"JWT_SECRET": "0f4c6e9b8d2a71354ce08f9ab7d16e23", **given, **secrets})
    assert given.keys() <= NAMES
    assert settings.warnings == ()


def test_every_group_has_an_example_F57() -> None:
    sections = TEXT.split("\n## ")[1:]
    assert [section.partition("\n")[0] for section in sections if "<!--" in section and "```sh" not in section] == []
