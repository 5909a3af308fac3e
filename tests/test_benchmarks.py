"""The benchmarks stay usable: each imports without effects and says how to run it; the cheap ones run, briefly."""

from __future__ import annotations

import importlib
import json
import re
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import trio

import benchmarks
from benchmarks import (
    knowledge,
    load,
    load_processes,
    observability,
    relay,
    relay_tables,
    relay_websocket,
    retrieval,
    state,
    written_ahead,
)
from benchmarks.recognition_scores import Search, errors_between
from benchmarks.support import DATA, percentile
from voice_trio.testing import scripted_response

if TYPE_CHECKING:
    from collections.abc import Callable

FOLDER = Path(benchmarks.__file__).parent
MODULES = sorted(path.stem for path in FOLDER.glob("*.py") if path.stem != "__init__")
PROGRAMS = [name for name in MODULES if '\nif __name__ == "__main__":' in (FOLDER / f"{name}.py").read_text("utf-8")]
STARTED_BY_ANOTHER = {"load_processes", "relay_ends", "relay_peers"}


def output_of(main: Callable[[list[str]], int], *arguments: str) -> str:
    with redirect_stdout(StringIO()) as output:
        assert main(list(arguments)) == 0
    return output.getvalue()


@pytest.mark.parametrize("name", MODULES)
def test_importing_a_benchmark_prints_nothing(name: str, capfd: pytest.CaptureFixture[str]) -> None:
    importlib.reload(importlib.import_module(f"benchmarks.{name}"))
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("name", PROGRAMS)
def test_a_benchmark_says_how_to_run_it(name: str) -> None:
    module = importlib.import_module(f"benchmarks.{name}")
    doc = module.__doc__ or ""
    command = f".venv/bin/python -m benchmarks.{name}"
    assert command in doc
    if name not in STARTED_BY_ANOTHER:
        assert "Last measured" in doc
        assert command in (FOLDER / "README.md").read_text("utf-8")
    with redirect_stdout(StringIO()) as printed, pytest.raises(SystemExit, match="0"):
        module.main(["--help"])
    assert command in printed.getvalue()


@pytest.mark.timeout(20)
def test_knowledge_fills_a_base_and_searches_it() -> None:
    assert "20 chunks, 4 documents" in output_of(knowledge.main, "--chunks", "20", "--searches", "10")


@pytest.mark.timeout(20)
def test_state_admits_evenly_and_holds_its_limit_in_a_storm() -> None:
    output = output_of(state.main, "--memory", "--rate", "100", "--seconds", "0.2", "--storm", "20")
    assert "20, granted 20" in output
    assert re.search(r"of 20 attempts at once, granted +5 ", output)


@pytest.mark.timeout(30)
@pytest.mark.usefixtures("redis_is_here")
def test_what_writing_ahead_costs_is_measured() -> None:
    output = output_of(written_ahead.main, "--turns", "2", "--answer-seconds", "2", "--sessions", "2")
    assert re.search(r"calls to Redis, each a write +1\.00", output)


@pytest.mark.timeout(30)
def test_retrieval_measures_every_way(tmp_path: Path) -> None:
    with redirect_stdout(StringIO()):
        retrieval.main(["--turns", "4", "--json", str(tmp_path / "figures.json")])  # so few turns may miss a target
    report = json.loads((tmp_path / "figures.json").read_text())
    assert [figures["turns"] for figures in report["ways"]] == [4] * 6
    assert len(report["in_flight"]) == 6


@pytest.mark.timeout(20)
def test_observers_cost_some_cpu() -> None:
    assert observability.cpu_of_observers(20) > 0
    assert trio.run(observability.cpu_of_tracing, 20) > 0


def test_what_the_load_benchmark_replaces_is_still_there() -> None:
    with load_processes.noise_as_answers():
        assert len(scripted_response.tone(100, 20)) == 20 * 48 * 4 / 3  # type: ignore[attr-defined]  # its import


@pytest.mark.slow
def test_load_is_measured_on_processes_of_its_own() -> None:
    assert output_of(load.main, "capacity", "--sessions", "2", "--seconds", "2", "--warm", "3", "--nice").strip()


@pytest.mark.timeout(60)
def test_every_frame_comes_back_through_a_relay(tmp_path: Path) -> None:
    brief = ["--sessions", "2", "--seconds", "0.5", "--flush-seconds", "0.3", "--settle", "0", "--rounds", "1"]
    figures = tmp_path / "figures.json"
    arguments = ["--peers", "voice", "openai", "splice", "--upstream", "tls", *brief, "--nice", "--no-install"]
    assert "µs a trip" in output_of(relay.main, *arguments, "--json", str(figures))
    rows = json.loads(figures.read_text())["rows"]
    assert [row["peer"] for row in rows] == ["voice", "openai", "splice"]
    for row in rows:
        assert row["came_back"] > 0.5
        assert row["cpu_us_per_trip"] > 0
        assert row["flushes"] == 1


@pytest.mark.parametrize("name", ["nothing", "splice@/nowhere"])
def test_only_relays_that_exist_are_measured(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        relay.main(["--peers", name])
    assert "must be one of voice, openai, splice" in capsys.readouterr().err


def test_ratios_compare_what_was_measured_in_the_same_round() -> None:
    def run(cpu_us: float) -> relay_tables.Run:
        return relay_tables.Run(0.1, cpu_us, 1.0, 2.0, 1.0, 2.0, 10, 1000, 1.0, 0.1, 0)

    ours, splice = relay_tables.Case("voice", "plain", 40), relay_tables.Case("splice", "plain", 40)
    runs = {ours: [run(200), run(50), run(90)], splice: [run(100), run(100), run(100)]}
    assert relay_tables.compared(runs, ours, splice, relay_tables.cpu_ratio) == 0.9


@pytest.mark.parametrize("offset", [0, 3, 45])
def test_the_stub_unmasks_a_part_of_a_message(offset: int) -> None:
    payload, key = bytes(range(100)), b"\x01\x80\x00\xff"
    masked = bytes(byte ^ key[at % 4] for at, byte in enumerate(payload))
    assert relay_websocket.unmasked(masked[offset : offset + 12], key, offset) == payload[offset : offset + 12]


def test_scores_count_word_errors_and_find_the_document() -> None:
    assert errors_between(["how", "warm", "must", "it", "be"], ["how", "warm", "must", "be", "he"]) == 2
    search = Search({"brooding": "The brooder is warm.", "light": "Layers need light."})
    assert search.first({"warm": 1.0}, limit=1) == ["brooding"]


def test_percentiles_are_values_that_were_measured() -> None:
    assert [percentile([3.0, 1.0, 2.0], share) for share in (0.0, 0.5, 0.99)] == [1.0, 2.0, 3.0]


@pytest.mark.parametrize("name", ["held_out_questions", "tuning_questions"])
def test_questions_name_documents_of_the_handbook(name: str) -> None:
    handbook = {path.stem for path in (FOLDER.parent / "voice_trio" / "demo" / "knowledge").glob("*.md")}
    questions = json.loads((DATA / f"{name}.json").read_text("utf-8"))
    assert {asked["document"] for asked in questions} <= handbook
