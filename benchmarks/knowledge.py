"""How fast the embedded knowledge base (SQLite) imports and searches: generated documents, questions as if spoken.

    .venv/bin/python -m benchmarks.knowledge [--chunks 10000] [--searches 1000] [--seed 1]

Words follow Zipf's law over a vocabulary of 20,000, as they do in text. A question is 3 to 25 words from the text of a
random chunk, so that common words are as frequent as in speech. Latency is what a Trio task waits, the thread included.

Last measured on 2026-11-21 by the wall clock, with a little other work on two cores: 10,000 chunks are imported at
1,763 a second; a search takes 3.9 / 6.6 / 7.5 ms (P50 / P95 / P99). Larger bases: docs/retrieval.md.
"""

from __future__ import annotations

import argparse
import itertools
import random
import resource
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING

import trio
from rich.console import Console
from rich.table import Table

from voice_trio.knowledge.importing.documents import import_documents
from voice_trio.knowledge.importing.found_files import find_documents
from voice_trio.knowledge.sqlite.base import KnowledgeWriter
from voice_trio.knowledge.sqlite.knowledge import SqliteKnowledge

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

VOCABULARY = 20_000
CHUNKS_A_DOCUMENT = 5
WORDS_A_SECTION = 85  # about 200 tokens: one chunk
SYLLABLES = ("ba", "ke", "li", "mo", "nu", "par", "set", "ti", "vor", "wen", "xa", "yd")


def main(arguments: Sequence[str] | None = None) -> int:
    """Fill a base in a temporary folder, search it, print the durations."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--chunks", type=int, default=10_000)
    parser.add_argument("--searches", type=int, default=1_000, help="at least 2")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    rng = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        texts = write_documents(Path(folder, "documents"), options.chunks, rng)
        base = Path(folder, "base.sqlite")
        import_seconds = fill(base, Path(folder, "documents"))
        again_seconds = fill(base, Path(folder, "documents"))
        questions = [question(rng.choice(texts), rng) for _ in range(options.searches)]
        trio.run(report, base, questions, import_seconds, again_seconds)
    return 0


def write_documents(folder: Path, chunks: int, rng: random.Random) -> list[str]:
    """Markdown documents of five sections each; returns the sections."""
    folder.mkdir()
    words = sorted({"".join(rng.choices(SYLLABLES, k=rng.randint(2, 4))) for _ in range(2 * VOCABULARY)})
    rng.shuffle(words)
    words = words[:VOCABULARY]
    weights = list(itertools.accumulate(1 / rank for rank in range(1, len(words) + 1)))
    sections = []
    for _ in range(chunks):
        chosen = rng.choices(words, cum_weights=weights, k=WORDS_A_SECTION)
        sections.append(". ".join(" ".join(line) for line in batched(chosen, 16)) + ".")
    for number, part in enumerate(batched(sections, CHUNKS_A_DOCUMENT)):
        headed = (f"## {' '.join(section.split()[:3])}\n\n{section}\n" for section in part)
        Path(folder, f"{number}.md").write_text(f"# Document {number}\n\n" + "\n".join(headed), encoding="utf-8")
    return sections


def batched(items: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    """Runs of `size` items, the last one shorter."""
    return (items[at : at + size] for at in range(0, len(items), size))


def question(text: str, rng: random.Random) -> str:
    """A run of 3 to 25 words of a chunk."""
    words = text.replace(".", "").split()
    length = rng.randint(3, 25)
    start = rng.randrange(len(words) - length)
    return " ".join(words[start : start + length])


def fill(base: Path, documents: Path) -> float:
    """Import the folder; returns the seconds it took."""
    began = time.perf_counter()
    with KnowledgeWriter(base) as writer:
        for result in import_documents(find_documents([documents]), writer):
            if result.problem:
                raise SystemExit(f"{result.path}: {result.problem}")
    return time.perf_counter() - began


async def report(base: Path, questions: list[str], import_seconds: float, again_seconds: float) -> None:
    """Search for every question, one after the other and then four at a time, and print the table."""
    store = SqliteKnowledge(base)
    began = time.perf_counter()
    await store.search(questions[0], 5)
    first = time.perf_counter() - began
    alone = await search_seconds(store, questions, at_once=1)
    together = await search_seconds(store, questions, at_once=4)
    stats = await store.stats()
    store.close()
    table = Table(title=f"{stats.chunks:,} chunks, {stats.documents:,} documents, {stats.size_bytes / 1e6:.0f} MB")
    table.add_column("what")
    table.add_column("measured", justify="right")
    table.add_row("import", f"{stats.chunks / import_seconds:,.0f} chunks/s")
    table.add_row("import of the same, unchanged", f"{again_seconds:.2f} s")
    table.add_row("first search, file just opened", f"{first * 1e3:.1f} ms")
    for name, seconds in (("search", alone), ("search, four at a time", together)):
        cuts = statistics.quantiles(seconds, n=100)
        table.add_row(f"{name}: P50 / P95 / P99", " / ".join(f"{cuts[p - 1] * 1e3:.1f}" for p in (50, 95, 99)) + " ms")
    table.add_row(
        "memory of this process at most", f"{resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB"
    )
    Console().print(table)


async def search_seconds(store: SqliteKnowledge, questions: list[str], *, at_once: int) -> list[float]:
    """Seconds of each search, with `at_once` in flight."""
    seconds: list[float] = []
    remaining = iter(questions)

    async def ask() -> None:
        for query in remaining:
            began = time.perf_counter()
            await store.search(query, 5)
            seconds.append(time.perf_counter() - began)

    async with trio.open_nursery() as nursery:
        for _ in range(at_once):
            nursery.start_soon(ask)
    return seconds


if __name__ == "__main__":
    sys.exit(main())
