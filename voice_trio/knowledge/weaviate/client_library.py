"""Weaviate's client library: imported once, in one thread at a time; and its errors.

The library takes a second to import and its modules import each other in circles. Two threads that begin at different
modules of such a package may wait for each other; Python then raises `_DeadlockError` in one of them. So the gateway
imports it before it serves, and every other user asks here first.
"""

from __future__ import annotations

import threading
from contextlib import contextmanager
from typing import TYPE_CHECKING

from voice_trio.errors import KnowledgeUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

_importing = threading.Lock()


def import_client_library() -> None:
    """Import every module of the library that this package uses; blocks. Cheap once that is done."""
    with _importing:
        import weaviate
        import weaviate.classes.config
        import weaviate.classes.data
        import weaviate.classes.init
        import weaviate.classes.query
        import weaviate.exceptions  # noqa: F401  # imported for the other modules of this package


def foreign_errors() -> tuple[type[Exception], ...]:
    """The errors of the client library for a server that is unavailable, slow or misconfigured."""
    from weaviate.exceptions import WeaviateBaseError

    return (WeaviateBaseError, OSError, ValueError, KeyError, AttributeError)


def short_text(error: Exception) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]


@contextmanager
def mapping_every_error() -> Iterator[None]:
    """Raise every error of the block as `KnowledgeUnavailable`: one search fails, and nothing else does."""
    try:
        yield
    except KnowledgeUnavailable:
        raise
    except Exception as error:
        name = "" if isinstance(error, foreign_errors()) else f"{type(error).__name__}: "
        raise KnowledgeUnavailable(f"weaviate: {name}{short_text(error)}") from error
