"""A small listening model, built once: two documents, few general words, the stock acoustic model."""

from __future__ import annotations

import pytest

from voice_trio.embedded.speech.recognition.model import ListeningModel

DOCUMENTS = (
    """# Coccidiosis
    Coccidiosis is a disease of the gut. The signs of coccidiosis are blood in the droppings, ruffled feathers and
    slow growth. Coccidiosis is spread by wet litter. Keep the litter dry. The signs of coccidiosis are worst in chicks.
    """,
    """# Brooding
    The temperature of the brooder should be 35 °C in the first week. Chicks that are cold huddle under the lamp.
    Lower the temperature of the brooder by 3 °C each week. The brooder needs dry litter and clean water.
    """,
)


@pytest.fixture(scope="session")
def listening_model(tmp_path_factory: pytest.TempPathFactory) -> ListeningModel:
    return ListeningModel.build(DOCUMENTS, cache_dir=tmp_path_factory.mktemp("speech"), general_words=500)
