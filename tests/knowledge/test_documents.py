"""Files become chunks that keep their sentences and headings; what cannot be read is named, and the rest goes on."""

from __future__ import annotations

import os
import tracemalloc
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.documents import ReadDocument, read, read_or_problem, write
from voice_trio.conversation.retrieval.text import sentences, token_estimate
from voice_trio.demo import handbook_folder
from voice_trio.knowledge.importing.chunks import CHUNK_TOKENS, Paragraph, chunked
from voice_trio.knowledge.importing.documents import ImportResult, ImportStatus, document_texts, import_documents
from voice_trio.knowledge.importing.found_files import find_documents

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from voice_trio.knowledge.sqlite.base import Chunk


class MemoryTarget:
    """A base as small as can be: the chunks of each document, by name."""

    def __init__(self, *, keep: bool = True) -> None:
        self.digests: dict[str, str] = {}
        self.chunks: dict[str, list[Chunk]] = {}
        self._keep = keep

    def holds(self, key: str, digest: str) -> bool:
        return self.digests.get(key) == digest

    def import_chunks(self, key: str, digest: str, chunks: Iterable[Chunk], is_whole: Callable[[], bool]) -> int:
        count = 0
        kept = []
        for chunk in chunks:
            count += 1
            if self._keep:
                kept.append(chunk)
        self.digests[key] = digest if is_whole() else ""
        self.chunks[os.path.basename(key)] = kept
        return count


def run(target: MemoryTarget, *paths: Path) -> list[ImportResult]:
    return list(import_documents(find_documents(paths), target))


def markdown(tmp_path: Path, content: str) -> list[tuple[str, str]]:
    return read(tmp_path / "some_notes.md", content).pairs


def test_headings_make_the_title_and_paragraphs_stay_whole(tmp_path: Path) -> None:
    content = "# Hens\nIntro.\n\n## Water\nOne line\nwraps here.\n\nSecond.\n### Winter\nIce.\n## Feed\nGrain.\n"
    assert markdown(tmp_path, content) == [
        ("Hens", "Intro."),
        ("Hens – Water", "One line wraps here."),
        ("Hens – Water", "Second."),
        ("Hens – Water – Winter", "Ice."),
        ("Hens – Feed", "Grain."),
    ]


def test_front_matter_names_title_and_source(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.md", '---\ntitle: "Egg care"\nSource: book: page 3\ntags: [x]\n---\n# Eggs\nKeep cool.\n'
    )
    assert ReadDocument(path).paragraphs == [Paragraph("Egg care – Eggs", "Keep cool.", "book: page 3")]


def test_a_file_without_front_matter_is_cited_by_its_name_and_titled_by_it(tmp_path: Path) -> None:
    path = write(tmp_path / "02-red_mite.md", "Mites hide by day.\n")
    assert ReadDocument(path, "pests/02-red_mite.md").paragraphs == [
        Paragraph("Red mite", "Mites hide by day.", "pests/02-red_mite.md")
    ]


def test_front_matter_that_never_ends_is_text(tmp_path: Path) -> None:
    assert markdown(tmp_path, "---\nHens lay eggs.\n")[-1][1].endswith("Hens lay eggs.")
    long = "---\n" + "a line\n" * 300
    assert sum(text.count("a line") for _, text in markdown(tmp_path, long)) == 300


def test_underlined_headings_count_and_rules_do_not(tmp_path: Path) -> None:
    content = "Hens\n====\nIntro.\n\nWater\n-----\nCool.\n\n---\n\nMore.\n"
    assert markdown(tmp_path, content) == [("Hens", "Intro."), ("Hens – Water", "Cool."), ("Hens – Water", "More.")]


def test_markup_goes_and_words_stay(tmp_path: Path) -> None:
    content = (
        "**Bold** and _soft_ `code` [link](http://x.example/a_b) ![alt](p.png) snake_case 2 * 3 * 4 <br> end\n\n"
        "- first\n- second\n\n1. one\n2. two\n\n> quoted\n\n| a | b |\n|---|---|\n| c | d |\n"
    )
    assert [text for _, text in markdown(tmp_path, content)] == [
        "Bold and soft code link alt snake_case 2 * 3 * 4\nend",
        "first\nsecond",
        "1) one\n2) two",
        "quoted",
        "a: c, b: d",
    ]


def test_a_number_sign_in_code_is_no_heading(tmp_path: Path) -> None:
    assert markdown(tmp_path, "# T\n```\n# comment\nx = 1\n```\nAfter.\n") == [
        ("T", "# comment\nx = 1"),
        ("T", "After."),
    ]


def test_plain_text_comes_in_paragraphs_with_any_line_ends(tmp_path: Path) -> None:
    document = read(tmp_path / "egg-notes.txt", "\ufeffOne\r\ntwo.\r\n\r\n# Three.\r\n")
    assert document.pairs == [("Egg notes", "One two."), ("Egg notes", "# Three.")]


def test_sentences_end_in_every_script() -> None:
    text = "Eggs need 37.5 degrees, e.g. here. Really?! “Yes.” 孵化二十一天。温度三十七度！End"
    assert [s.strip() for s in sentences(text)] == [
        "Eggs need 37.5 degrees, e.g. here.",
        "Really?!",
        "“Yes.”",
        "孵化二十一天。",
        "温度三十七度！",
        "End",
    ]


@given(st.text(alphabet="ab .!?。\n\"')", max_size=200))
def test_sentences_together_are_the_text(text: str) -> None:
    assert "".join(sentences(text)) == text


def test_chunks_are_of_whole_sentences_of_bounded_size_and_overlap() -> None:
    text = " ".join(f"Sentence number {n} tells something about keeping hens." for n in range(200))
    made = [chunk.text for chunk in chunked([Paragraph("T", text, "s")])]
    assert len(made) > 10
    assert all(token_estimate(chunk) <= CHUNK_TOKENS for chunk in made)
    assert all(token_estimate(chunk) >= 200 for chunk in made[:-1])
    assert all(chunk.startswith("Sentence") and chunk.endswith(".") for chunk in made)
    for one, following in pairwise(made):
        assert following.split(". ")[0] in one
    assert all(f"number {n} " in " ".join(made) for n in range(200))


def test_chunks_never_cross_headings() -> None:
    parts = [Paragraph("A", "One.", "s"), Paragraph("A", "Two.", "s"), Paragraph("B", "Three.", "s")]
    assert [(c.title, c.text) for c in chunked(parts)] == [("A", "One.\nTwo."), ("B", "Three.")]


@given(st.text(max_size=3000) | st.text(alphabet="鸡蛋 a.", min_size=1000, max_size=3000))
@settings(max_examples=50)
def test_no_chunk_exceeds_its_size_and_no_word_is_lost(text: str) -> None:
    made = [chunk.text for chunk in chunked([Paragraph("T", text, "s")])]
    assert all(token_estimate(chunk) <= CHUNK_TOKENS for chunk in made)
    assert {c for c in text if not c.isspace()} <= set("".join(made))


def test_folders_are_read_with_all_below_in_order_and_hidden_files_left_alone(tmp_path: Path) -> None:
    for name in ("b.md", "a.TXT", "sub/c.markdown", ".hidden.md", ".git/d.md", "photo.jpg", "sub/.e.txt"):
        write(tmp_path / name, "Hens.")
    assert [found.name for found in find_documents([tmp_path])] == ["a.TXT", "b.md", "sub/c.markdown"]


def test_links_that_lead_round_in_circles_end(tmp_path: Path) -> None:
    write(tmp_path / "sub" / "a.md", "Hens.")
    (tmp_path / "sub" / "round").symlink_to(tmp_path)
    assert len(list(find_documents([tmp_path]))) == 1


def test_only_what_changed_is_imported_again(tmp_path: Path) -> None:
    target = MemoryTarget()
    write(tmp_path / "a.md", "Hens drink.")
    write(tmp_path / "b.txt", "Ducks swim.")
    assert [r.status for r in run(target, tmp_path)] == [ImportStatus.IMPORTED, ImportStatus.IMPORTED]
    assert [r.status for r in run(target, tmp_path)] == [ImportStatus.UNCHANGED, ImportStatus.UNCHANGED]
    write(tmp_path / "a.md", "Hens drink water.")
    assert [r.status for r in run(target, tmp_path)] == [ImportStatus.IMPORTED, ImportStatus.UNCHANGED]
    assert [c.text for c in target.chunks["a.md"]] == ["Hens drink water."]


@pytest.mark.parametrize(
    ("name", "content", "problem"),
    [
        ("latin.txt", "Les œufs à couver, été".encode("cp1252"), "not UTF-8: byte 0x9c near 4"),
        ("cut.md", "Hühner".encode()[:2], "not UTF-8"),
        ("binary.txt", b"abc\x00\x01\x02", "not text: a zero byte at 3"),
        ("wide.txt", "Hens".encode("utf-16")[:-1], "not UTF-16"),
        ("book.docx", b"%PDF-1.7", "not an office file"),
        ("book.odt", b"PK", "not a kind of file"),
        ("empty.md", b"", "there is no text in it"),
    ],
)
def test_what_cannot_be_read_is_named_and_the_rest_is_imported(
    tmp_path: Path, name: str, content: bytes, problem: str
) -> None:
    bad, good = write(tmp_path / name, content), write(tmp_path / "good.md", "Hens drink.")
    target = MemoryTarget()
    first, second = run(target, bad, good)
    assert first.status is ImportStatus.UNREADABLE
    assert problem in first.problem
    assert second.status is ImportStatus.IMPORTED
    assert list(target.chunks) == ["good.md"]


def test_files_that_are_gone_or_no_files_are_named(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.txt")
    (tmp_path / "dangling.md").symlink_to(tmp_path / "nowhere")
    results = run(MemoryTarget(), tmp_path, tmp_path / "missing.md")
    assert [(r.path.name, r.status) for r in results] == [
        ("dangling.md", ImportStatus.UNREADABLE),
        ("pipe.txt", ImportStatus.UNREADABLE),
        ("missing.md", ImportStatus.UNREADABLE),
    ]
    assert all(r.problem for r in results)


def test_an_empty_folder_is_no_error(tmp_path: Path) -> None:
    assert run(MemoryTarget(), tmp_path) == []


@pytest.mark.parametrize("name", ["line.txt", "line.md"])
@pytest.mark.parametrize("unit", ["word ", "x", "[", "*a", "鸡蛋。", "<b"])
def test_one_line_of_megabytes_takes_little_memory(tmp_path: Path, name: str, unit: str) -> None:
    path = write(tmp_path / name, unit * (1_500_000 // len(unit.encode())))
    target = MemoryTarget(keep=False)
    tracemalloc.start()
    (result,) = run(target, path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert result.status is ImportStatus.IMPORTED
    assert result.chunks >= 500
    assert peak < 2_000_000


@given(content=st.binary(max_size=400) | st.text(alphabet="#-=`*[]()|>_ \n\tab1.<!", max_size=400).map(str.encode))
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=150, deadline=None)
def test_whatever_a_file_holds_it_is_read_or_named(tmp_path: Path, content: bytes) -> None:
    outcome = read_or_problem(tmp_path / "any.md", content)
    assert outcome if isinstance(outcome, str) else all(outcome.texts)


def test_the_words_of_documents_are_read_without_a_base_and_titles_are_among_them(tmp_path: Path) -> None:
    write(tmp_path / "a.md", "# Marans\nHens lay.")
    write(tmp_path / "b.pdf", "no PDF")
    assert list(document_texts(find_documents([tmp_path]))) == ["Marans\nHens lay."]


def test_the_demo_handbook_has_a_title_and_a_source_for_every_chapter() -> None:
    target = MemoryTarget()
    results = run(target, handbook_folder())
    assert len(results) >= 30
    assert all(r.status is ImportStatus.IMPORTED for r in results)
    chunks = [chunk for made in target.chunks.values() for chunk in made]
    assert len({chunk.source for chunk in chunks}) == len(results)
    assert all(chunk.source.startswith("voice_trio demo handbook, chapter ") for chunk in chunks)
    assert max(token_estimate(chunk.text) for chunk in chunks) <= CHUNK_TOKENS
