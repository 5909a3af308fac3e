"""Callers in the first second of a process: everything that is imported late has been imported before it serves."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import trio

from tests.support.deployment import SECRET, Deployment, gateway_process, token
from tests.support.weaviate_server import WeaviateServer
from voice_trio.conversation.retrieval.passage import Passage

if TYPE_CHECKING:
    from pathlib import Path

BROODING = Passage("1", "Brooding", "The brooder must be at 34 degrees in the first week.", "handbook")


@pytest.mark.parametrize("starts", [2, pytest.param(12, marks=[pytest.mark.slow, pytest.mark.timeout(180)])])
async def test_ten_callers_in_the_first_second_are_served_by_a_gateway_with_weaviate_F58(
    tmp_path: Path, starts: int
) -> None:
    with WeaviateServer([BROODING]) as server, trio.fail_after(15 * starts):
        for _ in range(starts):
            async with gateway_process(tmp_path, WEAVIATE_URL=server.url) as deployment:
                async with trio.open_nursery() as nursery:
                    for number in range(10):
                        nursery.start_soon(_ask, deployment, f"user {number}")
                assert (await deployment.get("/livez")).status == 200
                assert deployment.process is not None
                assert not [line for line in deployment.process.log if re.search("Deadlock|Traceback", line)]
    assert len(server.requests) >= starts  # the searches reached it


async def _ask(deployment: Deployment, user: str) -> None:
    async with trio.open_nursery() as nursery:
        client = await deployment.join(nursery, shown=token(user))
        await client.hears("connection.ready")
        await client.type("how warm must the brooder be?")
        await client.hears("response.done")
        nursery.cancel_scope.cancel()


async def test_a_weaviate_that_cannot_be_reached_does_not_delay_the_start_F58(tmp_path: Path) -> None:
    with trio.fail_after(30):
        async with gateway_process(tmp_path, WEAVIATE_URL="http://127.0.0.1:9?grpc_port=9") as deployment:
            await _ask(deployment, "ada")


_IMPORTS_IN_THREADS = """
import sys, threading, trio
from voice_trio.knowledge.open_knowledge import open_knowledge
from voice_trio.settings import load_settings

class Finder:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == "weaviate" and is_open:
            print(threading.current_thread().name, name)

async def main():
    global is_open
    settings = load_settings({"JWT_SECRET": sys.argv[3], "WEAVIATE_URL": sys.argv[1], "KNOWLEDGE_PATH": sys.argv[2]})
    async with open_knowledge(settings) as knowledge:
        is_open = True
        print(await knowledge.is_available(), len(await knowledge.search("how warm must the brooder be", 5)))

is_open = False
sys.meta_path.insert(0, Finder())
trio.run(main)
"""


def test_no_thread_imports_the_client_library_once_the_knowledge_base_is_open_F58(tmp_path: Path) -> None:
    with WeaviateServer([BROODING]) as server:
        command = [sys.executable, "-c", _IMPORTS_IN_THREADS, server.url, str(tmp_path / "base"), SECRET]
        run = subprocess.run(command, capture_output=True, text=True, check=True, timeout=50)
    assert run.stdout == "True 1\n"
