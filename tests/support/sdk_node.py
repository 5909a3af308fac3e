"""OpenAI's packages for JavaScript, and the clients that use them, as commands for Node."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from tests.support.node import installed, node

if TYPE_CHECKING:
    from collections.abc import Sequence

VERSIONS = {"openai": "7.57.0", "@openai/agents-realtime": "0.20.0", "ws": "8.23.0", "zod": "4.6.7"}
CLIENTS = Path(__file__).parents[1] / "sdk" / "clients"


def prepared_packages(cache: Path) -> Path:
    """A folder with the packages and our clients; skips with a loud reason without Node or a registry."""
    folder = installed(cache, {"private": True, "dependencies": VERSIONS}, "the JavaScript SDKs were not tested")
    for client in (*CLIENTS.glob("*.mjs"), *CLIENTS.glob("*.html")):
        shutil.copy(client, folder)  # Node resolves packages beside the importing file
    return folder


def node_command(client: str) -> Sequence[str]:
    return node("--no-warnings", f"{client}.mjs")
