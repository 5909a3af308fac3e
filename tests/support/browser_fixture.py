"""A program that serves a gateway with the console, and the rule-based model behind it, for tests in a browser.

It prints one line of JSON, `{"port": …}`, and serves until it is killed. The model responds with a steady tone of known
samples, so that a test can measure what the browser plays.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from functools import partial
from pathlib import Path

import trio

from tests.support.deployment import environment, fill_knowledge
from voice_trio.net.listeners import open_listener
from voice_trio.server.server import run_server
from voice_trio.settings import load_settings
from voice_trio.testing import RuleBasedModel, serve_scripted_model

QUESTION = "How warm must the brooder be in the first week?"


async def serve_gateway(folder: Path, bind: str, answer_ms: int) -> None:
    """Serve until killed; the variables in the environment take precedence."""
    knowledge = folder / "knowledge.sqlite3"
    if not knowledge.exists():
        fill_knowledge(knowledge)
    async with trio.open_nursery() as nursery:
        model = RuleBasedModel((QUESTION,), answer_ms=answer_ms)
        url = await nursery.start(serve_scripted_model, model)
        settings = load_settings(environment(url, knowledge, VOICE_CONSOLE="true") | dict(os.environ))
        listener = open_listener(bind)
        await run_server(settings, listener, when_started=partial(_say_where, listener.getsockname()[1]))


def _say_where(port: int) -> None:
    sys.stdout.write(json.dumps({"port": port}) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bind", default="127.0.0.1:0")
    parser.add_argument("--answer-ms", type=int, default=3000)
    given = parser.parse_args()
    trio.run(serve_gateway, given.folder, given.bind, given.answer_ms)
