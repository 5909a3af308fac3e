"""Lets a recognizer that is in use understand questions about other documents."""

from __future__ import annotations

import subprocess
import sys
from typing import TYPE_CHECKING

import msgspec
import trio

from voice_trio.embedded.speech.recognition.learning_worker import LearningTask
from voice_trio.embedded.speech.recognition.model import GENERAL_WORDS, ListeningModel, delete_other_models
from voice_trio.errors import ModelUnavailable
from voice_trio.net.threads import Bulkhead

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from voice_trio.embedded.speech.recognition.recognizer import RecognizerPool


async def learn_words(
    pool: RecognizerPool, documents: Iterable[str], directory: Path, *, general_words: int = GENERAL_WORDS
) -> None:
    """Recognise further utterances of `pool` with the words of `documents`; takes some 3 s of CPU in a child process.

    `directory` keeps the model of these documents and no other one. Fewer `general_words` make it faster and worse.
    Raises `ModelUnavailable`; the recognizer then stays as it was. Cancellation ends the child process.
    """
    texts = tuple(documents)
    task = msgspec.msgpack.encode(LearningTask(texts, str(directory), general_words))
    command = [sys.executable, "-m", "voice_trio.embedded.speech.recognition.learning_worker"]
    try:
        done = await trio.run_process(
            command,
            stdin=task,
            check=False,
            stdout=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for this process, which then ends the other one
        )
    except OSError as error:
        raise ModelUnavailable(f"the words could not be learned: {error}") from error
    if done.returncode:
        raise ModelUnavailable(f"the words could not be learned: the process failed with status {done.returncode}")
    thread = Bulkhead(1)
    language = await thread.read(_read_built, texts, directory, general_words)
    await pool.use(
        msgspec.structs.replace(pool.model, dictionary=language.dictionary, language_model=language.language_model)
    )
    await thread.write(delete_other_models, directory, language)


def _read_built(texts: tuple[str, ...], directory: Path, general_words: int) -> ListeningModel:
    return ListeningModel.build(texts, cache_dir=directory, general_words=general_words)
