"""Checks the table of contents of an office file, which is a ZIP file, before a library unpacks it.

The memory limit of the reader process holds for a table of contents that lies.
"""

from __future__ import annotations

import zipfile
from typing import TYPE_CHECKING

from voice_trio.errors import UnreadableDocument

if TYPE_CHECKING:
    from voice_trio.knowledge.importing.readers.source_file import SourceFile

OFFICE_BYTES_MAX = 200_000_000
UNPACKED_BYTES_MAX = 400_000_000
ENTRIES_MAX = 20_000
_OLD_OFFICE_OR_ENCRYPTED = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


# Parts that are not read, by the beginning of their names.
_LEFT_OUT = {
    "word/comments": "comments in Word documents",
    "word/media/": "pictures in Word documents",
    "word/charts/": "charts in Word documents",
    "word/diagrams/": "diagrams in Word documents",
    "word/afchunk": "other files in Word documents",
    "ppt/comments/": "comments in presentations",
    "ppt/media/": "pictures and recordings in presentations",
    "xl/comments": "comments in workbooks",
    "xl/charts/": "charts in workbooks",
    "xl/media/": "pictures in workbooks",
}


def check_office_file(source: SourceFile) -> None:
    """Raise `UnreadableDocument` for what is no ZIP file, is encrypted, or would unpack to too much.

    Counts the parts that no reader reads, such as pictures.
    """
    source.check_size(OFFICE_BYTES_MAX)
    source.file.seek(0)
    if source.file.read(8) == _OLD_OFFICE_OR_ENCRYPTED:
        raise UnreadableDocument("encrypted, or in the format before 2007; save it anew without a password")
    try:
        with zipfile.ZipFile(source.file) as archive:
            entries = archive.infolist()
    except (zipfile.BadZipFile, NotImplementedError, ValueError, OSError) as error:
        raise UnreadableDocument(f"not an office file: {error}"[:200]) from error
    unpacked = sum(entry.file_size for entry in entries)
    if unpacked > UNPACKED_BYTES_MAX or len(entries) > ENTRIES_MAX:
        raise UnreadableDocument(
            f"unpacks to {unpacked / 1e6:,.0f} MB in {len(entries):,} parts; "
            f"at most {UNPACKED_BYTES_MAX / 1e6:,.0f} MB in {ENTRIES_MAX:,} can be read"
        )
    for start, kind in _LEFT_OUT.items():
        if any(entry.filename.startswith(start) for entry in entries):
            source.leave_out(kind)
    source.file.seek(0)
