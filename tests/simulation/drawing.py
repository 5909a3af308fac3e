"""Sample turns as an SVG: when each word was known, the commit, and when the answer was asked for."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

from tests.simulation.figures import is_right
from tests.simulation.questions import SILENCE_SECONDS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tests.simulation.stores import Handbook
    from tests.simulation.ways import Turn

SAMPLES = 8
WIDTH, LEFT, ROW, TOP = 960, 16, 58, 44
LENGTHS = (3, 5, 7, 9, 12, 15, 18, 21)


def draw_turns(turns: Sequence[Turn], handbook: Handbook, seed: int) -> str:
    """A timeline of a turn of each of a few lengths: the first one in the second half of the run, not the best."""
    later = turns[len(turns) // 2 :]
    samples = [next((turn for turn in later if turn.question.words == words), None) for words in LENGTHS]
    chosen = [turn for turn in samples if turn is not None]
    seconds = max(turn.question.committed_at + turn.first_audio_after for turn in chosen) + 0.2
    scale = (WIDTH - 2 * LEFT) / seconds
    height = TOP + ROW * len(chosen) + 20
    rows = "".join(_row(turn, TOP + index * ROW, scale, handbook) for index, turn in enumerate(chosen))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" font-family="sans-serif" '
        'font-size="11">'
        f"<title>Turns of a simulated session (seed {seed})</title>"
        f'<rect width="{WIDTH}" height="{height}" fill="#fff"/>'
        f'<text x="{LEFT}" y="18" font-size="13" fill="#222">One bar a turn: speech (grey), silence (light), the wait '
        "for context (red, if any), the model (blue) up to its first sound. Ticks: words become known."
        "</text>"
        f"{rows}</svg>\n"
    )


def _row(turn: Turn, y: int, scale: float, handbook: Handbook) -> str:
    question = turn.question
    commit = question.committed_at

    def bar(start: float, end: float, colour: str) -> str:
        width = max(0.0, (end - start) * scale)
        return f'<rect x="{LEFT + start * scale:.1f}" y="{y + 16}" width="{width:.1f}" height="14" fill="{colour}"/>'

    ticks = "".join(
        f'<line x1="{LEFT + at * scale:.1f}" x2="{LEFT + at * scale:.1f}" y1="{y + 13}" y2="{y + 33}" stroke="#111"/>'
        for at in question.piece_times
    )
    verdict = "right" if is_right(turn, handbook) else "not the best passage" if turn.top else "no context"
    label = (
        f"{question.text} — {turn.outcome}{', stale' if turn.stale else ''}, waited {1000 * turn.asked_after:.0f} ms"
    )
    return (
        f'<text x="{LEFT}" y="{y + 10}" fill="#222">{escape(label)}, {turn.queries} queries, {verdict}</text>'
        + bar(0, commit - SILENCE_SECONDS, "#b8bec6")
        + bar(commit - SILENCE_SECONDS, commit, "#e6e9ed")
        + bar(commit, commit + turn.asked_after, "#d9534f")
        + bar(commit + turn.asked_after, commit + turn.first_audio_after, "#7aa7d9")
        + ticks
    )
