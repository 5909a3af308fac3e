"""A process that builds the language model of changed documents, at low priority: conversations go on meanwhile."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import msgspec

from voice_trio.embedded.speech.recognition.model import ListeningModel

NICENESS: Final = 10


class LearningTask(msgspec.Struct, frozen=True):
    """What to build: the model of `documents`, kept in `directory`."""

    documents: tuple[str, ...]
    directory: str
    general_words: int


def main() -> None:
    """Read a `LearningTask` and build it."""
    os.nice(NICENESS)
    task = msgspec.msgpack.decode(sys.stdin.buffer.read(), type=LearningTask)
    ListeningModel.build(task.documents, cache_dir=Path(task.directory), general_words=task.general_words)


if __name__ == "__main__":
    main()
