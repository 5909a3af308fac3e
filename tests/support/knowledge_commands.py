"""What a knowledge base holds, as its commands and its files show."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from click.testing import Result


def listed(run: Callable[..., Result], *options: str) -> dict[str, dict[str, object]]:
    """The documents of the base by the names of their files."""
    documents = json.loads(run("list", "--json", *options).stdout)["documents"]
    return {os.path.basename(each["path"]): each for each in documents}


def files_of(base: Path) -> bytes:
    """The bytes of the base and of whatever else is beside it."""
    return b"".join(path.read_bytes() for path in sorted(base.parent.iterdir()))
