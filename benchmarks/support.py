"""What several benchmarks need: a gateway's settings, processes that end with their block, CPU, memory, percentiles."""

from __future__ import annotations

import math
import os
import re
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import trio

from voice_trio.auth.tokens import User, issue_token
from voice_trio.settings import load_settings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Collection, Sequence

ROOT = Path(__file__).resolve().parent.parent
"""The repository: child processes run here, so that they import the same code."""
DATA = Path(__file__).resolve().parent / "data"
SECRET = "a secret of the benchmarks alone which is long enough"
END_SECONDS_MAX = 10.0
"""Seconds between SIGTERM and SIGKILL of a child process."""


def gateway_environment(model_url: str, knowledge: Path, **variables: str) -> dict[str, str]:
    """The whole environment of a gateway process; `variables` are added."""
    return {
        "PATH": os.environ["PATH"],
        "LOG_FORMAT": "json",
        "ENABLE_VOICE_REALTIME": "true",
        "JWT_SECRET": SECRET,
        "OPENAI_REALTIME_URL": model_url,
        "KNOWLEDGE_PATH": str(knowledge),
        **variables,
    }


def user_token(user: str) -> str:
    """A token that a gateway with `gateway_environment` accepts."""
    return issue_token(load_settings({"JWT_SECRET": SECRET}).tokens, User(id=user, plan="elite"))


@asynccontextmanager
async def running(command: Sequence[str], **options: Any) -> AsyncIterator[trio.Process]:
    """Run `command` in the repository; `options` are those of `trio.lowlevel.open_process`.

    Its end is waited for: at most `END_SECONDS_MAX` after SIGTERM, then it is killed.
    """
    process = await trio.lowlevel.open_process(command, cwd=ROOT, **options)
    try:
        yield process
    finally:
        process.terminate()
        with trio.move_on_after(END_SECONDS_MAX, shield=True):
            await process.wait()
        process.kill()  # has no effect on a process that has ended


def cpu_seconds(pid: int) -> float:
    """Seconds of CPU that a process has used, its threads included, its children not."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_kib(pid: int, name: str, file: str = "status") -> int:
    """A line of /proc/PID/`file` in KiB: `VmRSS` of "status", `Rss` or `Pss` of "smaps_rollup"."""
    found = re.search(rf"^{name}:\s+(\d+) kB", Path(f"/proc/{pid}/{file}").read_text(encoding="ascii"), re.MULTILINE)
    if found is None:
        raise LookupError(f"no {name} in /proc/{pid}/{file}")
    return int(found[1])


def percentile(values: Collection[float], share: float) -> float:
    """The smallest value that at least `share` of the values do not exceed; NaN of none."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)] if values else math.nan
