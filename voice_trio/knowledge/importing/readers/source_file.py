"""The file that a reader reads, and where the reader says what it could not read."""

from __future__ import annotations

import io
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO

from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.messages import PartLeftOut, PartLost, ReadProgress, ReadRemark
from voice_trio.knowledge.importing.readers.cleaning import squeezed

if TYPE_CHECKING:
    from collections.abc import Callable

LOST_PARTS_NAMED_MAX = 50
REASON_CHARACTERS_MAX = 200


def short_reason(why: str | Exception) -> str:
    """A reason on one line; that of an error begins with its type, because some have no other text."""
    text = f"{type(why).__name__} {why}" if isinstance(why, Exception) else why
    return squeezed(text)[:REASON_CHARACTERS_MAX]


@dataclass
class SourceFile:
    """An open file. `name` is cited as its source, `stem` is its name without folder and suffix.

    `report` gets what the reader says on the way.
    """

    file: BinaryIO
    name: str
    stem: str
    size: int
    report: Callable[[PartLost | PartLeftOut | ReadRemark | ReadProgress], None]
    suffix: str = ""
    lost_parts: list[str] = field(default_factory=list)

    @property
    def title(self) -> str:
        """The file's name as a title: "02-chick_water" becomes "Chick water"."""
        words = re.sub(r"[-_\s]+", " ", re.sub(r"^\d{1,4}[-_. ]+", "", self.stem)).strip() or self.stem
        return words[:1].upper() + words[1:]

    def lose(self, part: str, why: str | Exception) -> None:
        """Say that a part cannot be read, and why; the first `LOST_PARTS_NAMED_MAX` are named."""
        text = f"{part}: {short_reason(why)}"
        self.lost_parts.append(text)
        if len(self.lost_parts) <= LOST_PARTS_NAMED_MAX:
            self.report(PartLost(text))
        elif len(self.lost_parts) == LOST_PARTS_NAMED_MAX + 1:
            self.report(PartLost("more parts, which are not named one by one"))

    def leave_out(self, kind: str) -> None:
        """Count a part that is left out by rule."""
        self.report(PartLeftOut(kind))

    def remark(self, text: str) -> None:
        self.report(ReadRemark(text))

    def progress(self, unit: str, done: int, total: int) -> None:
        """Say how far the reading is. It also tells the other side that this process is not stuck."""
        self.report(ReadProgress(unit, done, total))

    def check_size(self, bytes_max: int) -> None:
        """Raise `UnreadableDocument` for a file that is too large to be read at once."""
        if self.size > bytes_max:
            raise UnreadableDocument(
                f"{self.size / 1e6:,.0f} MB, more than the {bytes_max / 1e6:,.0f} MB that can be read at once"
            )

    def text(self, encoding: str) -> io.TextIOWrapper:
        """The file as text from its beginning; line ends are left as they are."""
        self.file.seek(0)
        return io.TextIOWrapper(self.file, encoding=encoding, newline="")
