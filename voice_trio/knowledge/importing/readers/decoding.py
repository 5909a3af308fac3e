"""Finds the encoding of a text file.

UTF-8 is checked throughout, before anything is read: a file that is half text would become half a document. A wrong
guess makes words that no query finds. So an older encoding is assumed only where a format often has it.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING

from voice_trio.errors import UnreadableDocument

if TYPE_CHECKING:
    from voice_trio.knowledge.importing.readers.source_file import SourceFile

_BLOCK_BYTES = 1 << 18
_BYTE_ORDER_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# In Western European text at most about every tenth letter has an accent; in Cyrillic or Greek nearly each has the top
# bit set.
FOREIGN_SHARE_MAX = 0.2
_WESTERN = frozenset(("iso-8859-1", "iso8859-1", "latin1", "latin-1", "us-ascii", "ascii"))
_META_CHARSET = re.compile(rb"""(?:charset|encoding)\s*=\s*["']?\s*([A-Za-z0-9_.:-]{2,40})""", re.IGNORECASE)


def text_encoding(source: SourceFile) -> str:
    """The encoding of a text file: UTF-8, or UTF-16 and UTF-32 where the first bytes show it.

    Raises `UnreadableDocument` with the place of the first byte that does not fit.
    """
    start = _start(source)
    encoding = _marked(start) or _utf16_without_mark(start) or "utf-8"
    _check(source, encoding)
    return encoding


def table_encoding(source: SourceFile) -> str:
    """As `text_encoding`, but Windows-1252 for Western European text in it: spreadsheets still write that."""
    try:
        return text_encoding(source)
    except UnreadableDocument:
        if not _looks_western(source):
            raise
    source.remark("read as Windows-1252, because it is not UTF-8")
    return "cp1252"


def decode_page(data: bytes) -> str:
    """A web page as text. What its bytes show outweighs what it says of itself: headers are often wrong."""
    if encoding := _marked(data) or _utf16_without_mark(data[:1024]):
        return data.decode(encoding, "replace")
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        declared = _META_CHARSET.search(data, 0, 4096)
        name = declared[1].decode().lower() if declared else "windows-1252"
        # As browsers do: Latin-1 means Windows-1252. A page that says UTF-8 has some wrong bytes, or is not UTF-8.
        if name in _WESTERN or name.startswith("utf-16"):
            name = "windows-1252"
        elif name in {"utf-8", "utf8"}:
            name = "utf-8" if _mostly_utf8(data) else "windows-1252"
        try:
            return data.decode(name, "replace")
        except LookupError:
            return data.decode("windows-1252", "replace")


def _mostly_utf8(data: bytes) -> bool:
    text = data.decode("utf-8", "replace")
    return text.count("\ufffd") < sum(not character.isascii() for character in text) / 2


def _start(source: SourceFile) -> bytes:
    source.file.seek(0)
    return source.file.read(1024)


def _marked(start: bytes) -> str:
    return next((encoding for mark, encoding in _BYTE_ORDER_MARKS if start.startswith(mark)), "")


def _utf16_without_mark(start: bytes) -> str:
    pairs = len(start) // 2
    if pairs < 8:
        return ""
    even, odd = start[0::2].count(0), start[1::2].count(0)
    if odd > 0.4 * pairs and not even:
        return "utf-16-le"
    return "utf-16-be" if even > 0.4 * pairs and not odd else ""


def _check(source: SourceFile, encoding: str) -> None:
    decoder = codecs.getincrementaldecoder(encoding)()
    source.file.seek(0)
    read = 0
    while True:
        block = source.file.read(_BLOCK_BYTES)
        if "utf-8" in encoding and (null := block.find(0)) >= 0:
            raise UnreadableDocument(f"not text: a zero byte at {read + null}")
        try:
            decoder.decode(block, not block)
        except UnicodeDecodeError as error:
            wrong, place = error.object[error.start], read + error.start
            raise UnreadableDocument(
                f"not {encoding.removesuffix('-sig').upper()}: byte 0x{wrong:02x} near {place}; "
                "convert it, for example with `iconv -f windows-1252 -t utf-8`"
            ) from error
        if not block:
            return
        read += len(block)


def _looks_western(source: SourceFile) -> bool:
    source.file.seek(0)
    letters = foreign = 0
    while block := source.file.read(_BLOCK_BYTES):
        try:
            text = block.decode("cp1252")
        except UnicodeDecodeError:
            return False
        if "\x00" in text:
            return False
        foreign += sum(not character.isascii() for character in text)
        letters += sum(map(str.isalpha, text))
    return foreign <= FOREIGN_SHARE_MAX * letters + 3
