"""`voice-trio knowledge` as a person meets it: before there is a base, while filling it, and when files are broken."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from voice_trio.cli.knowledge import knowledge
from voice_trio.demo import handbook_folder
from voice_trio.knowledge.sqlite.base import default_knowledge_path
from voice_trio.settings import Retrieval

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "new folder" / "base.sqlite"


def test_before_anything_is_imported_stats_and_search_say_how(run: Callable[..., Result]) -> None:
    stats, search = run("stats"), run("search", "water")
    assert stats.exit_code == 0
    assert "empty" in stats.output
    assert "voice-trio knowledge import" in stats.output
    assert search.exit_code == 1
    assert "voice-trio knowledge import" in search.output


def test_the_handbook_is_imported_found_and_counted(run: Callable[..., Result], base: Path) -> None:
    imported = run("import", handbook_folder())
    assert imported.exit_code == 0, imported.output
    assert "36 imported" in imported.output
    assert "0 unreadable" in imported.output
    found = run("search", "how", "warm", "must", "the", "brooder", "be", "--limit", "2")
    assert found.exit_code == 0
    assert "1. Brooding chicks" in found.output
    assert "voice_trio demo handbook, chapter 1" in found.output
    assert "3. " not in found.output
    stats = run("stats")
    assert "Documents    36" in stats.output
    assert str(base) in stats.output.replace("\n", "")


def test_a_second_import_skips_what_has_not_changed(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Hens drink water.")
    assert "1 imported" in run("import", tmp_path).output
    again = run("import", tmp_path)
    assert again.exit_code == 0
    assert "0 imported (0 passages), 1 unchanged" in again.output


def test_unreadable_files_are_named_and_the_exit_code_is_one(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "good.md").write_text("Hens drink water.")
    (tmp_path / "bad [b]name.txt").write_bytes(b"caf\xe9 au lait")
    result = run("import", tmp_path)
    assert result.exit_code == 1
    assert "bad [b]name.txt: not UTF-8: byte 0xe9" in result.output
    assert "1 imported (1 passage), 0 unchanged, 1 unreadable" in result.output
    assert "Hens drink water." in run("search", "hens").output


def test_an_empty_folder_is_said_to_be_empty(run: Callable[..., Result], tmp_path: Path, base: Path) -> None:
    (tmp_path / "empty").mkdir()
    result = run("import", tmp_path / "empty")
    assert result.exit_code == 0
    assert "No documents found" in result.output
    assert not base.exists()


def test_a_path_that_does_not_exist_is_a_usage_error(run: Callable[..., Result], tmp_path: Path) -> None:
    result = run("import", tmp_path / "nowhere")
    assert result.exit_code == 2
    assert "does not exist" in result.output


def test_the_path_option_wins_over_the_environment(run: Callable[..., Result], tmp_path: Path, base: Path) -> None:
    (tmp_path / "a.md").write_text("Hens drink water.")
    other = tmp_path / "other.sqlite"
    assert run("import", tmp_path / "a.md", "--path", other).exit_code == 0
    assert other.exists()
    assert not base.exists()


def test_a_file_that_is_no_base_is_refused_in_one_line(run: Callable[..., Result], tmp_path: Path, base: Path) -> None:
    base.parent.mkdir()
    base.write_text("precious notes\n" * 100)
    (tmp_path / "a.md").write_text("Hens drink water.")
    for arguments in (("import", tmp_path / "a.md"), ("search", "hens"), ("stats",)):
        result = run(*arguments)
        assert result.exit_code == 1
        assert "Error:" in result.output
        assert "base.sqlite" in result.output
        assert "Traceback" not in result.output
    assert base.read_text().startswith("precious")


def test_a_query_that_finds_nothing_says_so(run: Callable[..., Result], tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Hens drink water.")
    run("import", tmp_path / "a.md")
    result = run("search", "zeppelin")
    assert result.exit_code == 0
    assert "Nothing found" in result.output


def test_found_words_are_highlighted_on_a_terminal(tmp_path: Path) -> None:
    (tmp_path / "a.md").write_text("Les œufs éclosent.")
    environment = {"KNOWLEDGE_PATH": str(tmp_path / "b.sqlite"), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    runner = CliRunner(env=environment)
    runner.invoke(knowledge, ["import", str(tmp_path / "a.md")])
    assert "\x1b[1;32mœufs\x1b[0m" in runner.invoke(knowledge, ["search", "oeuf"], color=True).output


def test_server_and_commands_agree_where_the_base_lies() -> None:
    assert Retrieval.model_fields["knowledge_path"].default == default_knowledge_path()
