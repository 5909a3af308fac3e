"""`voice-trio embedded` as a process: it says where it is, serves, and ends when told to."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import trio
from click.testing import CliRunner

from voice_trio.cli.embedded import embedded
from voice_trio.net.trio_websocket_link import open_link

if TYPE_CHECKING:
    from pathlib import Path

RUN = "from voice_trio.cli.embedded import embedded; embedded()"


async def test_it_serves_until_sigterm(tmp_path: Path) -> None:
    (tmp_path / "hens.md").write_text("# Hens\nA hen lays an egg a day.\n")
    command = [
        sys.executable,
        "-c",
        RUN,
        "--bind",
        "127.0.0.1:0",
        "--documents",
        str(tmp_path),
        "--stock",
        "--ears",
        "1",
    ]
    with trio.fail_after(40):
        async with trio.open_nursery() as nursery:
            process = await trio.lowlevel.open_process(
                command, stderr=subprocess.PIPE, env={"XDG_CACHE_HOME": str(tmp_path), "PATH": "", "COLUMNS": "200"}
            )
            try:
                url = await _address(process)
                link = await open_link(nursery, url)
                assert "session.created" in await link.receive()
                await link.aclose()
                process.send_signal(signal.SIGTERM)
                assert await process.wait() == 0
            finally:
                process.kill()
                assert process.stderr is not None
                await process.stderr.aclose()
            nursery.cancel_scope.cancel()


async def _address(process: trio.Process) -> str:
    said = b""
    assert process.stderr is not None
    while (found := re.search(rb"at (ws://\S+)\n", said)) is None:
        data = await process.stderr.receive_some()
        assert data, said
        said += data
    return found[1].decode()


@pytest.mark.parametrize("bind", ["8766", "localhost", "127.0.0.1:99999", "::1:80"])
def test_an_address_that_is_none_is_refused_in_one_line(bind: str) -> None:
    result = CliRunner().invoke(embedded, ["--bind", bind])
    assert result.exit_code == 1
    assert result.output.startswith("Error: --bind: must be HOST:PORT")
    assert result.output.count("\n") == 1
