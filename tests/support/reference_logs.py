"""The log events of the package, found in its source, and the rows of docs/reference/log-events.md.

An event is the first argument of a call such as `log.warning("refused", …)`. Names that are made elsewhere are in
`NAMED_ELSEWHERE`, fields of a `**mapping` in `MORE_FIELDS`. A row's meaning is written by hand, in the page.
"""

from __future__ import annotations

import ast
import re
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

PACKAGE = Path(__file__).parents[2] / "voice_trio"
PAGE = PACKAGE.parent / "docs" / "reference" / "log-events.md"
LEVELS = ("debug", "info", "warning", "error", "exception", "critical")
HEADER = "| event | level | fields | meaning |\n|---|---|---|---|\n"

NAMED_ELSEWHERE = {
    ("server/accept.py", "event"): ("accept_failed", "connections_refused"),
    ("server/process.py", "event"): ("overloaded", "overload_over"),
    ("server/server.py", "'worker_serving' if worker else 'serving'"): ("serving", "worker_serving"),
    ("web/admin/session_routes.py", "event"): ("user_barred", "user_unbarred"),
}
"""By file and argument: the events that a call can write whose event is a variable."""
MORE_FIELDS = {
    "accept_failed": ("error",),
    "connections_refused": ("without_session",),
    "refused": ("position", "percent", "cause"),
    "rollout_changed": ("enabled", "percent", "plans", "message", "end_sessions", "beta_users", "barred"),
    "session_ended": (
        *("ending", "ready", "duration_s", "audio_in_s", "audio_out_s", "turns", "retrieval", "interruptions"),
        *("recoveries", "errors", "cost_usd", "cost_is_estimate", "transcription_fallback", "sidecar"),
    ),
    "turn": (
        *("turn", "status", "typed", "retrieval", "stale", "waited_ms", "queries", "passages", "heard_ms"),
        *("received_ms", "cost_usd", "stages_ms", "searches"),
    ),
}
"""By event: the fields of its `**mapping`."""
FROM_THE_LOG_ITSELF = {"log_lines_dropped": ("warning", ("count",))}
"""Events that are no call on a logger."""


@dataclass(slots=True)
class LogEvent:
    """An event: its levels, its fields in the order of the source, and whether a session's logger writes it."""

    levels: set[str] = field(default_factory=set)
    fields: dict[str, None] = field(default_factory=dict)
    of_session: bool = False

    def row(self, name: str, meaning: str) -> str:
        shown = ", ".join(f"`{field}`" for field in self.fields) or "–"
        mark = " ¹" if self.of_session else ""
        return f"| `{name}` | {', '.join(sorted(self.levels))} | {shown}{mark} | {meaning} |"


@cache
def log_events() -> dict[str, LogEvent]:
    """Every event of the package by name, in alphabetical order."""
    found: dict[str, LogEvent] = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and _is_log_call(node):
                _add(found, path.relative_to(PACKAGE).as_posix(), node)
    for name, (level, fields) in FROM_THE_LOG_ITSELF.items():
        found[name] = LogEvent({level}, dict.fromkeys(fields))
    return dict(sorted(found.items()))


def with_rows(page: str) -> str:
    """`page` with its table written anew, with the meanings that it has."""
    meanings = dict(re.findall(r"^\| `(\w+)` \|[^|]*\|[^|]*\| (.*) \|$", page, re.MULTILINE))
    rows = "".join(event.row(name, meanings.get(name, "TODO")) + "\n" for name, event in log_events().items())
    start = page.index(HEADER)
    return page[:start] + HEADER + rows + page[page.index("\n\n", start) + 1 :]


def _is_log_call(call: ast.Call) -> bool:
    match call.func:
        case ast.Attribute(attr=level, value=ast.Name(id=name) | ast.Attribute(attr=name)):
            return level in LEVELS and name in ("log", "_log") and bool(call.args)
    return False


def _add(found: dict[str, LogEvent], file: str, call: ast.Call) -> None:
    match call.args[0]:
        case ast.Constant(value=str(name)):
            names: tuple[str, ...] = (name,)
        case other:
            names = NAMED_ELSEWHERE[file, ast.unparse(other)]
    assert isinstance(call.func, ast.Attribute)
    level = "error" if call.func.attr == "exception" else call.func.attr
    for name in names:
        event = found.setdefault(name, LogEvent())
        event.levels.add(level)
        event.of_session |= isinstance(call.func.value, ast.Attribute)
        given = [keyword.arg for keyword in call.keywords if keyword.arg and keyword.arg != "exc_info"]
        if any(keyword.arg is None for keyword in call.keywords):
            given += MORE_FIELDS[name]
        event.fields |= dict.fromkeys(given)
