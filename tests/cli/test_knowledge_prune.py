"""`voice-trio knowledge import --prune` deletes what is gone from a folder, and nothing else."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import pytest

from tests.support.knowledge_commands import files_of, listed
from voice_trio.knowledge.sqlite.base import Chunk, KnowledgeWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from click.testing import Result


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


def test_what_an_earlier_version_followed_is_pruned_F47(run: Callable[..., Result], folder: Path, base: Path) -> None:
    with KnowledgeWriter(base) as writer:
        writer.import_chunks(str(folder / "plan.md"), "1", [Chunk("Plan", "The password is swordfish.", "plan.md")])
    (folder / "plan.md").symlink_to("/etc/hostname")
    assert run("import", folder, "--prune").exit_code == 1
    assert set(listed(run)) == {"hens.md", "ducks.md"}
    assert b"swordfish" not in files_of(base)
