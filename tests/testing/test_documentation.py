"""The example that `voice_trio.testing` opens with does what it says."""

from __future__ import annotations

import textwrap
from typing import Any

import trio
from trio.testing import MockClock

import voice_trio.testing


def test_the_example_runs_as_it_stands() -> None:
    documentation = voice_trio.testing.__doc__ or ""
    start = documentation.index("    import trio")
    example = documentation[start : documentation.index("\n\nKnowledge")]
    names: dict[str, Any] = {}
    exec(textwrap.dedent(example), names)
    clock = MockClock(autojump_threshold=0)
    trio.run(names["test_an_answer_begins_300_ms_after_it_was_asked_for"], clock, clock=clock)
