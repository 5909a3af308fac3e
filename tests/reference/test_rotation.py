"""docs/how-to/rotate-secrets.md: its commands run as they stand there, and keep what they say that they keep (F57)."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.pages import shell_blocks
from voice_trio.auth.tokens import user_hash
from voice_trio.settings import Settings, load_settings

PAGE = (Path(__file__).parents[2] / "docs" / "how-to" / "rotate-secrets.md").read_text("utf-8")
OLD = "b3c29d5af0127e8864cc1d9fe7a05b42d8f36a910c7b4e55"
NAMES = ("JWT_SECRET", "VOICE_SIGNING_SECRET")


def after(environ: dict[str, str], *commands: str) -> dict[str, str]:
    """The variables after `commands` of a shell."""
    script = "\n".join(["set -e", *commands, *(f'echo "${name}"' for name in NAMES)])
    variables = {"PATH": os.environ["PATH"], **environ}
    ran = subprocess.run(["bash", "-c", script], env=variables, capture_output=True, text=True, timeout=20, check=True)
    return dict(zip(NAMES, ran.stdout.splitlines(), strict=True))


def test_a_rotation_of_the_secret_keeps_user_hashes_and_resume_tokens_F57() -> None:
    section = PAGE.split("## JWT_SECRET")[1].split("\n## ")[0]
    keep, put, remove = shell_blocks(section)

    kept = after({"JWT_SECRET": OLD}, keep)
    both = after(kept, put.replace("voice-trio check\n", ""))
    new = after(both, remove)

    assert both["JWT_SECRET"].split(",")[1:] == [OLD]
    assert new["JWT_SECRET"] == both["JWT_SECRET"].split(",")[0] != OLD
    assert hash_of(load_settings(new)) == hash_of(load_settings({"JWT_SECRET": OLD}))


def hash_of(settings: Settings) -> str:
    return user_hash("ann", settings.signing_secret)
