"""`voice-trio knowledge list`, `delete` and `clear`: what is in a base, and out of it for good."""

from __future__ import annotations

import stat
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from tests.support.knowledge_commands import files_of, listed
from voice_trio.cli.demo.base import demo_knowledge_path, speech_folder
from voice_trio.cli.knowledge import knowledge
from voice_trio.demo import handbook_folder
from voice_trio.knowledge.sqlite.base import Chunk, KnowledgeWriter, default_knowledge_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


def test_the_list_names_each_document_with_a_key_that_stays_F49(run: Callable[..., Result], folder: Path) -> None:
    assert "nothing in" in run("list").stderr
    run("import", folder)
    first = run("list")
    assert first.exit_code == 0
    keys = {name: str(each["key"]) for name, each in listed(run).items()}
    for name, key in keys.items():
        line = next(line for line in first.stdout.splitlines() if line.endswith(name))
        assert line.split()[:2] == [key[:12], "1"]
    assert "2 documents with 2 passages" in first.stderr
    (folder / "hens.md").write_text("# Hens\nHens drink milk.\n")
    run("import", folder)
    assert {name: each["key"] for name, each in listed(run).items()} == keys


@pytest.mark.parametrize("by", ["key", "short key", "path", "relative path"])
def test_a_deleted_document_is_gone_to_the_last_byte_F49(
    run: Callable[..., Result], folder: Path, base: Path, by: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("import", folder)
    monkeypatch.chdir(folder.parent)
    key = str(listed(run)["hens.md"]["key"])
    name = {"key": key, "short key": key[:12], "path": str(folder / "hens.md"), "relative path": "docs/hens.md"}[by]
    assert b"zanzibar" in files_of(base)
    deleted = run("delete", name)
    assert deleted.exit_code == 0, deleted.output
    assert f"deleted {key[:12]}" in deleted.stdout
    assert list(listed(run)) == ["ducks.md"]
    assert "Nothing found" in run("search", "zanzibar").output
    assert b"zanzibar" not in files_of(base)
    assert b"hens.md" not in files_of(base)
    assert "1 imported" in run("import", folder).output


def test_an_unknown_key_is_named_and_nothing_is_deleted_F49(run: Callable[..., Result], folder: Path) -> None:
    run("import", folder)
    key = str(listed(run)["hens.md"]["key"])
    result = run("delete", key, "0123456789ab", folder / "hens")
    assert result.exit_code == 1
    assert "0123456789ab: no such document" in result.output
    assert "hens: no such document" in result.output
    assert len(listed(run)) == 2
    assert run("delete").exit_code == 2


def test_an_empty_name_means_no_document_F49(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("import", folder)
    monkeypatch.chdir(folder)
    refused = run("delete", "--yes", "")
    assert refused.exit_code == 1
    assert "(an empty name): no such document" in refused.output
    assert set(listed(run)) == {"hens.md", "ducks.md"}


def test_what_speech_recognition_has_learned_goes_and_what_is_not_ours_stays_F49(
    run: Callable[..., Result], folder: Path, base: Path
) -> None:
    run("import", folder)
    beside = speech_folder(base)
    for name in ("language-abc", "language-abc.17", "recordings"):
        (beside / name).mkdir(parents=True)
        (beside / name / "words").write_text("zanzibar")
    run("delete", str(folder / "hens.md"))
    assert [path.name for path in beside.iterdir()] == ["recordings"]
    (beside / "recordings" / "words").unlink()
    (beside / "recordings").rmdir()
    run("delete", str(folder / "ducks.md"))
    assert not beside.exists()


def test_a_folder_of_documents_is_deleted_when_asked_F49(run: Callable[..., Result], folder: Path) -> None:
    run("import", folder)
    assert run("delete", folder, input="n\n").exit_code == 1
    assert len(listed(run)) == 2
    assert "2 documents with 2 passages deleted" in run("delete", folder, input="y\n").output
    assert not listed(run)


def test_clear_asks_and_leaves_no_word_F49(run: Callable[..., Result], folder: Path, base: Path) -> None:
    run("import", folder)
    assert run("clear", input="n\n").exit_code == 1
    assert len(listed(run)) == 2
    assert run("clear", "--yes").exit_code == 0
    assert "empty" in run("stats").output
    assert b"zanzibar" not in files_of(base)
    assert "0 documents" in run("clear", "--yes").output


def test_links_out_of_the_folder_are_named_and_not_followed_F47(
    run: Callable[..., Result], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "plan.md").write_text("The password is swordfish.")
    (folder / "plan.md").symlink_to(tmp_path / "secret" / "plan.md")
    (folder / "more").symlink_to(tmp_path / "secret")
    (folder / "same.md").symlink_to(folder / "hens.md")
    (folder / "nowhere.md").symlink_to(folder / "missing")
    result = run("import", folder)
    assert result.exit_code == 1
    flat = result.output.replace("\n", "")
    assert f"plan.md: a symbolic link out of the folder, to {tmp_path / 'secret' / 'plan.md'}" in flat
    assert f"more: a symbolic link out of the folder, to {tmp_path / 'secret'}" in flat
    assert "nowhere.md: a symbolic link to nothing" in flat
    assert set(listed(run)) == {"hens.md", "ducks.md", "same.md"}
    assert "Nothing found" in run("search", "swordfish").output


def mode_of(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_may_read_the_base_and_its_journals_F47(
    run: Callable[..., Result], folder: Path, base: Path
) -> None:
    run("import", folder)
    assert (mode_of(base.parent), mode_of(base)) == (0o700, 0o600)
    base.chmod(0o644)
    with KnowledgeWriter(base) as writer:
        writer.import_chunks("a", "1", [Chunk("A", "text", "a")])
        assert {mode_of(path) for path in base.parent.iterdir()} == {0o600}
    base.chmod(0o644)
    run("search", "hens")
    assert mode_of(base) == 0o600


def test_the_default_folder_is_private_and_one_of_the_user_keeps_its_mode_F47(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    default, own = default_knowledge_path().parent, tmp_path / "own"
    for place in (default, own):
        place.mkdir(mode=0o755)
    for options in ([], ["--path", str(own / "base.sqlite3")]):
        CliRunner().invoke(knowledge, ["import", str(folder), *options], env={"KNOWLEDGE_PATH": None})
    assert (mode_of(default), mode_of(own)) == (0o700, 0o755)
    assert mode_of(own / "base.sqlite3") == 0o600


def test_titles_and_texts_cannot_command_the_terminal_F47(run: Callable[..., Result], folder: Path) -> None:
    (folder / "e\x1b[2Jvil.md").write_text("# Hens \x9b31m\u202e [red]now[/red]\nHens \x1b]0;owned\x07 drink.\n")
    for arguments in (("import", folder), ("list",), ("search", "hens"), ("list", "--json"), ("delete", folder, "-y")):
        output = run(*arguments).output
        assert not set(output) & set("\x1b\x07\x9b\u202e"), arguments


def test_the_demo_has_a_base_of_its_own_F49(tmp_path: Path, base: Path) -> None:
    assert demo_knowledge_path(None) == default_knowledge_path().with_name("demo.sqlite3")
    assert demo_knowledge_path(base) == base.with_name("demo.sqlite3")
    with KnowledgeWriter(base) as writer:
        writer.import_chunks("a", "1", [Chunk("A", "own knowledge", "a")])
    assert demo_knowledge_path(base) == base


def test_documents_are_added_to_the_base_of_the_demo_F49(
    run: Callable[..., Result], folder: Path, base: Path, tmp_path: Path
) -> None:
    run("import", folder, "--demo")
    assert not base.exists()
    assert set(listed(run, "--demo")) == {"hens.md", "ducks.md"}
    assert not listed(run)
    assert run("list", "--demo", "--path", base).exit_code == 2


def test_the_handbook_leaves_a_base_that_once_got_it_F49(run: Callable[..., Result], folder: Path, base: Path) -> None:
    run("import", handbook_folder(), folder)
    assert "36 are the demo's handbook; `knowledge delete --handbook` deletes it" in run("list").stderr
    assert run("delete", "--handbook", "--yes").exit_code == 0
    assert set(listed(run)) == {"hens.md", "ducks.md"}
    assert b"coccidiosis" not in files_of(base).lower()
