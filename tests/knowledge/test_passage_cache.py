"""Passages kept at hand: found by words, bounded, never too old, never those of another collection; also in a file."""

from __future__ import annotations

import os
import sqlite3
import stat
import threading
import time
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING

import pytest

from voice_trio import limits
from voice_trio.conversation.retrieval.passage import Passage
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.passage_cache.cache import PassageCache
from voice_trio.knowledge.passage_cache.file import PassageCacheFile, passage_cache_path

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

LIGHT = Passage("2", "Light", "Layers need 16 hours of light.", "handbook")
WATER = Passage("3", "Water", "Ducks need deep water.", "handbook")


@pytest.fixture(params=["memory", "file"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[..., PassageCache]:
    """Makes an index, in memory or in a file; the same file each time."""
    if request.param == "memory":
        return PassageCache
    return partial(in_file, tmp_path)


def in_file(folder: Path, *args: float, name: str = "mine", **how: float) -> PassageCache:
    return PassageCache(*args, file=PassageCacheFile(passage_cache_path(folder / "knowledge.sqlite3", name)), **how)  # type: ignore[arg-type] # bounds


def ids(kept: PassageCache, query: str, now: float = 0.0) -> list[str]:
    return [passage.id for passage in kept.search(query, 5, now)]


def test_a_kept_passage_is_found_with_all_that_is_known_of_it(make: Callable[..., PassageCache]) -> None:
    kept = make()
    kept.put([LIGHT, WATER], 0.0)
    (found,) = kept.search("how much light", 5, 0.0)
    assert (found.id, found.title, found.text, found.source) == ("2", LIGHT.title, LIGHT.text, "handbook")
    assert found.score > 0


def test_a_passage_seen_again_is_held_once_and_a_changed_one_is_replaced(make: Callable[..., PassageCache]) -> None:
    kept = make()
    kept.put([LIGHT, LIGHT], 0.0)
    kept.put([Passage("2", "Light", "Layers need 14 hours of lamps.", "handbook")], 1.0)
    assert len(kept) == 1
    assert ids(kept, "16 hours") == ids(kept, "lamps") == ["2"]
    assert "14 hours" in kept.search("lamps", 1, 1.0)[0].text


def test_a_passage_not_seen_for_too_long_is_neither_given_nor_held(make: Callable[..., PassageCache]) -> None:
    kept = make(age_seconds_max=100.0)
    kept.put([LIGHT], 0.0)
    assert ids(kept, "light", 100.0) == ["2"]
    assert ids(kept, "light", 100.1) == []
    kept.put([WATER], 100.2)
    assert len(kept) == 1


def test_the_least_used_go_first(make: Callable[..., PassageCache]) -> None:
    kept = make(passages_max=2)
    kept.put([LIGHT], 0.0)
    kept.put([WATER], 1.0)
    assert ids(kept, "light", 2.0) == ["2"]
    kept.put([Passage("4", "Feed", "Grit and grain.", "handbook")], 3.0)
    assert ids(kept, "water", 4.0) == []
    assert ids(kept, "light", 4.0) == ["2"]
    assert len(kept) == 2


def test_two_collections_never_meet() -> None:
    one, other = PassageCache(), PassageCache()
    one.put([LIGHT], 0.0)
    assert ids(other, "light") == []


def test_any_text_is_a_safe_query(make: Callable[..., PassageCache]) -> None:
    kept = make()
    kept.put([WATER], 0.0)
    for query in ('"', "water AND NOT (", "' OR 1=1 --", "water\x00", "", "鸡", "water " * 5_000):
        kept.search(query, 5, 0.0)
    assert ids(kept, 'water" OR title : "x') == ["3"]


def test_a_full_index_answers_within_milliseconds(make: Callable[..., PassageCache]) -> None:
    kept = make()
    words = [f"word{number}" for number in range(400)]
    kept.put(
        [
            Passage(str(n), f"Title {n}", " ".join(words[(n * 7 + k * 3) % 400] for k in range(120)), "x")
            for n in range(5_000)
        ],
        0.0,
    )
    began = time.perf_counter()
    for n in range(20):
        kept.search(f"word{n} word{n + 9} word{n + 50} word{n + 80}", 5, 0.0)
    assert (time.perf_counter() - began) / 20 < 0.05  # some 5 ms when the machine is ours alone


# Checked against the store


def test_what_the_store_has_no_more_is_gone_what_it_changed_is_changed_and_the_rest_is_believed_again(
    make: Callable[..., PassageCache],
) -> None:
    kept = make()
    kept.put([LIGHT, WATER, Passage("4", "Feed", "Grit and grain.", "handbook")], 0.0)
    assert set(kept.unseen_since(600.0, 5)) == {"2", "3", "4"}
    kept.confirm(["2", "3", "4"], [LIGHT, Passage("4", "Feed", "Grit only.", "handbook")], 700.0)
    assert kept.unseen_since(700.0, 5) == ()
    assert ids(kept, "water deep", 700.0) == []
    assert [passage.text for passage in kept.search("grit", 5, 700.0)] == ["Grit only."]


def test_being_checked_is_not_being_used(make: Callable[..., PassageCache]) -> None:
    kept = make(passages_max=2)
    kept.put([LIGHT], 0.0)
    kept.put([WATER], 1.0)
    assert ids(kept, "light", 2.0) == ["2"]
    kept.confirm(["3"], [WATER], 3.0)
    kept.put([Passage("4", "Feed", "Grit and grain.", "handbook")], 4.0)
    assert ids(kept, "light", 5.0) == ["2"]
    assert ids(kept, "water", 5.0) == []


def test_the_longest_unseen_are_asked_for_first_and_never_too_many_at_once(make: Callable[..., PassageCache]) -> None:
    kept = make()
    for number in range(10):
        kept.put([Passage(str(number), "T", f"word{number}", "s")], 10.0 - number)
    assert kept.unseen_since(8.0, 3) == ("9", "8", "7")


def test_what_was_kept_by_a_clock_that_has_gone_back_is_neither_given_nor_held(
    make: Callable[..., PassageCache],
) -> None:
    kept = make(age_seconds_max=100.0)
    kept.put([LIGHT], 1_000_000.0)
    assert ids(kept, "light", 0.0) == []
    kept.put([WATER], 0.0)
    assert len(kept) == 1


# In a file


def test_what_is_kept_outlives_the_process_and_no_longer_than_its_time(tmp_path: Path) -> None:
    first = in_file(tmp_path, age_seconds_max=1000.0)
    first.put([LIGHT, WATER], 0.0)
    first.close()
    again = in_file(tmp_path, age_seconds_max=1000.0)
    assert ids(again, "light", 900.0) == ["2"]
    assert ids(again, "light", 1001.0) == []


def test_two_keys_never_meet_whatever_part_of_the_store_they_differ_in(tmp_path: Path) -> None:
    base = tmp_path / "knowledge.sqlite3"
    paths = {
        passage_cache_path(base, *whose)
        for whose in (
            ("url", "Document", None),
            ("url", "Document", "key"),
            ("url", "Other", "key"),
            ("urlD", "ocument", "key"),
        )
    }
    assert len(paths) == 4
    assert not any("key" in path.name.split("kept-")[1] for path in paths)
    one, other = in_file(tmp_path, name="one"), in_file(tmp_path, name="other")
    one.put([LIGHT], 0.0)
    other.put([WATER], 0.0)
    assert (ids(one, "light"), ids(other, "light")) == (["2"], [])


def test_nothing_is_written_before_something_is_kept(tmp_path: Path) -> None:
    kept = in_file(tmp_path / "later")
    assert ids(kept, "light") == []
    assert kept.unseen_since(1.0, 5) == ()
    assert len(kept) == 0
    assert list(tmp_path.iterdir()) == []


def test_only_its_owner_may_read_the_file(tmp_path: Path) -> None:
    in_file(tmp_path).put([LIGHT], 0.0)
    assert {stat.S_IMODE(file.stat().st_mode) for file in tmp_path.iterdir()} == {0o600}


@pytest.mark.parametrize(
    "content", [b"", b"not a database", b"SQLite format 3\0" + bytes(4096)], ids=["empty", "text", "torn"]
)
def test_a_file_that_cannot_be_read_is_begun_anew(tmp_path: Path, content: bytes) -> None:
    passage_cache_path(tmp_path / "knowledge.sqlite3", "mine").write_bytes(content)
    kept = in_file(tmp_path)
    kept.put([LIGHT], 0.0)
    kept.close()
    assert ids(in_file(tmp_path), "light") == ["2"]


def test_a_file_of_another_layout_is_begun_anew(tmp_path: Path) -> None:
    with sqlite3.connect(passage_cache_path(tmp_path / "knowledge.sqlite3", "mine")) as connection:
        connection.execute("PRAGMA user_version = 99")
    connection.close()
    kept = in_file(tmp_path)
    kept.put([LIGHT], 0.0)
    assert ids(kept, "light") == ["2"]


def test_a_file_that_is_damaged_while_it_is_used_costs_what_was_kept_and_nothing_else(tmp_path: Path) -> None:
    kept = in_file(tmp_path)
    kept.put([Passage(str(n), "T", f"word{n} " * 200, "s") for n in range(300)], 0.0)
    kept.close()
    path = passage_cache_path(tmp_path / "knowledge.sqlite3", "mine")
    content = path.read_bytes()
    path.write_bytes(content[:4096] + bytes(len(content) - 4096))
    with pytest.raises(KnowledgeUnavailable):
        kept.search(" ".join(f"word{n}" for n in range(300)), 5, 0.0)
    kept.put([LIGHT], 0.0)
    assert ids(kept, "light") == ["2"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_where_nothing_can_be_written_memory_does(tmp_path: Path) -> None:
    (tmp_path / "closed").mkdir(mode=0o500)
    _memory_does(tmp_path / "closed")


def test_where_the_folder_is_a_file_memory_does(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    _memory_does(tmp_path / "file")


def test_where_a_folder_lies_in_its_place_memory_does(tmp_path: Path) -> None:
    passage_cache_path(tmp_path / "knowledge.sqlite3", "mine").mkdir()
    _memory_does(tmp_path)


def _memory_does(folder: Path) -> None:
    kept = in_file(folder)
    kept.put([LIGHT], 0.0)
    assert ids(kept, "light") == ["2"]


def test_files_of_keys_that_nobody_uses_any_more_are_deleted(tmp_path: Path) -> None:
    old, new = in_file(tmp_path, name="old"), in_file(tmp_path, name="new")
    for kept in (old, new):
        kept.put([LIGHT], 0.0)
        kept.close()
    (tmp_path / "knowledge.sqlite3").write_text("the base itself")
    long_ago = time.time() - limits.PASSAGE_ORPHAN_SECONDS - 10
    for file in tmp_path.iterdir():
        if file.name != passage_cache_path(tmp_path / "knowledge.sqlite3", "new").name:
            os.utime(file, (long_ago, long_ago))
    in_file(tmp_path, name="mine").put([LIGHT], 0.0)
    held = {file.name for file in tmp_path.iterdir() if not file.name.endswith(("-wal", "-shm"))}
    assert held == {"knowledge.sqlite3"} | {
        passage_cache_path(tmp_path / "knowledge.sqlite3", name).name for name in ("new", "mine")
    }


def test_processes_share_a_file_and_none_sees_half_of_what_another_keeps(tmp_path: Path) -> None:
    workers = [in_file(tmp_path, passages_max=200) for _ in range(3)]
    faults: list[str] = []

    def work(number: int) -> None:
        kept = workers[number]
        for turn in range(60):
            try:
                kept.put(
                    [Passage(f"{number}-{turn}-{n}", "T", f"hens worker{number}", "s") for n in range(5)], float(turn)
                )
                found = kept.search("hens", 20, float(turn))
                faults.extend(passage.text for passage in found if not passage.text.startswith("hens"))
            except KnowledgeUnavailable as error:
                if "locked" not in str(error):
                    faults.append(str(error))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert faults == []
    workers[0].put([LIGHT], 60.0)
    assert len(workers[0]) == 200
    assert ids(workers[1], "light", 60.0) == ["2"]
    for kept in workers:
        kept.close()
    with sqlite3.connect(passage_cache_path(tmp_path / "knowledge.sqlite3", "mine")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("SELECT count(*) FROM terms").fetchone() == (200,)
    connection.close()


def test_a_worker_that_finds_the_damage_late_leaves_the_file_that_another_has_begun(tmp_path: Path) -> None:
    path = passage_cache_path(tmp_path / "knowledge.sqlite3", "mine")
    files = [PassageCacheFile(path), PassageCacheFile(path)]
    for file in files:
        file.for_writing()
    first, late = (PassageCache(file=file) for file in files)
    files[0].recreate()
    first.put([LIGHT], 0.0)
    files[1].recreate()
    assert ids(late, "light") == ["2"]
    late.put([WATER], 0.0)
    assert (ids(first, "water"), ids(in_file(tmp_path), "water")) == (["3"], ["3"])


@pytest.mark.parametrize("use", ["keep", "search"])
def test_a_file_that_another_worker_has_begun_anew_is_the_one_that_is_used(tmp_path: Path, use: str) -> None:
    path = passage_cache_path(tmp_path / "knowledge.sqlite3", "mine")
    file = PassageCacheFile(path)
    worker, idle = PassageCache(file=file), in_file(tmp_path)
    idle.put([Passage("4", "Feed", "Grit and grain.", "handbook")], 0.0)
    file.recreate()  # it has opened none: nothing of it lies there
    assert ids(worker, "grit") == ["4"]
    file.recreate()
    worker.put([LIGHT], 0.0)
    if use == "keep":
        idle.put([WATER], 0.0)
        assert ids(in_file(tmp_path), "water") == ["3"]
    assert (ids(idle, "light"), ids(idle, "grit")) == (["2"], [])
    with sqlite3.connect(path) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    connection.close()


def test_workers_that_start_together_on_a_damaged_file_end_up_in_one(tmp_path: Path) -> None:
    passage_cache_path(tmp_path / "knowledge.sqlite3", "mine").write_bytes(b"not a database" * 100)
    workers = [in_file(tmp_path) for _ in range(4)]
    together = threading.Barrier(4)

    def start(number: int) -> None:
        together.wait(5)
        with suppress(KnowledgeUnavailable):  # locked, or begun anew under it
            workers[number].put([Passage(f"first-{number}", "T", "hens", "s")], 0.0)

    threads = [threading.Thread(target=start, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for number, worker in enumerate(workers):
        worker.put([Passage(str(number), "T", "ducks", "s")], 0.0)
    for worker in [*workers, in_file(tmp_path)]:
        assert set(ids(worker, "ducks")) == {"0", "1", "2", "3"}


@pytest.mark.parametrize("is_laid_out", [True, False], ids=["in use", "just begun"])
def test_a_file_that_is_locked_at_the_start_costs_one_result_and_not_the_file(
    tmp_path: Path, is_laid_out: bool
) -> None:
    if is_laid_out:
        in_file(tmp_path).put([LIGHT], 0.0)
    other = sqlite3.connect(passage_cache_path(tmp_path / "knowledge.sqlite3", "mine"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    kept = in_file(tmp_path)
    with pytest.raises(KnowledgeUnavailable, match="locked"):
        kept.put([LIGHT], 0.0)
    other.execute("ROLLBACK")
    other.close()
    kept.put([WATER], 0.0)
    kept.close()
    assert ids(in_file(tmp_path), "water") == ["3"]


def test_other_files_that_vanish_or_cannot_be_deleted_cost_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = tmp_path / "knowledge.sqlite3"
    vanishing, stubborn = passage_cache_path(base, "vanishing"), passage_cache_path(base, "stubborn")
    vanishing.write_bytes(b"")
    stubborn.mkdir()
    os.utime(stubborn, (0, 0))
    unix_time = time.time

    def another_worker_is_faster() -> float:
        vanishing.unlink(missing_ok=True)
        return unix_time()

    kept = in_file(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(time, "time", another_worker_is_faster)  # asked between seeing a file and its age
        kept.put([LIGHT], 0.0)
    kept.close()
    assert not vanishing.exists()
    assert ids(in_file(tmp_path), "light") == ["2"]


@pytest.mark.parametrize("how", ["confirmed as deleted", "confirmed as changed", "returned changed", "forgotten"])
def test_a_passage_that_the_store_deleted_or_changed_leaves_no_word_F49(tmp_path: Path, how: str) -> None:
    kept = in_file(tmp_path)
    secret = Passage("9", "Zanzibar", "Zanzibar is far.", "zanzibar.md")
    changed = Passage("9", "Islands", "Islands are far.", "islands.md")
    kept.put([LIGHT, secret], 0.0)
    match how:
        case "confirmed as deleted":
            kept.confirm(["9"], [], 1.0)
        case "confirmed as changed":
            kept.confirm(["9"], [changed], 1.0)
        case "returned changed":
            kept.put([changed], 1.0)
        case _:
            kept.forget(["9", "unknown"])
    assert b"zanzibar" not in b"".join(path.read_bytes().lower() for path in tmp_path.iterdir())
    assert ids(kept, "hours of light", 1.0) == ["2"]
    kept.close()
