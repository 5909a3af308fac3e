"""The secret that the demo keeps: the same after a restart, for its owner only."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import trio
from click.testing import CliRunner

from tests.support.deployment import fill_knowledge
from voice_trio.cli.demo import command
from voice_trio.demo.kept_secret import kept_secret

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    import pytest


def test_a_restarted_demo_signs_with_the_secret_of_the_first_F35(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    used: list[str] = []

    async def serve(listener: socket.socket, defaults: dict[str, str], *_how: object) -> int:
        await trio.lowlevel.checkpoint()
        listener.close()
        used.append(defaults["JWT_SECRET"])
        return 0

    fill_knowledge(tmp_path / "knowledge.sqlite3")
    monkeypatch.setattr(command, "_serve", serve)
    environ = {"KNOWLEDGE_PATH": str(tmp_path / "knowledge.sqlite3"), "JWT_SECRET": None}
    for _ in range(2):
        ran = CliRunner().invoke(command.demo, ["--bind", "127.0.0.1:0"], env=environ)
        assert ran.exit_code == 0, ran.output
    assert used[0] == used[1]
    kept = tmp_path / command.SECRET_FILE
    assert used[0] == kept.read_text()
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600


def test_a_secret_that_others_could_have_read_or_written_is_replaced_F35(tmp_path: Path) -> None:
    path, target = tmp_path / "secret", tmp_path / "elsewhere"
    first = kept_secret(path)
    assert kept_secret(path) == first
    path.chmod(0o644)
    second = kept_secret(path)
    assert second != first
    path.write_text("short")
    third = kept_secret(path)
    assert len(third) == 64
    path.rename(target)
    path.symlink_to(target)
    assert kept_secret(path) != third
    assert target.read_text() == third
    assert list(tmp_path.glob("secret.*")) == []


def test_without_a_place_to_keep_it_the_demo_runs_and_says_so_F35(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file" / "secret"
    assert kept_secret(path) != kept_secret(path)
    assert "open pages are signed out when the demo ends" in capsys.readouterr().err
