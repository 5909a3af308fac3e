"""The pictures of docs/architecture.md are what scripts/architecture_pictures.py draws from the code."""

from __future__ import annotations

from pathlib import Path

from tests.support.script_runner import run_script

ROOT = Path(__file__).parents[1]


def test_the_pictures_are_up_to_date() -> None:
    checked = run_script("architecture_pictures.py", "--check")
    assert checked.returncode == 0, checked.stderr


def test_a_picture_that_was_edited_by_hand_fails_the_check(tmp_path: Path) -> None:
    assert run_script("architecture_pictures.py", "--folder", str(tmp_path)).returncode == 0
    picture = tmp_path / "floors.svg"
    picture.write_text(picture.read_text("utf-8").replace("Floors", "Layers"), "utf-8")
    checked = run_script("architecture_pictures.py", "--check", "--folder", str(tmp_path))
    assert checked.returncode == 1
    assert "floors.svg is out of date" in checked.stderr
