"""Whole sessions written down: what the client and the upstream got, what was logged, and the summary.

A story is a coroutine function that takes a nursery and returns the fixture of a session that ends. Its transcript is
compared with the one that is kept in tests/session/stories. `python -m tests.support.session_transcript` writes all of
them anew: read what it changed before it is committed.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec
import structlog
import trio
import trio.testing

from tests.support.stories import show

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from tests.support.session_fixture import SessionFixture
    from voice_trio.testing.recorder import Received

    SessionStory: TypeAlias = Callable[[trio.Nursery], Awaitable[SessionFixture]]

FOLDER = Path(__file__).parents[1] / "session" / "stories"
_SOUND = re.compile(r'"(delta|audio)":"([A-Za-z0-9+/=]{64,})"')
_SHOWN = 400  # characters of a frame: sessions are long, and shown whole in other tests


async def session_transcript(tell: SessionStory) -> str:
    """All that was seen of a session from its beginning to its end."""
    with structlog.testing.capture_logs() as log:
        async with trio.open_nursery() as nursery:
            session = await tell(nursery)
            await session.over.wait()
            closed = session.client.closed_with
            nursery.cancel_scope.cancel()
    parts = [
        *_frames("the client got", session.client.heard),
        f"closed: {closed.code} {closed.reason}" if closed is not None else "not closed",
        *_frames("the upstream got", session.model.received),
        *_frames("the sidecar got", session.model.transcriber.received),
        *["", "the log"],
        *(f"{line.pop('log_level')} {line.pop('event')} {show(line)}" for line in map(dict, log)),
        *["", "turns"],
        *map(show, session.records),
        *["", "summary", show(replace(session.summary, usages=dict(sorted(session.summary.usages.items()))))],
        f"ended at {session.ended_at:.3f}",
    ]
    return "\n".join(parts) + "\n"


def _frames(title: str, entries: Sequence[Received]) -> list[str]:
    if not entries:
        return []
    return ["", title, *_folded([(f"{entry.at:.3f}", _text(entry.event)) for entry in entries])]


def _folded(lines: list[tuple[str, str]]) -> list[str]:
    """Frames of the user's sound follow each other by the hundred: runs of the same one are counted."""
    folded: list[str] = []
    count, since, before = 0, "", ""
    for at, text in [*lines, ("", "")]:
        if text == before:
            count += 1
            continue
        if count:
            folded.append(f"{since} {before}" + (f" x {count}" if count > 1 else ""))
        count, since, before = 1, at, text
    return folded


def _text(event: dict[str, Any]) -> str:
    text = msgspec.json.encode(event).decode()
    text = _SOUND.sub(lambda found: f'"{found[1]}":{len(found[2])} characters', text)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]} … {len(text)}"


def write_all(stories: Mapping[str, SessionStory]) -> None:
    """Write the transcripts of all stories anew."""
    FOLDER.mkdir(exist_ok=True)
    for file in FOLDER.glob("*.txt"):
        file.unlink()
    for name, tell in stories.items():
        clock = trio.testing.MockClock(autojump_threshold=0)
        (FOLDER / f"{name}.txt").write_text(trio.run(session_transcript, tell, clock=clock))


if __name__ == "__main__":
    from tests.session.test_session_stories import STORIES

    write_all(STORIES)
