"""A recognizer that is in use learns the words of other documents, and forgets those of deleted ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
import trio

from tests.embedded.speech.conftest import DOCUMENTS
from voice_trio.embedded.speech.recognition.learning import learn_words
from voice_trio.embedded.speech.recognition.recognizer import open_recognizer
from voice_trio.errors import ModelUnavailable

if TYPE_CHECKING:
    from pathlib import Path

    from voice_trio.embedded.speech.recognition.model import ListeningModel

LLAMAS = "Llamas are guard animals. A llama chases coyotes. The llama eats alfalfa."


def dictionary(model: ListeningModel) -> set[str]:
    with open(model.dictionary) as file:
        return {line.split()[0] for line in file}


def kept_in(folder: Path) -> list[str]:
    return [str(path / "words.dict") for path in folder.iterdir()]


@pytest.mark.timeout(120)
async def test_words_are_learned_and_those_of_a_deleted_document_are_gone_F50(
    listening_model: ListeningModel, tmp_path: Path
) -> None:
    with trio.fail_after(100):
        async with open_recognizer(listening_model, size=1) as pool:
            assert "llama" not in dictionary(pool.model)
            await learn_words(pool, [*DOCUMENTS, LLAMAS], tmp_path, general_words=50)
            assert {"llama", "coccidiosis"} <= dictionary(pool.model)
            assert pool.model.acoustic == listening_model.acoustic
            learned = pool.model.dictionary
            await learn_words(pool, DOCUMENTS, tmp_path, general_words=50)
            assert "llama" not in dictionary(pool.model)
    assert learned != pool.model.dictionary
    assert kept_in(tmp_path) == [pool.model.dictionary]


async def test_what_cannot_be_learned_changes_nothing_F50(listening_model: ListeningModel, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with trio.fail_after(60):
        async with open_recognizer(listening_model, size=1) as pool:
            with pytest.raises(ModelUnavailable, match="could not be learned"):
                await learn_words(pool, ["one two"], tmp_path / "file", general_words=50)
            assert pool.model is listening_model
