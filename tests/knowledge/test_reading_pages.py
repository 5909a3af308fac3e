"""Web pages, Markdown and plain text arrive whole: what is on the page is in a passage, or counted as left out."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.documents import read
from voice_trio.conversation.retrieval.text import query_terms
from voice_trio.knowledge.importing.readers.cleaning import clean_text

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize(
    ("page", "texts"),
    [
        ("Hens<br>drink<br/>water.", ["Hens\ndrink\nwater."]),
        ("<form><p>Fill in.</p><label>Name</label><input value=x></form>", ["Fill in.", "Name"]),
        ("<aside>Mind the ice.</aside>", ["Mind the ice."]),
        ("<div hidden='until-found'>Find me.</div>", ["Find me."]),
        ("<div><p>One<p>Two</div>tail<li>Three", ["One", "Two", "tail", "Three"]),
        ("Hens<div>peck</div>grain<hr>daily", ["Hens", "peck", "grain", "daily"]),
        ("<pre>line 1\n  line 2</pre>", ["line 1\nline 2"]),
        ("A line\nthat wraps", ["A line that wraps"]),
        ("<p><img src=x alt='a hen'> x<sup>2</sup> <b>b</b>old</p>", ["a hen x2 bold"]),
        ("<template shadowrootmode=open><p>In the shadow.</p></template>", ["In the shadow."]),
        ("<dialog open>Said.</dialog><details><summary>More</summary>Text.</details>", ["Said.", "More", "Text."]),
        ("<article><p>Text.<footer>By Ann.</footer></article>", ["Text.", "By Ann."]),
        ("<textarea>Notes.</textarea><blockquote>Said.</blockquote>", ["Notes.", "Said."]),
        ("<h1>Hens</h1><h2>Feed</h2><h2>Water</h2><p>Cool.", ["Feed", "Cool."]),
    ],
)
def test_a_web_page_is_read_whole_F42(tmp_path: Path, page: str, texts: list[str]) -> None:
    document = read(tmp_path / "a.html", page)
    assert document.texts == texts
    assert document.left_out == []


def test_what_is_left_out_of_a_web_page_is_counted_F42(tmp_path: Path) -> None:
    page = (
        "<nav><a href=x>Home</a></nav><p>Text.</p><div hidden>Old.</div><footer>© 2026</footer><noscript>No</noscript>"
        "<template>{{name}}</template><select><option>A</select><svg><text>x</text></svg><iframe>old</iframe>"
        "<nav> </nav>"
    )
    document = read(tmp_path / "a.html", page)
    assert document.texts == ["Text."]
    assert document.left_out == [
        "navigation of web pages",
        "hidden parts of web pages",
        "footers of web pages",
        "text for browsers without scripts",
        "templates of web pages",
        "buttons and choices of web pages",
        "drawings in web pages",
        "embedded objects in web pages",
    ]


def test_a_page_with_nothing_but_navigation_has_that_as_its_text_F42(tmp_path: Path) -> None:
    assert read(tmp_path / "a.html", "<nav><li>Hens<li>Ducks</nav><script>x()</script>").texts == ["Hens", "Ducks"]


def test_a_page_that_is_nested_too_deeply_is_named_F42(tmp_path: Path) -> None:
    assert read(tmp_path / "a.html", "<div>" * 2_000 + "deep" + "</div>" * 2_000).texts == ["deep"]
    document = read(tmp_path / "a.html", "<p>Text.</p>" + "<div>" * 3_000 + "deeper")
    assert document.lost == ["the page from its deepest part on: its elements are nested too deeply"]


@pytest.mark.parametrize(
    ("table", "lines"),
    [
        ("<tr><th>Week<th>Heat<tr><td>1<td>34<tr><td>2<td>", ["Week: 1, Heat: 34", "Week: 2"]),
        (
            "<thead><tr><th rowspan=2>Week<th colspan=2>Heat<tr><th>Day<th>Night</thead>"
            "<tr><td>1<td>34<td>30<tr><td rowspan=2>2<td colspan=2>31<tr><td>29<td>28",
            [
                "Week: 1, Heat Day: 34, Heat Night: 30",
                "Week: 2, Heat Day: 31, Heat Night: 31",
                "Week: 2, Heat Day: 29, Heat Night: 28",
            ],
        ),
        ("<tr><th>Breed<td>Sussex<tr><th>Eggs<td>250", ["Breed: Sussex", "Eggs: 250"]),
        ("<caption>Heat</caption><tr><td>just<td>cells", ["Heat", "just, cells"]),
        ("<tr><th>Only<th>names", ["Only, names"]),
        ("<tr><th>Week<th>Note<th>Sign<tr><td>1", ["Week: 1", "Note, Sign"]),
        ("<tr><td><h2>Layout</h2><p>Long.</p><td>side", ["Long.", "side"]),
        ("<tr><td>a<table><tr><td>b</table>", ["a", "b"]),
        ("<tr>between<td>a<td>b</tr>cells<tr><td>c", ["between", "a", "b", "cells", "c"]),
        ("<tr><td colspan=9999999999>a<td rowspan=x>b", ["a, b"]),
    ],
)
def test_a_row_of_a_table_has_the_names_of_its_columns_F42(tmp_path: Path, table: str, lines: list[str]) -> None:
    assert read(tmp_path / "a.html", f"<table>{table}</table>").texts == lines


@pytest.mark.parametrize(
    "page",
    [
        '<meta charset="iso-8859-1"><p>Œufs à couver</p>'.encode(),
        '<meta charset="utf-8"><p>Œufs à couver</p>'.encode("cp1252"),
        '<meta charset="nonsense"><p>Œufs à couver</p>'.encode("cp1252"),
        "<p>Œufs à couver</p>".encode("utf-16"),
        "<p>Œufs à couver</p>".encode("utf-8-sig"),
        '<?xml version="1.0" encoding="utf-8"?><html><body><p>Œufs à couver</p></body></html>'.encode(),
    ],
)
def test_what_the_bytes_of_a_page_show_outweighs_what_it_says_F42(tmp_path: Path, page: bytes) -> None:
    assert read(tmp_path / "a.html", page).texts == ["Œufs à couver"]


def test_an_encoding_that_only_the_page_knows_is_used(tmp_path: Path) -> None:
    page = '<?xml version="1.0" encoding="windows-1251"?><p>Куры несут яйца</p>'.encode("cp1251")
    assert read(tmp_path / "a.html", page).texts == ["Куры несут яйца"]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("incu\u00adbation", "incubation"),
        ("incu\u200bbation", "incubation"),
        ("incu\u2060bation", "incubation"),
        ("incu\ufeffbation", "incubation"),
        ("incu\u00ad\nbation", "incubation"),
        ("\ufb01ne \ufb02ock", "fine flock"),
        ("e\u0301te\u0301", "été"),
        ("\u202ehens\u202c \x1b[31mred", "hens [31mred"),
        ("a\x0bb\x0cc\x85d\u2028e\r\nf", "a\nb\nc\nd\ne\nf"),
        ("\ud83d\ude00 \ud800", "😀 \ufffd"),
        ("a family 👨\u200d👩\u200d👧 می\u200cخواهم", "a family 👨\u200d👩\u200d👧 می\u200cخواهم"),
    ],
)
def test_characters_that_nobody_sees_are_dropped_F43(text: str, found: str) -> None:
    assert clean_text(text) == found


@pytest.mark.parametrize("suffix", [".txt", ".md", ".html", ".csv", ".json"])
def test_a_word_with_a_soft_hyphen_is_found_in_every_format_F43(tmp_path: Path, suffix: str) -> None:
    word = "incu\u00adba\u200btion"
    content = {".html": f"<p>{word}", ".csv": f"a,b\n1,{word}", ".json": f'{{"a": "{word}"}}'}.get(suffix, word)
    (text,) = read(tmp_path / f"a{suffix}", content).texts
    assert query_terms("incubation")[0] in query_terms(text)


@pytest.mark.parametrize(
    ("lines", "joined"),
    [
        ("The incu-\nbation of eggs.", "The incubation of eggs."),
        ("A well-\nknown hen. How well it is known.", "A well-known hen. How well it is known."),
        ("A free-\nrange hen. All free-range hens.", "A free-range hen. All free-range hens."),
        ("Ein-\nund Ausgang.", "Ein- und Ausgang."),
        ("An e-\nmail.", "An e-mail."),
        ("Anglo-\nSaxon.", "Anglo-Saxon."),
        ("See pages 3-\n4.", "See pages 3- 4."),
        ("Hens - \nand ducks.", "Hens - and ducks."),
    ],
)
@pytest.mark.parametrize("suffix", [".txt", ".md"])
def test_words_are_joined_at_line_ends_and_real_hyphens_stay_F43(
    tmp_path: Path, suffix: str, lines: str, joined: str
) -> None:
    assert read(tmp_path / f"a{suffix}", lines).texts == [joined]


@pytest.mark.parametrize(
    ("markdown", "texts"),
    [
        ("````\n```\n# no heading\n```\n````", ["```\n# no heading\n```"]),
        ("~~~\n# no heading\n~~~", ["# no heading"]),
        ("~~~ sh\n```\n# no heading\n~~~", ["```\n# no heading"]),
        ("```\n# never closed", ["# never closed"]),
        ("- a\n  ```\n  # in a list\n  ```", ["a\n# in a list"]),
        ("    # indented", ["# indented"]),
        ("> # Quoted\n> text", ["Quoted\ntext"]),
        ("- a\n\n  more\n- b\n    1. x\n    2. y", ["a\nmore\nb\n1) x\n2) y"]),
        ("| A | B |\n|---|---|\n| 1 | 2 |\n| 3 |", ["A: 1, B: 2\nA: 3"]),
        ("> | A |\n> |---|\n> | 1 | 2 \\| 3 |\n> | 4", ["A: 1, 2 | 3\nA: 4"]),
        ("One  \ntwo &amp; [three][r]\n\n[r]: http://x", ["One\ntwo & three"]),
        ("<div>a<br>b</div>\n\n<!-- no -->\n\nc", ["a\nb", "c"]),
        ("2 * 3 ~ 4 \\* [x] a_b_c <http://x.y>", ["2 * 3 ~ 4 * [x] a_b_c http://x.y"]),
    ],
)
def test_markdown_is_read_as_commonmark_F45(tmp_path: Path, markdown: str, texts: list[str]) -> None:
    document = read(tmp_path / "notes.md", markdown)
    assert document.pairs == [("Notes", text) for text in texts]


def test_a_title_that_is_too_long_is_a_passage_F42(tmp_path: Path) -> None:
    title = " ".join(f"word{number}" for number in range(1_000))
    document = read(tmp_path / "a.html", f"<title>{title}</title><p>One.<p>Two.")
    assert document.texts == [title, "One.", "Two."]
    assert {each.title for each in document.paragraphs} == {title[:2_000]}


def test_a_heading_without_text_is_a_passage_and_a_long_one_too(tmp_path: Path) -> None:
    long = "A heading " * 30
    document = read(tmp_path / "notes.md", f"# Hens\n## Call 555 1234\n## Water\nCool.\n## {long}\nText.")
    assert document.pairs[:2] == [("Hens – Call 555 1234", "Call 555 1234"), ("Hens – Water", "Cool.")]
    assert document.texts[2:] == [long.strip(), "Text."]
