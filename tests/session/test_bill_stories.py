"""Bills against their transcripts: what is reserved and billed after each step may not change without being seen.

The transcripts are in tests/session/bills; `python -m tests.support.bill_stories` writes them anew.
"""

from __future__ import annotations

import pytest

from tests.support.bill_stories import FOLDER, STORIES


@pytest.mark.parametrize("name", STORIES)
def test_a_bill_goes_as_it_is_written(name: str) -> None:
    written = (FOLDER / f"{name}.txt").read_text()
    assert STORIES[name]().lines == written.splitlines()


def test_every_transcript_has_its_bill() -> None:
    assert {file.stem for file in FOLDER.glob("*.txt")} == set(STORIES)
