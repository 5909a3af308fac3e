"""The documents that a knowledge base holds, and the keys under which people list and delete them.

A key is a digest of the path from which a document was imported. So it is the same in every store, it stays while the
file changes, and any shell takes it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from voice_trio.errors import UnknownDocument

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

KEY_CHARACTERS_SHOWN = 12
"""Of 32: two of a million documents share so many with a probability of 0.2 %, and a longer start tells them apart."""
KEY_CHARACTERS_MIN = 6
"""The shortest start of a key that names a document."""
HANDBOOK_SOURCE = "voice_trio demo handbook"
"""How the sources of the demo's documents begin."""


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """One document of a base. `path` is the file that it was imported from, empty if the base does not know it."""

    key: str
    path: str
    title: str
    source: str
    passages: int
    imported_at: str | None = None

    @property
    def short_key(self) -> str:
        return self.key[:KEY_CHARACTERS_SHOWN]

    @property
    def is_handbook(self) -> bool:
        """Whether it is a chapter of the demo's handbook."""
        return self.source.startswith(HANDBOOK_SOURCE)


def document_key(path: str) -> str:
    """The key of the document that was imported from `path`: 32 hexadecimal digits."""
    return blake2b(storable_name(path).encode(), digest_size=16).hexdigest()


def storable_name(name: str) -> str:
    """The name or path of a file as text to store and print: bytes that are not UTF-8 become escapes, as \\udce9."""
    return name.encode("utf-8", "backslashreplace").decode()


def choose_documents(documents: Sequence[StoredDocument], names: Iterable[str]) -> list[StoredDocument]:
    """The documents that `names` mean: keys, starts of keys, and paths of files and folders.

    Raises `UnknownDocument` with each name that means no document, or several by the start of their keys.
    """
    chosen: dict[str, StoredDocument] = {}
    faults = []
    for name in names:
        found = _by_key(documents, name)
        if not found and name:  # an empty name, as of a variable that is not set, would mean the current folder
            found = [each for each in documents if is_below(each.path, Path(name))]
        by_start = len(found) > 1 and all(each.key.startswith(name.lower()) for each in found)
        if not found or by_start:
            faults.append(
                f"{name or '(an empty name)'}: "
                + (f"{len(found)} keys begin with it" if by_start else "no such document")
            )
        chosen.update((each.key, each) for each in found)
    if faults:
        raise UnknownDocument("; ".join(faults))
    return list(chosen.values())


def is_below(path: str, place: Path) -> bool:
    """Whether `path` is the file `place`, or is below the folder `place`."""
    top = os.path.abspath(place)
    return bool(path) and Path(os.path.normpath(path)).is_relative_to(top)


def _by_key(documents: Sequence[StoredDocument], name: str) -> list[StoredDocument]:
    if len(name) < KEY_CHARACTERS_MIN:
        return []
    return [each for each in documents if each.key.startswith(name.lower())]
