"""At its end an import says what was read, what was left out by kind, and by name what was lost and why."""

from __future__ import annotations

import os
from collections import Counter
from pathlib import Path

import pytest
from click.testing import CliRunner

from tests.support.documents import write
from tests.support.office_files import workbook_file
from voice_trio.cli.knowledge import knowledge
from voice_trio.knowledge.importing.documents import ImportResult, ImportStatus
from voice_trio.knowledge.importing.found_files import find_files
from voice_trio.knowledge.importing.report import NAMED_MAX, ImportReport


def result(name: str, status: ImportStatus = ImportStatus.IMPORTED, **fields: object) -> ImportResult:
    return ImportResult(Path(name), status, **fields)  # type: ignore[arg-type]  # each test names its own fields


def test_files_that_are_not_read_are_counted_by_kind_F46(tmp_path: Path) -> None:
    for name in ("a.md", "b.odt", "c.ODT", "sub/d.jpg", ".hidden.jpg", ".git/e.jpg", "LICENSE"):
        write(tmp_path / name, "Hens.")
    found = find_files([tmp_path])
    assert [each.name for each in found.documents] == ["a.md"]
    assert found.left_out == Counter({".odt": 2, ".jpg": 1, "without a suffix": 1})


def test_the_report_names_what_was_lost_and_counts_what_was_left_out_F46() -> None:
    report = ImportReport(Counter({".jpg": 3, ".odt": 12}))
    report.add(result("a.md", chunks=1_200))
    report.add(result("b.md", ImportStatus.UNCHANGED))
    states = [report.is_complete]
    report.add(result("c.pdf", chunks=2, lost=("page 3: a picture without text",)))
    states.append(report.is_complete)
    assert states == [True, False]
    report.add(result("d.csv", chunks=1, remarks=("read as Windows-1252",)))
    report.add(result("e.html", chunks=1, left_out=Counter({"navigation of web pages": 4})))
    report.add(result("f.html", chunks=1, left_out=Counter({"navigation of web pages": 1})))
    report.add(result("g.docx", ImportStatus.UNREADABLE, problem="not an office file"))
    assert list(report.lines()) == [
        "5 imported (1,205 passages), 1 unchanged, 1 unreadable",
        "Could not be read:",
        "  g.docx: not an office file",
        "Read in part; lost:",
        "  c.pdf: page 3: a picture without text",
        "Read, but note:",
        "  d.csv: read as Windows-1252",
        "Left out, because files of these kinds are not read: 12 .odt, 3 .jpg",
        "Left out inside files: navigation of web pages (in 2 files)",
    ]


def test_a_long_list_ends_with_the_number_of_the_rest() -> None:
    report = ImportReport()
    for number in range(NAMED_MAX + 7):
        report.add(result(f"{number}.pdf", ImportStatus.UNREADABLE, problem="broken"))
    assert list(report.lines())[-1] == "  and 7 more"


@pytest.mark.parametrize("name", ["plain.xlsx", "esc\x1b[31m.xlsx", os.fsdecode(b"\xe9t\xe9.xlsx")], ids=ascii)
def test_a_lost_part_is_printed_safely_and_the_exit_code_is_one_F41_F46(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "documents"
    write(folder / name, workbook_file())
    write(folder / "photo.jpg", b"\xff")
    done = CliRunner().invoke(knowledge, ["import", str(folder), "--path", str(tmp_path / "base.sqlite")])
    assert done.exit_code == 1
    assert "1 imported (5 passages), 0 unchanged, 0 unreadable" in done.output
    assert "sheet Prices: 1 formula without a stored value" in done.output
    assert "sheet Costs is hidden and left out" in done.output
    assert "files of these kinds are not read: 1 .jpg" in done.output
    assert "\x1b[31m" not in done.output


def test_a_lost_part_is_named_by_each_import_until_the_file_is_whole_F44(tmp_path: Path) -> None:
    arguments = ["import", str(tmp_path / "documents"), "--path", str(tmp_path / "base.sqlite")]
    write(tmp_path / "documents" / "prices.xlsx", workbook_file())
    for _ in range(2):
        done = CliRunner().invoke(knowledge, arguments)
        assert (done.exit_code, "1 formula without a stored value" in done.output) == (1, True)
    (tmp_path / "documents" / "prices.xlsx").unlink()
    write(tmp_path / "documents" / "prices.md", "A hen costs nine.")
    assert CliRunner().invoke(knowledge, arguments).exit_code == 0
    assert "0 imported (0 passages), 1 unchanged" in CliRunner().invoke(knowledge, arguments).output


def test_an_import_that_left_out_only_other_kinds_succeeds(tmp_path: Path) -> None:
    write(tmp_path / "documents" / "a.md", "Hens.")
    write(tmp_path / "documents" / "photo.jpg", b"\xff")
    done = CliRunner().invoke(
        knowledge, ["import", str(tmp_path / "documents"), "--path", str(tmp_path / "base.sqlite")]
    )
    assert done.exit_code == 0, done.output
