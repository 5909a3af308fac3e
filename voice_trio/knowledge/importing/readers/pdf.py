"""Reads PDF files page by page; a page that cannot be read is named, and the others are kept."""

from __future__ import annotations

import logging
import re
import signal
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING

from pypdf import PdfReader

from voice_trio import limits
from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.chunks import Paragraph
from voice_trio.knowledge.importing.readers.cleaning import LineJoiner, clean_text, squeezed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType

    from pypdf import PageObject

    from voice_trio.knowledge.importing.readers.source_file import SourceFile

PDF_BYTES_MAX = 200_000_000
PAGES_MAX = 20_000

_EMPTY_LINE = re.compile(r"\n\s*\n")


class PageTooSlow(BaseException):  # not an `Exception`: the library drops those inside forms, and goes on
    """A page takes more than its share of time."""


class _DroppedForms(logging.Handler):
    """Collects what the library only logs: it leaves out a form, which is a part of a page, that it cannot read."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self._dropped: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        message = record.getMessage()
        if "XFormObject" in message:
            self._dropped.append(message)

    def take(self) -> list[str]:
        """What was left out since the last call."""
        dropped, self._dropped = self._dropped, []
        return dropped


_dropped_forms = _DroppedForms()
logging.getLogger("pypdf").addHandler(_dropped_forms)


def read_pdf(source: SourceFile) -> Iterator[Paragraph]:
    """Read a PDF; the source names the page. Pages without text but with pictures, such as scans, are named."""
    source.check_size(PDF_BYTES_MAX)
    warnings.simplefilter("ignore")  # a broken file is named by its problem
    reader = _open(source)
    title = _title(reader) or source.stem
    joiner = LineJoiner()
    _dropped_forms.take()
    found, pictures = False, 0
    total = len(reader.pages)
    for number in range(1, min(total, PAGES_MAX) + 1):
        source.progress("page", number, total)
        try:
            with _time_bound():
                page = reader.pages[number - 1]
                text = page.extract_text()
                has_picture = not text.strip() and _has_picture(page)
        except PageTooSlow:
            source.lose(f"page {number}", f"takes more than {limits.DOCUMENT_PAGE_SECONDS_MAX:g} s")
            continue
        except Exception as error:  # pypdf raises what it likes for a broken page; the others are read
            source.lose(f"page {number}", error)
            continue
        finally:
            for problem in _dropped_forms.take():
                source.lose(f"page {number}, a part of it", problem)
        if has_picture:
            pictures += 1
            source.lose(f"page {number}", "a picture without text")
        for paragraph in _paragraphs(text, joiner):
            found = True
            yield Paragraph(title, paragraph, f"{source.name}, page {number}")
    if total > PAGES_MAX:
        source.lose(f"pages after {PAGES_MAX:,}", "too many pages")
    yield from _form_fields(reader, title, source)
    if not found and (pictures or not source.lost_parts):
        raise UnreadableDocument("holds no text; a scanned document must go through text recognition first")


def _open(source: SourceFile) -> PdfReader:
    try:
        with _time_bound():
            reader = PdfReader(source.file)
            if reader.is_encrypted and not reader.decrypt(""):
                raise UnreadableDocument("encrypted; save it without a password")
            len(reader.pages)
            return reader
    except UnreadableDocument:
        raise
    except PageTooSlow as error:
        raise UnreadableDocument("not a PDF file that can be read: its structure takes too long") from error
    except Exception as error:  # pypdf raises what it likes for a broken or unknown file
        reason = squeezed(f"{type(error).__name__}: {error}")[:200]
        if "Encrypt" in reason or "crypt" in str(error):
            raise UnreadableDocument(f"encrypted; save it without a password ({reason})") from error
        raise UnreadableDocument(f"not a PDF file that can be read: {reason}") from error


def _title(reader: PdfReader) -> str:
    try:
        return squeezed(clean_text(str((reader.metadata and reader.metadata.title) or "")))
    except Exception:  # the title is only useful; the pages count
        return ""


def _paragraphs(text: str, joiner: LineJoiner) -> Iterator[str]:
    text = clean_text(text)
    joiner.learn(text)
    for paragraph in _EMPTY_LINE.split(text):
        if plain := squeezed(joiner.join(paragraph)):
            yield plain


def _has_picture(page: PageObject) -> bool:
    """Whether a page shows a picture, looked up without decoding it."""
    resources = page.get("/Resources")
    objects = resources.get_object().get("/XObject") if resources else None
    return bool(objects and objects.get_object())


def _form_fields(reader: PdfReader, title: str, source: SourceFile) -> Iterator[Paragraph]:
    try:
        fields = reader.get_form_text_fields()
    except Exception as error:  # as for pages
        source.lose("form fields", error)
        return
    filled = [f"{name}: {value}" for name, value in fields.items() if value]
    if filled:
        yield Paragraph(title, "\n".join(filled), f"{source.name}, form")


@contextmanager
def _time_bound() -> Iterator[None]:
    """Raise `PageTooSlow` inside the block after a time; pypdf is written in Python, so that a signal reaches it."""

    def end(number: int, frame: FrameType | None) -> None:
        raise PageTooSlow

    before = signal.signal(signal.SIGALRM, end)
    signal.setitimer(signal.ITIMER_REAL, limits.DOCUMENT_PAGE_SECONDS_MAX)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
