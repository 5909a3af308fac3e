"""The script that measures the shape of the code finds what is planted, and its walks run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import voice_trio
from scripts.measure_files import measure_files
from scripts.measure_shape import rows
from scripts.measure_walks import measure_walks

if TYPE_CHECKING:
    from collections.abc import Mapping

FILES = {
    "__init__.py": "",
    "errors.py": "class Trouble(Exception): ...\n",
    "conversation/__init__.py": "",
    "conversation/events.py": "class Started: ...\n",
    "conversation/turn.py": (
        '"""Two lines\nof docstring."""\n'
        "# A comment alone.\n"
        "from voice_trio.errors import Trouble  # a comment beside code\n"
        "from voice_trio.conversation import events\n"
        "class Started: ...\n"
        "def wait():\n    def inner():\n        pass\n    return inner\n"
    ),
    "dialects/__init__.py": "",
    "dialects/wire.py": (
        "import msgspec\n"
        "class Started(Message): ...\n"  # its base comes later
        "class Message(msgspec.Struct): ...\n"
    ),
    "session/__init__.py": "",
    "session/session.py": (
        "from typing import TYPE_CHECKING\n"
        "from voice_trio.session.money import bill\n"
        "if TYPE_CHECKING:\n    from voice_trio.conversation import turn\n"
        "def run():\n    import json\n"
    ),
    "session/money.py": "if TYPE_CHECKING:\n    from .session import run\n",
    "session/client/__init__.py": "",
    "session/client/link.py": "from ..upstream.link import x\n",
    "session/upstream/__init__.py": "",
    "session/upstream/link.py": "from voice_trio.session.client import writer\n",
    "session/client/writer.py": "",
}


@pytest.fixture
def planted(tmp_path: Path) -> Path:
    for name, source in FILES.items():
        path = tmp_path / "voice_trio" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(source, "utf-8")
    return tmp_path


def test_a_planted_circle_is_found_and_vanishes_at_runtime(planted: Path) -> None:
    shape = measure_files(planted)
    assert shape["circles"] == [["voice_trio.session.money", "voice_trio.session.session"]]
    assert shape["circles_at_runtime"] == []


def test_a_circle_of_folders_is_found_where_no_module_is_in_one(planted: Path) -> None:
    assert measure_files(planted)["folder_circles"] == [["session/client/", "session/upstream/"]]


def test_a_class_defined_twice_is_found_and_a_wire_struct_is_left_out(planted: Path) -> None:
    duplicates = measure_files(planted)["duplicate_classes"]
    assert duplicates == {"Started": ["voice_trio.conversation.events", "voice_trio.conversation.turn"]}


def test_sizes_and_comments_are_counted(planted: Path) -> None:
    shape = measure_files(planted)
    assert shape["modules"] == len(FILES)
    assert shape["module_lines_max"] == 10
    assert shape["files_per_folder"]["voice_trio/session"] == 3
    assert (shape["functions"], shape["function_lines_p90"]) == (3, 4)
    assert shape["comment_shares"]["conversation"] == {
        "with_comment": pytest.approx(100 * 2 / 11, abs=0.01),
        "comment_only": pytest.approx(100 * 1 / 11, abs=0.01),
        "docstring": pytest.approx(100 * 2 / 11, abs=0.01),
    }


def test_only_the_imports_at_the_top_of_the_sessions_module_count(planted: Path) -> None:
    assert measure_files(planted)["session_imports"] == {"statements": 3, "modules_of_ours": 2}


def test_both_walks_run_and_the_longer_one_holds_the_shorter() -> None:
    walks = measure_walks(Path(voice_trio.__file__).parent.parent, shuffles=1, trace=True)
    assert list(walks) == [
        "audio delta, to its send",
        "audio delta, until idle",
        "interruption, to playback.flush",
        "interruption, to response.done",
        "interruption, until idle",
    ]
    for walk in walks.values():
        assert 0 < walk["files"] <= walk["moves"] + 1 <= walk["calls"]
        assert not [call for call in walk["trace"] if call.startswith("testing/")]
    assert _calls(walks, "audio delta, to its send") < _calls(walks, "audio delta, until idle")
    assert _calls(walks, "interruption, to playback.flush") < _calls(walks, "interruption, until idle")


def _calls(walks: Mapping[str, Mapping[str, int]], name: str) -> int:
    return walks[name]["calls"]


def test_the_table_has_a_line_for_each_number(planted: Path) -> None:
    walks = {"audio delta": {"calls": 3, "files": 2, "moves": 1}}
    table = dict(rows({**measure_files(planted), "walks": walks}))
    assert table["modules"] == len(FILES)
    assert table["circles"] == 1
    assert table["  voice_trio/session/"] == 3
    assert table["  audio delta"] == "3 / 2 / 1"
