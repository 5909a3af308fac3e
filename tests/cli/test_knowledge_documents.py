"""`voice-trio knowledge list`, `delete`, `clear` and `import --prune`: what is in a base, and out of it for good."""

from __future__ import annotations

import errno
import json
import os
import stat
from typing import TYPE_CHECKING

import pytest
from click.testing import CliRunner, Result

from voice_trio.cli.demo.base import demo_knowledge_path, speech_folder
from voice_trio.cli.knowledge import knowledge
from voice_trio.demo import handbook_folder
from voice_trio.knowledge.sqlite.base import Chunk, KnowledgeWriter, default_knowledge_path

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def base(tmp_path: Path) -> Path:
    return tmp_path / "data" / "base.sqlite3"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder of two documents."""
    place = tmp_path / "docs"
    place.mkdir()
    (place / "hens.md").write_text("# Hens\nHens drink water from zanzibar.\n")
    (place / "ducks.md").write_text("# Ducks\nDucks swim.\n")
    return place


@pytest.fixture
def run(base: Path) -> Callable[..., Result]:
    """Runs a command on a base of its own."""

    def run(*arguments: str | Path, **how: str) -> Result:
        return CliRunner().invoke(knowledge, [str(a) for a in arguments], env={"KNOWLEDGE_PATH": str(base)}, **how)  # type: ignore[arg-type] # input

    return run


def listed(run: Callable[..., Result], *options: str) -> dict[str, dict[str, object]]:
    """The documents of the base by the names of their files."""
    documents = json.loads(run("list", "--json", *options).stdout)["documents"]
    return {os.path.basename(each["path"]): each for each in documents}


def files_of(base: Path) -> bytes:
    """The bytes of the base and of whatever else is beside it."""
    return b"".join(path.read_bytes() for path in sorted(base.parent.iterdir()))


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


def test_prune_deletes_what_is_gone_from_this_folder_only_F49(
    run: Callable[..., Result], folder: Path, tmp_path: Path
) -> None:
    for place in ("docs2", "other"):
        (tmp_path / place).mkdir()
        (tmp_path / place / f"{place}.md").write_text("Geese graze.")
    run("import", folder, tmp_path / "docs2", tmp_path / "other")
    for gone in (folder / "hens.md", tmp_path / "docs2" / "docs2.md", tmp_path / "other" / "other.md"):
        gone.unlink()
    (folder / "new.md").write_text("Quail are small.")
    assert "The files of 1 document with 1 passage are gone from there; --prune deletes" in run("import", folder).output
    (folder / "newer.md").write_text("Turkeys are large.")
    dry = run("import", folder, "--prune", "--dry-run")
    assert "would delete" in dry.output
    assert "hens.md" in dry.output
    assert set(listed(run)) == {"new.md", "hens.md", "ducks.md", "docs2.md", "other.md"}
    done = run("import", folder, "--prune")
    assert done.exit_code == 0
    assert "1 imported (1 passage), 2 unchanged" in done.output
    assert "1 document with 1 passage deleted" in done.output
    assert set(listed(run)) == {"new.md", "newer.md", "ducks.md", "docs2.md", "other.md"}


def test_prune_asks_before_it_empties_a_folder_F49(run: Callable[..., Result], folder: Path, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "quail.md").write_text("Quail are small.")
    run("import", folder, tmp_path / "other")
    for path in folder.iterdir():
        path.unlink()
    refused = run("import", folder, tmp_path / "other", "--prune", input="n\n")  # perhaps a disk is not mounted
    assert refused.exit_code == 1
    assert f"No file of them is left in {folder}. Delete all 2 documents" in refused.output
    assert len(listed(run)) == 3
    assert run("import", folder, tmp_path / "other", "--prune", "--yes").exit_code == 0
    assert set(listed(run)) == {"quail.md"}


def test_prune_keeps_a_document_whose_file_cannot_be_read_now_F49(run: Callable[..., Result], folder: Path) -> None:
    run("import", folder)
    (folder / "hens.md").write_bytes(b"caf\xe9")
    result = run("import", folder, "--prune")
    assert result.exit_code == 1
    assert set(listed(run)) == {"hens.md", "ducks.md"}


@pytest.mark.parametrize("place", ["docs", "docs/sub"])
def test_prune_keeps_what_is_in_a_folder_that_cannot_be_listed_F49(
    run: Callable[..., Result], folder: Path, place: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "quail.md").write_text("Quail are small.")
    run("import", folder)
    (folder / "hens.md").unlink()
    list_folder = os.scandir

    def refused(path: str | Path) -> Iterator[os.DirEntry[str]]:
        if os.fspath(path) == str(folder.parent / place):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        return list_folder(path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "scandir", refused)
        result = run("import", folder, "--prune", "--yes")
    assert result.exit_code == 1
    assert "this folder cannot be listed: Permission denied" in result.output
    assert set(listed(run)) == {"quail.md", "ducks.md", *(["hens.md"] if place == "docs" else [])}


def test_prune_keeps_what_was_imported_by_its_own_name_F49(
    run: Callable[..., Result], folder: Path, tmp_path: Path
) -> None:
    for place in (folder / ".drafts", tmp_path / "elsewhere"):
        place.mkdir()
        (place / f"{place.name.strip('.')}.md").write_text("Quail are small.")
    (folder / "more").symlink_to(tmp_path / "elsewhere")
    run("import", folder, folder / ".drafts", folder / "more")
    (folder / "hens.md").unlink()
    run("import", folder, "--prune", "--yes")
    assert set(listed(run)) == {"ducks.md", "drafts.md", "elsewhere.md"}
    (tmp_path / "elsewhere" / "elsewhere.md").unlink()
    run("import", folder, "--prune", "--yes")
    assert set(listed(run)) == {"ducks.md", "drafts.md"}


def test_a_folder_that_cannot_be_entered_ends_no_import_F41(
    run: Callable[..., Result], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "quail.md").write_text("Quail are small.")
    run("import", folder)
    (folder / "sub" / "new.md").write_text("Geese graze.")
    look_at, open_file = os.lstat, os.open

    def refuse(path: str | Path) -> None:
        if "sub/" in os.fspath(path):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))

    def looked_at(path: str | Path, *, dir_fd: int | None = None) -> os.stat_result:
        refuse(path)
        return look_at(path, dir_fd=dir_fd)

    def opened(path: str | Path, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        refuse(path)
        return open_file(path, flags, mode, dir_fd=dir_fd)

    def stated(path: Path, *, follow_symlinks: bool = True) -> os.stat_result:
        refuse(path)
        return os.stat(path, follow_symlinks=follow_symlinks)

    with monkeypatch.context() as patch:  # root may enter any folder
        patch.setattr(os, "lstat", looked_at)
        patch.setattr(os, "open", opened)
        patch.setattr("pathlib.Path.stat", stated)
        result = run("import", folder, "--prune", "--yes")
    assert result.exit_code == 1
    assert result.output.replace("\n", "").count(".md: Permission denied") == 2
    assert set(listed(run)) == {"hens.md", "ducks.md", "quail.md"}


def test_prune_needs_a_folder_F49(run: Callable[..., Result], folder: Path) -> None:
    assert run("import", folder / "hens.md", "--prune").exit_code == 2
    assert run("import", folder, "--dry-run").exit_code == 2


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


def test_what_an_earlier_version_followed_is_pruned_F47(run: Callable[..., Result], folder: Path, base: Path) -> None:
    with KnowledgeWriter(base) as writer:
        writer.import_chunks(str(folder / "plan.md"), "1", [Chunk("Plan", "The password is swordfish.", "plan.md")])
    (folder / "plan.md").symlink_to("/etc/hostname")
    assert run("import", folder, "--prune").exit_code == 1
    assert set(listed(run)) == {"hens.md", "ducks.md"}
    assert b"swordfish" not in files_of(base)


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
