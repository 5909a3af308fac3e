"""The knowledge base of `voice-trio demo`: a file of its own, so that its handbook never gets into another base."""

from __future__ import annotations

import shutil
from contextlib import suppress
from typing import TYPE_CHECKING

from voice_trio.knowledge.sqlite.base import default_knowledge_path
from voice_trio.knowledge.sqlite.readers import read_stored_documents

if TYPE_CHECKING:
    from pathlib import Path

DEMO_FILE = "demo.sqlite3"


def speech_folder(base: Path) -> Path:
    """The folder for what speech recognition has learned of the documents in `base`, beside it."""
    return base.with_name(f"{base.stem}.speech")


def forget_speech(base: Path) -> None:
    """Delete what speech recognition has learned of the documents in `base`, and nothing else beside it. Blocking."""
    folder = speech_folder(base)
    if folder.is_symlink():
        return
    for learned in folder.glob("language-*"):
        shutil.rmtree(learned, ignore_errors=True)
    with suppress(OSError):  # missing, or something else is in it
        folder.rmdir()


def demo_knowledge_path(configured: Path | None) -> Path:
    """The file that the demo searches: the `configured` one if it has documents, else `DEMO_FILE` in its folder.

    Blocking. Raises `KnowledgeUnavailable` if the configured file is no base.
    """
    if configured is not None and read_stored_documents(configured):
        return configured
    return (configured or default_knowledge_path()).with_name(DEMO_FILE)
