from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tests.support.certificates import certificate

if TYPE_CHECKING:
    from voice_trio.server.server import Tls


@pytest.fixture(scope="session")
def tls_certificate(tmp_path_factory: pytest.TempPathFactory) -> Tls:
    return certificate(tmp_path_factory.mktemp("certificate"))
