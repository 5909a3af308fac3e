"""PDF files: what cannot be read is named, be it a page or a part of one, and the rest is kept."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from pypdf import PdfWriter, apply_configuration
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject, NumberObject, StreamObject

from tests.support.documents import pdf, read
from voice_trio import limits
from voice_trio.errors import UnreadableDocument

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


SLOW_PAGE_SECONDS = 1.0
"""The good pages take milliseconds, on a busy machine some hundred of them."""
TOKENS_UNBOUNDED = 10**12
"""In place of the library's own limit, which a page of the slow tests reaches after some seconds."""


def changed(change: Callable[[PdfWriter], object]) -> bytes:
    """A PDF file of three pages after a change."""
    writer = PdfWriter(clone_from=BytesIO(pdf("One.", "Two.", "Three.")))
    change(writer)
    out = BytesIO()
    writer.write(out)
    return out.getvalue()


def page_of(writer: PdfWriter, number: int) -> Any:
    """A page as the dictionary that it is."""
    return writer.pages[number]


def unknown_filter(writer: PdfWriter) -> None:
    page_of(writer, 1)["/Contents"].get_object()[NameObject("/Filter")] = NameObject("/Unheard")


def scanned_page(writer: PdfWriter) -> None:
    picture = StreamObject()
    picture.update(
        {
            NameObject("/Type"): NameObject("/XObject"),
            NameObject("/Subtype"): NameObject("/Image"),
            NameObject("/Filter"): NameObject("/JBIG2Decode"),
            NameObject("/Width"): NumberObject(1),
            NameObject("/Height"): NumberObject(1),
        }
    )
    page = page_of(writer, 1)
    page["/Resources"][NameObject("/XObject")] = DictionaryObject({NameObject("/Im0"): writer._add_object(picture)})
    page["/Contents"].get_object().set_data(b"q /Im0 Do Q")


@pytest.mark.parametrize(
    ("change", "lost"),
    [
        (unknown_filter, "page 2: NotImplementedError Unsupported filter /Unheard"),
        (scanned_page, "page 2: a picture without text"),
    ],
)
def test_a_bad_page_is_named_and_the_good_ones_are_kept_F40(
    tmp_path: Path, change: Callable[[PdfWriter], object], lost: str
) -> None:
    document = read(tmp_path / "a.pdf", changed(change))
    assert document.texts == ["One.", "Three."]
    assert document.lost == [lost]


def test_a_page_that_takes_too_long_is_named_and_the_others_are_kept_F40(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def drawn(writer: PdfWriter) -> None:
        page_of(writer, 1)["/Contents"].get_object().set_data(b"BT (Hens) Tj ET " * 200_000)

    monkeypatch.setattr(limits, "DOCUMENT_PAGE_SECONDS_MAX", SLOW_PAGE_SECONDS)
    with apply_configuration(stream_parsing_work_maximum_count=TOKENS_UNBOUNDED):
        document = read(tmp_path / "a.pdf", changed(drawn))
    assert document.texts == ["One.", "Three."]
    assert document.lost == ["page 2: takes more than 1 s"]


def form_of(content: bytes, **entries: NameObject) -> Callable[[PdfWriter], object]:
    """A change that draws `content` on the second page as a form, a stream of its own."""

    def change(writer: PdfWriter) -> None:
        page, form = page_of(writer, 1), DecodedStreamObject()
        form.set_data(content)
        form.update({NameObject("/Type"): NameObject("/XObject"), NameObject("/Subtype"): NameObject("/Form")})
        form.update({NameObject(f"/{name}"): value for name, value in entries.items()})
        form[NameObject("/Resources")] = page["/Resources"]
        forms = DictionaryObject({NameObject("/Fm0"): writer._add_object(form)})
        page[NameObject("/Resources")] = DictionaryObject({**page["/Resources"], NameObject("/XObject"): forms})
        page["/Contents"].get_object().set_data(page["/Contents"].get_object().get_data() + b" q /Fm0 Do Q")

    return change


def test_a_part_of_a_page_that_the_library_leaves_out_is_named_F40(tmp_path: Path) -> None:
    broken = form_of(b"BT (Hens) Tj ET", Filter=NameObject("/Unheard"))
    document = read(tmp_path / "a.pdf", changed(broken))
    assert document.texts == ["One.", "Two.", "Three."]
    assert [part.partition(" XFormObject")[0] for part in document.lost] == [
        "page 2, a part of it: Impossible to decode"
    ]


def test_a_form_that_takes_too_long_is_named_F40(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "DOCUMENT_PAGE_SECONDS_MAX", SLOW_PAGE_SECONDS)
    with apply_configuration(stream_parsing_work_maximum_count=TOKENS_UNBOUNDED):
        document = read(tmp_path / "a.pdf", changed(form_of(b"BT (Hens) Tj ET " * 200_000)))
    assert document.lost == ["page 2: takes more than 1 s"]


def test_a_pdf_of_an_unknown_version_is_read_F40(tmp_path: Path) -> None:
    assert read(tmp_path / "a.pdf", pdf("One.").replace(b"%PDF-1.3", b"%PDF-9.9")).texts == ["One."]


@pytest.mark.parametrize(("old", "new"), [(b"/Standard", b"/Adobe.PubSec"), (b"/V 2", b"/V 7")])
def test_a_pdf_encrypted_for_a_certificate_or_in_an_unknown_way_says_so_F40(
    tmp_path: Path, old: bytes, new: bytes
) -> None:
    content = changed(lambda writer: writer.encrypt("", owner_password="x", algorithm="RC4-128"))
    assert read(tmp_path / "a.pdf", content).texts == ["One.", "Two.", "Three."]
    with pytest.raises(UnreadableDocument, match="encrypted; save it without a password"):
        read(tmp_path / "a.pdf", content.replace(old, new))


def test_a_word_that_is_split_in_a_pdf_is_joined_F43(tmp_path: Path) -> None:
    def split(writer: PdfWriter) -> None:
        page_of(writer, 0)["/Contents"].get_object().set_data(
            b"BT /F1 12 Tf 20 100 Td (The incu-) Tj 0 -14 Td (bation) Tj ET"
        )

    assert read(tmp_path / "a.pdf", changed(split)).texts[0] == "The incubation"
