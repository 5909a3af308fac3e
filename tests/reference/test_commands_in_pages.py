"""Commands in the pages have options that exist, the index has every page, and a page of one's own comes soon (F57)."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from tests.support.pages import invocations, shell_lines
from voice_trio.cli import main
from voice_trio.settings import all_variables

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted(DOCS.rglob("*.md"))]
GENERATED = {"cli.md"}  # its usages have placeholders
OWN_PAGE_WORDS_MAX = 600
# Read by the commands that are clients, by Python, by OpenTelemetry, by test suites, or made up by a page.
OTHERS = re.compile(
    r"VOICE_(URL|TOKEN|TRIO_REPOSITORY|ADMIN_URL|ADMIN_TOKEN|CONFORMANCE_URL)|OTEL_\w+|PATH|U|HOME|FRONT_DOOR_SEED"
)


@pytest.mark.parametrize(
    "page", [page for page in PAGES if page.name not in GENERATED], ids=lambda page: str(page.relative_to(ROOT))
)
def test_every_command_has_its_options_F57(page: Path) -> None:
    for arguments in invocations(page):
        command: click.Command = main
        rest = list(arguments)
        context = click.Context(main, info_name="voice-trio")
        while isinstance(command, click.Group) and rest:
            known = command.get_command(context, rest[0])
            assert known is not None, arguments
            command, rest = known, rest[1:]
        try:
            command.make_context("voice-trio", rest, parent=context)
        except click.BadParameter:
            pass  # a file that is not here
        except click.UsageError as error:
            pytest.fail(f"{arguments}: {error}")
        except click.exceptions.Exit:
            pass  # --help


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_variable_that_a_block_sets_exists_F57(page: Path) -> None:
    known = {variable.name for variable in all_variables()}
    for line in shell_lines(page):
        if line.strip().startswith("export "):
            names = re.findall(r"(?:^|\s)([A-Z][A-Z_]+)=", line)
            assert [name for name in names if name not in known and not OTHERS.fullmatch(name)] == []


def test_the_index_has_every_page_F57() -> None:
    index = (DOCS / "README.md").read_text("utf-8")
    linked = {(DOCS / target).resolve() for target in re.findall(r"\]\(([^)#]+)[^)]*\)", index)}
    pages = {page for page in DOCS.rglob("*.md") if page.parent.name != "decisions" or page.name == "README.md"}
    missing = sorted(str(page.relative_to(DOCS)) for page in pages - linked - {DOCS / "README.md"})
    assert missing == [], "add a line to docs/README.md"


def test_a_page_of_ones_own_works_within_600_words_F57() -> None:
    before, found, _ = (DOCS / "tutorial.md").read_text("utf-8").partition("<!-- success: own page -->")
    assert found
    assert len(before.split()) <= OWN_PAGE_WORDS_MAX
