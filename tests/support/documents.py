"""Reads a document in this process, as the reader process does."""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.messages import PartLeftOut, PartLost, ReadRemark
from voice_trio.knowledge.importing.readers.formats import read_paragraphs
from voice_trio.knowledge.importing.readers.source_file import SourceFile

if TYPE_CHECKING:
    from pathlib import Path

    from voice_trio.knowledge.importing.chunks import Paragraph
    from voice_trio.knowledge.importing.messages import ReadProgress


class ReadDocument:
    """The paragraphs of a file, and what its reader said on the way."""

    def __init__(self, path: Path, name: str = "") -> None:
        self._told: list[PartLost | PartLeftOut | ReadRemark | ReadProgress] = []
        with path.open("rb") as file:
            source = SourceFile(
                file, name or path.name, path.stem, path.stat().st_size, self._told.append, path.suffix.lower()
            )
            self.paragraphs: list[Paragraph] = list(read_paragraphs(source))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """Title and text of each paragraph."""
        return [(each.title, each.text) for each in self.paragraphs]

    @property
    def texts(self) -> list[str]:
        return [each.text for each in self.paragraphs]

    @property
    def lost(self) -> list[str]:
        return [each.part for each in self._told if isinstance(each, PartLost)]

    @property
    def left_out(self) -> list[str]:
        return [each.kind for each in self._told if isinstance(each, PartLeftOut)]

    @property
    def remarks(self) -> list[str]:
        return [each.text for each in self._told if isinstance(each, ReadRemark)]


def write(path: Path, content: str | bytes) -> Path:
    """Write a file, with its folder."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path, content: str | bytes) -> ReadDocument:
    """Write a file and read it."""
    return ReadDocument(write(path, content))


def read_or_problem(path: Path, content: str | bytes) -> ReadDocument | str:
    """Write a file and read it, or say why it cannot be read."""
    try:
        return read(path, content)
    except UnreadableDocument as error:
        return str(error)


def pdf(*pages: str, password: str = "") -> bytes:
    """A PDF file with one line of text on each page."""
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for text in pages:
        page = writer.add_blank_page(300, 200)
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 100 Td ({text}) Tj ET".encode() if text else b"")
        page[NameObject("/Contents")] = writer._add_object(stream)
        fonts = DictionaryObject({NameObject("/F1"): writer._add_object(font)})
        page[NameObject("/Resources")] = DictionaryObject({NameObject("/Font"): fonts})
    if password:
        writer.encrypt(password, algorithm="RC4-128")
    out = BytesIO()
    writer.write(out)
    return out.getvalue()
