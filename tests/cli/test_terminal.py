"""What a document, a user or an upstream wrote cannot command the terminal in which it is shown."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner
from rich.console import Console

from voice_trio.cli import main
from voice_trio.cli.call import _conversation
from voice_trio.cli.talk_screen import _session_in_words, _turn_in_words
from voice_trio.cli.terminal import printable, printable_json
from voice_trio.client import Report

HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj.exe\u2066[bold]x\r\x7f\udce9\u2028\U000e0041"
SHOWN = r"\x1b]0;owned\x07\x1b[2J\x9b31m\u202egpj.exe\u2066[bold]x\r\x7f\udce9\u2028\U000e0041"


def test_what_a_terminal_obeys_is_shown_as_escapes_F47() -> None:
    assert printable(HOSTILE) == SHOWN
    assert printable("a\nb\tc") == r"a\nb\tc"
    assert printable("a\r\nb\tc\x1b", line_breaks=True) == "a\nb\tc\\x1b"


@pytest.mark.parametrize("text", ["œufs à couver", "鸡蛋 孵化", "דגה", "بيض", "👩‍🌾 ok", "a b\u202fc", "می‌شود"])
def test_words_of_any_script_stay_as_they_are_F47(text: str) -> None:
    assert printable(text) == text


def test_json_for_a_terminal_means_the_same_F47() -> None:
    shown = printable_json(json.dumps({"title": HOSTILE}, ensure_ascii=False, indent=1))
    assert json.loads(shown) == {"title": HOSTILE}
    assert not set(HOSTILE) & set("\x1b\x07\x9b\u202e\u2066\x7f\udce9\u2028\U000e0041") & set(shown)


def test_a_call_and_a_conversation_show_no_command_of_a_peer_F47() -> None:
    report = Report(transcript=HOSTILE, answer=HOSTILE, status="completed")
    report.context = {"outcome": "hidden", "waited_ms": 0, "passages": [{"title": HOSTILE}]}
    report.errors.append({"message": HOSTILE})
    console = Console(record=True, width=400, force_terminal=False)
    error = {"type": "error", "error": {"message": HOSTILE}}
    console.print(_conversation(report), *_turn_in_words(report), _session_in_words(error))
    shown = console.export_text()
    assert shown.count(r"\x1b]0;owned") == 8
    assert not set(shown) & set("\x1b\x07\x9b\u202e\u2066\x7f\u2028")


def test_an_error_that_quotes_a_file_name_is_shown_safely_F47() -> None:
    result = CliRunner().invoke(main, ["knowledge", "import", "/no\x1b[2Jwhere"])
    assert result.exit_code == 2
    assert r"/no\x1b[2Jwhere" in result.output
