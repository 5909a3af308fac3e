"""The file .env.example: complete, true, and read alike by a shell, Docker and Compose."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from voice_trio.settings import all_variables, load_settings
from voice_trio.settings.env_example import env_example

FILE = Path(__file__).parents[2] / ".env.example"


def test_the_example_is_written_from_the_settings_F53() -> None:
    assert FILE.read_text("utf-8") == env_example(), "run: python -m voice_trio.settings env > .env.example"


def test_the_example_has_every_variable_once_F53() -> None:
    names = re.findall(r"^#?([A-Z][A-Z_]+)=", env_example(), re.MULTILINE)
    assert sorted(names) == sorted(variable.name for variable in all_variables())


def test_its_defaults_are_the_defaults_F53() -> None:
    given = dict(re.findall(r"^#([A-Z_]+)=(.+)$", env_example(), re.MULTILINE))
    switched_off = load_settings({"ENABLE_VOICE_REALTIME": "false"})
    assert load_settings(given).described() == switched_off.described()


def test_a_shell_reads_it_and_only_what_is_missing_is_asked_for_F53(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(env_example().replace("JWT_SECRET=\n", f"JWT_SECRET={'4f9a0c7d' * 5}b1\n"))
    shell = "set -a; . ./.env; set +a; env"
    told = subprocess.run(["sh", "-c", shell], cwd=tmp_path, env={}, capture_output=True, text=True, check=True).stdout
    environ = dict(line.split("=", 1) for line in told.splitlines())
    settings = load_settings(environ)
    assert settings.access.enabled
    assert settings.observability.log_format == "json"
