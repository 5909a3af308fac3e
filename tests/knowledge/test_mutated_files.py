"""Files that were damaged at random end no import: each is read, read in part, or named with a reason."""

from __future__ import annotations

import random
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from tests.support.documents import pdf, write
from tests.support.office_files import presentation_file, word_file, workbook_file
from voice_trio.knowledge.importing.documents import ImportStatus, import_documents
from voice_trio.knowledge.importing.found_files import find_documents
from voice_trio.knowledge.importing.reader_process import ReaderBounds
from voice_trio.knowledge.sqlite.base import KnowledgeWriter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SAMPLES: dict[str, Callable[[], bytes]] = {
    "pdf": lambda: pdf("Hens need water.", "Ducks swim.", "Geese graze."),
    "docx": word_file,
    "xlsx": workbook_file,
    "pptx": presentation_file,
    "html": lambda: b"<title>Hens</title><h1>Water</h1><p>Cool&nbsp;<b>and</b><table><tr><th>a<td rowspan=2>b</table>",
    "csv": lambda: b'question;answer\n"How; warm?";34\n\xc3\xa9;"x"\n',
    "json": lambda: b'{"faq": [{"question": "Warm?", "answer": "34 \\u00e9", "n": [1, 2.5, null]}]}',
    "md": lambda: b"---\ntitle: x\n---\n# A\n```\n# b\n```\n| a | b |\n|---|---|\n| c | d |\n[x](y) *z*\n",
}
WORDS = (b"<", b">", b"/", b"[", b"(", b'"', b"\x00", b"\xff", b"-1", b"99999999999", b"endobj", b"stream", b"&#0;")


def mutated(data: bytes, dice: random.Random) -> bytes:
    """`data` after one to five random changes: bytes set, parts cut, repeated or moved, and words of the formats."""
    changed = bytearray(data)
    for _ in range(dice.randint(1, 5)):
        at = dice.randrange(len(changed) + 1)
        end = min(len(changed), at + dice.choice((1, 4, 30, 300)))
        match dice.randrange(5):
            case 0:
                changed[at:end] = dice.randbytes(end - at)
            case 1:
                del changed[at:end]
            case 2:
                changed[at:at] = changed[at:end] * dice.choice((1, 2, 50))
            case 3:
                changed[at:end] = dice.choice(WORDS)
            case 4:
                changed = changed[: max(1, at)] if dice.random() < 0.2 else changed
    return bytes(changed)


def mutated_inside(data: bytes, dice: random.Random) -> bytes:
    """An office file with one part that is mutated, because a change of the ZIP file seldom gets past its checksums."""
    out = BytesIO()
    with zipfile.ZipFile(BytesIO(data)) as archive, zipfile.ZipFile(out, "w") as copy:
        chosen = dice.choice([name for name in archive.namelist() if "theme" not in name and "Layout" not in name])
        for name in archive.namelist():
            content = archive.read(name)
            copy.writestr(name, mutated(content, dice) if name == chosen and content else content)
    return out.getvalue()


def import_mutations(tmp_path: Path, suffix: str, seeds: range) -> None:
    folder = tmp_path / "documents"
    sample = SAMPLES[suffix]()
    for seed in seeds:
        dice = random.Random(f"{suffix} {seed}")
        is_office = sample.startswith(b"PK") and dice.random() < 0.8
        write(folder / f"{seed:05}.{suffix}", (mutated_inside if is_office else mutated)(sample, dice))
    write(folder / f"good.{suffix}", sample)
    bounds = ReaderBounds(silence_seconds=20.0)
    with KnowledgeWriter(tmp_path / "base.sqlite") as writer:
        results = list(import_documents(find_documents([folder]), writer, bounds=bounds))
    assert len(results) == len(seeds) + 1
    assert results[-1].status is ImportStatus.IMPORTED
    for result in results:
        assert result.chunks if result.status is ImportStatus.IMPORTED else result.problem, result.path
        assert "crashed" not in result.problem, result
        assert "stood still" not in result.problem, result


@pytest.mark.parametrize("suffix", SAMPLES)
def test_no_damaged_file_ends_an_import_F40_F46(tmp_path: Path, suffix: str) -> None:
    import_mutations(tmp_path, suffix, range(12))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("suffix", SAMPLES)
def test_no_damaged_file_of_a_thousand_ends_an_import_F40_F46(tmp_path: Path, suffix: str) -> None:
    import_mutations(tmp_path, suffix, range(1_000))
