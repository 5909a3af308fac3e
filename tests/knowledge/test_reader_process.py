"""Whatever a file does to its reader, it is that file's affair: it is named with a reason, and the import goes on."""

from __future__ import annotations

import os
import sys
import time
import zipfile
from io import BytesIO
from typing import TYPE_CHECKING

import pytest

from tests.support.documents import pdf, write
from voice_trio.errors import UnreadableDocument
from voice_trio.knowledge.importing.documents import ImportStatus, import_documents
from voice_trio.knowledge.importing.found_files import find_files
from voice_trio.knowledge.importing.messages import ReadRequest
from voice_trio.knowledge.importing.reader_process import ReaderBounds, ReaderProcess
from voice_trio.knowledge.sqlite.base import KnowledgeWriter

if TYPE_CHECKING:
    from pathlib import Path

    from voice_trio.knowledge.importing.documents import ImportResult

BOUNDS = ReaderBounds(silence_seconds=1.5, memory_bytes=128_000_000)

# What a reader process may do instead of its work.
MISBEHAVIOUR = {
    "crashes": ("os.kill(os.getpid(), signal.SIGSEGV)", "its reader crashed (SIGSEGV)"),
    "is killed": ("os.kill(os.getpid(), signal.SIGKILL)", "its reader was killed, perhaps for want of memory"),
    "leaves": ("os._exit(3)", "its reader ended with exit code 3"),
    "stands still": ("time.sleep(600)", "its reader stood still for 0.3 s"),
    "says nonsense": ("os.write(0, bytes(4) + b'hens')", "its reader ended with exit code 0"),
    "says too much": ("os.write(0, b'\\xff' * 4)", "its reader ended with exit code 0"),
}


def run(folder: Path, base: Path) -> dict[str, ImportResult]:
    with KnowledgeWriter(base) as writer:
        results = import_documents(find_files([folder]).documents, writer, bounds=BOUNDS)
        return {os.fsencode(each.path).decode("utf-8", "backslashreplace").rsplit("/", 1)[1]: each for each in results}


def read(process: ReaderProcess, path: Path, cpu_seconds: int = 10) -> list[str]:
    request = ReadRequest(path.name, path.stem, path.suffix, path.stat().st_size, cpu_seconds)
    with path.open("rb") as file:
        return [chunk.text for chunk in process.read(file.fileno(), request, lambda _: None)]


@pytest.mark.parametrize(("deed", "problem"), MISBEHAVIOUR.values(), ids=list(MISBEHAVIOUR))
def test_a_reader_that_breaks_down_is_named_with_a_reason_F40(tmp_path: Path, deed: str, problem: str) -> None:
    code = f"import os, signal, socket, time; socket.recv_fds(socket.socket(fileno=os.dup(0)), 100, 1); {deed}"
    path = write(tmp_path / "a.txt", "Hens.")
    bounds = ReaderBounds(silence_seconds=0.3)
    with ReaderProcess(bounds, (sys.executable, "-S", "-c", code)) as process, pytest.raises(UnreadableDocument) as why:
        read(process, path)
    assert str(why.value) == problem


def test_a_process_is_kept_after_a_file_and_replaced_after_it_was_broken_F40(tmp_path: Path) -> None:
    path = write(tmp_path / "a.txt", "Hens drink water.")
    with ReaderProcess() as process:
        assert read(process, path) == ["Hens drink water."]
        first = process.identity
        assert read(process, path) == ["Hens drink water."]
        assert process.identity == first
        assert first is not None
        os.kill(first, 9)
        os.waitid(os.P_PID, first, os.WEXITED | os.WNOWAIT)
        assert read(process, path) == ["Hens drink water."]
        assert process.identity != first


def test_what_the_reader_sends_after_its_file_was_given_up_is_never_taken_for_another_file(tmp_path: Path) -> None:
    long = write(tmp_path / "long.txt", "Hens drink water. " * 50_000)
    short = write(tmp_path / "short.txt", "Ducks swim.")
    with ReaderProcess() as process:
        request = ReadRequest(long.name, long.stem, long.suffix, long.stat().st_size, cpu_seconds=10)
        with long.open("rb") as file:
            chunks = process.read(file.fileno(), request, lambda _: None)
            assert next(chunks).text.startswith("Hens")
            del chunks
        assert read(process, short) == ["Ducks swim."]


def test_a_folder_of_hostile_files_is_imported_but_for_those_F40_F42(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    bomb = BytesIO()
    with zipfile.ZipFile(bomb, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types>" + " " * 100_000_000)
    write(folder / "a bomb.docx", bomb.getvalue())
    with zipfile.ZipFile(folder / "a tree.docx", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", "<Types>" + "<a/>" * 2_000_000)
    write(folder / "attributes.html", "<p" + "".join(f" a{n}=1" for n in range(30_000)) + ">Hens.")
    write(folder / "brackets.html", "<a" * 500_000 + ">Hens peck.</a>")
    write(folder / "deep.json", "[" * 1_000_000)
    write(folder / "good.pdf", pdf("Ducks swim."))
    write(folder / "good.txt", "Hens drink water.")
    began = time.monotonic()
    results = run(folder, tmp_path / "base.sqlite")
    assert time.monotonic() - began < 20
    problems = {name: result.problem for name, result in results.items() if result.problem}
    assert problems["a bomb.docx"] == problems["a tree.docx"] == "needs more than 128 MB of memory"
    assert problems["attributes.html"] == "its reader stood still for 1.5 s"
    assert problems["deep.json"] == "not JSON that can be read: nested too deeply"
    assert {"brackets.html", "good.pdf", "good.txt"}.isdisjoint(problems)


def test_a_file_that_computes_for_too_long_is_named_F42(tmp_path: Path) -> None:
    page = write(tmp_path / "a.html", "<p" + "".join(f" a{n}=1" for n in range(30_000)) + ">Hens.")
    with ReaderProcess() as process, pytest.raises(UnreadableDocument, match="takes too long to read"):
        read(process, page, cpu_seconds=0)


def test_more_text_than_a_file_of_its_size_may_give_is_refused_F42(tmp_path: Path) -> None:
    cells = "".join(f"<td>{n}</td>" for n in range(90))
    rows = "<tr>" + "".join("<td rowspan=100 colspan=100>" + "Hens" * 50 + "</td>" for _ in range(9)) + "</tr>"
    page = f"<table>{rows}{'<tr><td>x</td></tr>' * 99}{cells}</table>" * 3
    with (
        ReaderProcess(ReaderBounds(text_bytes=1_000)) as process,
        pytest.raises(UnreadableDocument, match="MB of text"),
    ):
        read(process, write(tmp_path / "a.html", page))


def test_a_file_whose_name_is_not_utf8_is_imported_under_a_name_that_can_be_printed_F41(tmp_path: Path) -> None:
    folder = tmp_path / "documents"
    folder.mkdir()
    with open(os.fsencode(folder) + b"/\xe9t\xe9.md", "wb") as file:
        file.write(b"# Hens\nHens drink water.")
    with open(os.fsencode(folder) + b"/\xe9t\xe9.pdf", "wb") as file:
        file.write(b"nothing")
    write(folder / "good.txt", "Ducks swim.")
    results = run(folder, tmp_path / "base.sqlite")
    assert [result.status for result in results.values()] == [
        ImportStatus.IMPORTED,
        ImportStatus.IMPORTED,
        ImportStatus.UNREADABLE,
    ]
    again = run(folder, tmp_path / "base.sqlite")
    assert [result.status for result in again.values()].count(ImportStatus.UNCHANGED) == 2


@pytest.mark.parametrize(
    "deed", ["socket.socket()", "open('/tmp/x', 'w')", "os.system('true')", "subprocess.run(['true'])", "os.fork()"]
)
def test_a_reader_process_neither_writes_nor_opens_sockets_nor_starts_programs(deed: str) -> None:
    import subprocess

    code = (
        "import os, socket, subprocess, sys\n"
        "from voice_trio.knowledge.importing import worker\n"
        f"sys.addaudithook(worker.refuse)\ntry:\n    {deed}\nexcept PermissionError:\n    sys.exit(7)"
    )
    done = subprocess.run([sys.executable, "-c", code], check=False, env={"PYTHONPATH": os.pathsep.join(sys.path)})
    assert done.returncode == 7


def test_a_reader_process_has_no_secrets_in_its_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    with ReaderProcess() as process:
        read(process, write(tmp_path / "a.txt", "Hens."))
        with open(f"/proc/{process.identity}/environ", "rb") as environment:
            assert b"secret" not in environment.read()


def test_no_process_is_left_behind(tmp_path: Path) -> None:
    write(tmp_path / "documents" / "a.txt", "Hens.")
    with ReaderProcess() as process:
        read(process, tmp_path / "documents" / "a.txt")
        identity = process.identity
    assert identity is not None
    with pytest.raises(ProcessLookupError):
        os.kill(identity, 0)
