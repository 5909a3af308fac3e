"""Tables and records: every cell is in a passage, with the name of its column, whatever the table looks like."""

from __future__ import annotations

import csv
import io
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from tests.support.documents import read, read_or_problem
from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.readers.cleaning import clean_text, squeezed

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("table", "passages"),
    [
        ("a,b\n1,2,3,4\n5\n", [("t", "a: 1, b: 2, 3, 4"), ("t", "a: 5")]),
        ("a,a,,\n1,2,3,4\n", [("t", "a: 1, a: 2, 3, 4")]),
        ("Prices 2026\n\nHen,Egg\n9,1\n", [("t", "Prices 2026"), ("t", "Hen: 9, Egg: 1")]),
        ('"Name, first";"Price"\nHen;1,50\n', [("t", "Name, first: Hen, Price: 1,50")]),
        ('"Name of\nthe hen",Age\nBerta,3\n', [("t", "Name of the hen: Berta, Age: 3")]),
        ("sep=;\na;b\n1,5;2\n", [("t", "a: 1,5, b: 2")]),
        ('"sep=|"\na|b\n1;5|2\n', [("t", "a: 1;5, b: 2")]),
        ("a\tb\n1,5\t2,5\n", [("t", "a: 1,5, b: 2,5")]),
        ("question,answer\nWarm?,34\nCold?,\n", [("Warm?", "34"), ("Cold?", "question: Cold?")]),
        ("question,answer,kind\nWarm?,34,heat\n", [("Warm?", "34\nkind: heat")]),
        ("text,content,text\nx,y,z\n", [("t", "x\ncontent: y, text: z")]),
        ('a,b\n"say ""hi""",2\n', [("t", 'a: say "hi", b: 2')]),
        ('a, "b, c"\n1, "2, 3"\n', [("t", "a: 1, b, c: 2, 3")]),
        ("a,b\n", [("t", "a, b")]),
        ("just one line", [("t", "just one line")]),
        ("text\nQuail lay.\nHens, too.\n", [("t", "Quail lay."), ("t", "Hens\ntoo.")]),
        ("a,b\n,,,\n\n1,2\n", [("t", "a: 1, b: 2")]),
    ],
)
def test_every_cell_of_a_table_is_in_a_passage_F44(tmp_path: Path, table: str, passages: list[tuple[str, str]]) -> None:
    document = read(tmp_path / "t.csv", table)
    assert document.pairs == passages
    assert document.lost == []


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_tables_come_in_the_encodings_of_spreadsheets_F44(tmp_path: Path, encoding: str) -> None:
    document = read(tmp_path / "t.csv", "Œuvre;Été\nÉlodie;à Nîmes\n".encode(encoding))
    assert document.texts == ["Œuvre: Élodie, Été: à Nîmes"]
    assert document.remarks == (["read as Windows-1252, because it is not UTF-8"] if encoding == "cp1252" else [])


def test_a_table_in_an_encoding_that_cannot_be_told_is_named_F44(tmp_path: Path) -> None:
    with pytest.raises(UnreadableDocument, match="not UTF-8"):
        read(tmp_path / "t.csv", "Имя;Цена\nКурица;5\nПетух;7\n".encode("cp1251"))


CELLS = st.text(alphabet='ab1 ,;\t|"\n\réß.-=', max_size=12)


@given(
    rows=st.lists(st.lists(CELLS, max_size=5), min_size=1, max_size=6),
    delimiter=st.sampled_from(",;\t|"),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
@example(rows=[["text", "a"], ["", "b"]], delimiter=",", quoting=csv.QUOTE_MINIMAL)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_every_cell_of_any_table_is_found_F44(
    tmp_path: Path, rows: list[list[str]], delimiter: str, quoting: int
) -> None:
    written = io.StringIO()
    csv.writer(written, delimiter=delimiter, quoting=quoting).writerows(rows)  # type: ignore[arg-type]  # its Literal
    document = read_or_problem(tmp_path / "t.csv", written.getvalue())
    assert not isinstance(document, str)
    everything = squeezed(" ".join(f"{each.title} {each.text} {each.source}" for each in document.paragraphs))
    # The delimiter may be another one where several fit. Then a cell comes in parts, and each of them is there.
    parts = [part for row in rows for cell in row for part in clean_text(cell).replace('"', " ").split()]
    names = header_parts(written.getvalue())
    missing = [piece for part in parts for piece in pieces(part) if piece not in everything and piece not in names]
    assert missing == []


def header_parts(table: str) -> set[str]:
    """What may name a column: one without values stands nowhere, and "text" or "title" only say what is what."""
    names: set[str] = set()
    for delimiter in ",;\t|":
        rows = list(csv.reader(io.StringIO(table, newline=""), delimiter=delimiter, skipinitialspace=True))
        filled = [[cell for cell in row if squeezed(cell)] for row in rows]
        header = next((row for row in filled if len(row) > 1), next(filter(None, filled), []))
        names.update(piece for cell in header for piece in pieces(clean_text(cell).replace('"', " ")))
    return names


def pieces(part: str) -> list[str]:
    return "".join(" " if character in ",;\t|" else character for character in part).split()


@pytest.mark.parametrize(
    ("content", "passages"),
    [
        ('[{"question": "Warm?", "answer": "34", "by": {"name": "Ann"}}]', [("Warm?", "34\nby name: Ann")]),
        ('{"faq": [{"question": "Warm?", "answer": "34"}]}', [("Warm?", "34")]),
        ('{"Warm?": "34 degrees", "Often?": "daily"}', [("d", "Warm?: 34 degrees, Often?: daily")]),
        (
            '{"name": "Farm", "hens": [{"name": "Berta", "eggs": {"2025": 250}}], "notes": ["One.", "Two."]}',
            [
                ("Farm", "name: Farm"),
                ("Berta", "name: Berta"),
                ("Berta – eggs", "2025: 250"),
                ("Farm – notes", "One.\nTwo."),
            ],
        ),
        ('{"a": 1, "a": 2, "price": 1.50, "id": 12345678901234567890, "ok": true, "no": null}', None),
        ("[1, [2, [3]]]", [("d", "1"), ("d", "2"), ("d", "3")]),
        ('"just text"', [("d", "just text")]),
        ('{"text": "a"}\n{"text": "b"}\n', [("d", "a"), ("d", "b")]),
    ],
)
def test_json_of_any_shape_is_read_F46(tmp_path: Path, content: str, passages: list[tuple[str, str]] | None) -> None:
    expected = passages or [("d", "a: 1, a: 2, price: 1.50, id: 12345678901234567890, ok: yes")]
    assert read(tmp_path / "d.json", content).pairs == expected


@pytest.mark.parametrize(("content", "problem"), [('{"a": ', "not JSON"), ("[" * 100_000, "nested too deeply")])
def test_json_that_is_broken_says_so_F46(tmp_path: Path, content: str, problem: str) -> None:
    with pytest.raises(UnreadableDocument, match=problem):
        read(tmp_path / "d.json", content)


def test_short_rows_below_a_wide_header_cost_what_they_hold_F44(tmp_path: Path) -> None:
    names = [f"c{number}" for number in range(20_000)]
    document = read(tmp_path / "wide.csv", ",".join(names) + "\n1,2" * 2_000)  # minutes, if each row had every name
    assert document.texts == ["c0: 1, c1: 2"] * 2_000 + [", ".join(names[2:])]
