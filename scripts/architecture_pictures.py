#!/usr/bin/env python3
"""Draws docs/figures/floors.svg and nursery.svg from the code, and checks docs/architecture.md against the code.

    .venv/bin/python scripts/architecture_pictures.py            # writes the pictures
    .venv/bin/python scripts/architecture_pictures.py --check    # exit code 1 if one differs from what would be written

The floors come from the table `FLOORS` of tests/test_floors.py and from the imports of every module. The nurseries are
the tree `NURSERIES` below. It is an error if the tree or the page names a function that does not exist, or if a
session starts a task that the tree lacks.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape

if TYPE_CHECKING:
    from collections.abc import Iterator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from scripts.architecture_code import (  # found by the path above, however the script is started
    PACKAGE,
    ROOT,
    exists,
    floors,
    folder_imports,
    started_tasks,
)

FIGURES = ROOT / "docs" / "figures"

PURPOSES = {
    "__main__": "python -m voice_trio",
    "cli": "the command voice-trio",
    "asgi": "the application for other ASGI servers",
    "server": "processes, workers, signals, accept loop",
    "web": "HTTP, handshakes, dashboard, one endpoint a protocol",
    "admission": "authenticate, then refuse or grant a session",
    "session": "one session: every wait",
    "client": "Python client, microphone, loudspeaker",
    "embedded": "a Realtime server for one machine",
    "testing": "scripted Realtime model, fake client",
    "prompt_testing": "tests of your own prompt",
    "demo": "the demo's documents",
    "billing": "prices, usage, exact sums",
    "knowledge": "stores, passage cache, import",
    "auth": "tokens, plans, client secrets",
    "observability": "logs, metrics, traces, webhook",
    "state": "limits, leases, records; memory or Redis",
    "settings": "environment variables, price table",
    "upstreams": "the kinds of upstream: URL, headers, gate, wire",
    "speech": "where speech begins and ends",
    "net": "links, WebSockets, listeners, threads",
    "protocols": "frames to events, commands to frames; pure",
    "conversation": "every decision; pure",
    "limits": "every bound and grace period",
    "errors": "the tree of errors",
}


# label | file:function, below voice_trio/. A deeper line is a task in the nursery or scope above it.
NURSERIES = """
one process | server/server.py:run_server
    signals, shutdown | server/server.py:_Shutdown.watch_signals
    rollout, budget, lag, heartbeat | server/process.py:start_background_tasks
    pings to all clients and upstreams | net/keepalive.py:keep_links_alive
    accept loop: a task for each connection | server/accept.py:serve
        one connection: requests, an upgrade, admission, its session | server/connection.py:serve_connection
            renew the lease | admission/grant.py:SessionGrant.keep_lease
            write the record | session/telemetry/record_writer.py:RecordWriter.run
            session, outer nursery: its sockets; last messages within 2 s | session/session.py:Session.run
                client writer | session/client/send_queue.py:SendQueue._write
                session, inner nursery: its tasks, until the deadline | session/session.py:Session._live
                    client reader | session/client/voice_client.py:VoiceClientConnection.listen
                    clock: timers, the 200 ms, warnings, idleness | session/clock.py:SessionClock.run
                    time: billed, where it costs something | session/tasks.py:bill_time
                    upstream: until its connection is lost | session/upstream/connection.py:UpstreamConnection.run
                        reader | session/upstream/connection.py:UpstreamConnection._listen
                        writer | session/upstream/connection.py:UpstreamConnection._write
                        silence | session/upstream/connection.py:UpstreamConnection._feed_silence
                    sidecar: if words come late | session/sidecar/sidecar.py:Sidecar._run
                        reader | session/sidecar/sidecar.py:Sidecar._listen
                        writer | session/sidecar/sidecar.py:Sidecar._write
                    turn: its tasks, which an interruption cancels | session/tasks.py:run_in_scope
                        search | session/tasks.py:search
                        function | session/tasks.py:call_tool
"""
# Tasks of web/ and session/ that the picture leaves out.
NOT_DRAWN = {
    "_drain_when_stopping": "under hypercorn alone: starts the drain",
    "_pass_body": "passes an HTTP request's body to its route",
    "task": "a task of a turn: search or call_tool",
    "discard_messages": "reads what a client still sends after the end",
    "_handle_waiting": "the second half of the client reader, while frames wait",
    "finish_response_then_end": "started by a drain",
    "close": "closes one of the three connections at the end",
}

FONT = "font-family='DejaVu Sans, Verdana, sans-serif'"
INK, QUIET, PAPER = "#1f2933", "#616e7c", "#ffffff"
SHADES = ("#eef4fb", "#ffffff")
FILLS = ("#f5f7fa", "#e6eef8", "#d9e7f5", "#fdf3dc", "#e3f3e6", "#f7e4e1", "#ffffff", "#f2f2f2")


def main() -> int:
    parser = argparse.ArgumentParser(description="Draw the pictures of docs/architecture.md.")
    parser.add_argument("--check", action="store_true", help="Write nothing; fail if a picture is out of date.")
    parser.add_argument("--folder", type=Path, default=FIGURES, help="Where the pictures are.")
    given = parser.parse_args()
    root = read_tree(NURSERIES)
    problems = [f"no such function: {name}" for name in sorted(functions_of(root)) if not exists(name)]
    problems += [f"not in NURSERIES: {task}" for task in sorted(undrawn_tasks(root))]
    problems += [f"no such name in docs/architecture.md: {name}" for name in sorted(wrong_references())]
    pictures = {"floors.svg": floors_picture(), "nursery.svg": nursery_picture(root)}
    for name, text in pictures.items():
        path = given.folder / name
        if not given.check:
            path.write_text(text, "utf-8")
        elif not path.exists() or path.read_text("utf-8") != text:
            problems.append(f"{path} is out of date; run scripts/architecture_pictures.py")
    for problem in problems:
        print(problem, file=sys.stderr)
    return 1 if problems else 0


# The floors


def floors_picture() -> str:
    """One row for each folder, the highest floor first; a dot where the row imports the column."""
    table, imported = floors(), folder_imports()
    if unknown := table.keys() - PURPOSES.keys():
        raise LookupError(f"PURPOSES has no {', '.join(sorted(unknown))}")
    rows = sorted(table, key=lambda name: (-table[name], name))
    row_height, left, top, cell = 26, 520, 150, 26
    width, height = left + cell * len(rows) + 20, top + row_height * len(rows) + 60
    levels = sorted(set(table.values()))
    parts = [text(20, 34, "Floors: imports only go down", 18, bold=True)]
    parts.append(text(20, 58, "A dot: the folder of the row imports the folder of the column.", 12, colour=QUIET))
    parts.append(text(20, 76, "Folders on one floor do not import each other.", 12, colour=QUIET))
    for place, name in enumerate(rows):
        y, level = top + row_height * place, levels.index(table[name])
        parts.append(rectangle(12, y, width - 24, row_height, SHADES[level % 2], "none"))
        is_first = place == 0 or table[rows[place - 1]] != table[name]
        parts.append(text(24, y + 18, str(level) if is_first else "", 12, colour=QUIET))
        parts.append(text(54, y + 18, name, 13, bold=True))
        parts.append(text(172, y + 18, PURPOSES[name], 12))
        x = left + cell * place + cell / 2
        parts.append(text(x + 4, top - 8, name, 12, turned=True))
        for column, other in enumerate(rows):
            centre = left + cell * column + cell / 2
            if other in imported[name]:
                parts.append(f"<circle cx='{centre:g}' cy='{y + row_height / 2:g}' r='6' fill='#2f6db5'/>")
            elif other == name:
                parts.append(rectangle(centre - 5, y + row_height / 2 - 5, 10, 10, "#cbd2d9", "none"))
    parts.append(text(20, height - 26, "Every dot is right of the diagonal: on a lower floor.", 12, colour=QUIET))
    return svg(width, height, parts)


# The nurseries


@dataclass
class Box:
    """A nursery, a scope or a task, and what runs inside it."""

    label: str
    function: str
    depth: int
    inside: list[Box] = field(default_factory=list)


def read_tree(lines: str) -> Box:
    root: Box | None = None
    open_boxes: list[Box] = []
    for line in filter(str.strip, lines.splitlines()):
        label, function = (part.strip() for part in line.split("|"))
        depth = (len(line) - len(line.lstrip())) // 4
        box = Box(label, function, depth)
        del open_boxes[depth:]
        if open_boxes:
            open_boxes[-1].inside.append(box)
        root = root or box
        open_boxes.append(box)
    if root is None:
        raise ValueError("the tree is empty")
    return root


def functions_of(box: Box) -> set[str]:
    return {box.function}.union(*map(functions_of, box.inside))


def wrong_references() -> Iterator[str]:
    """What docs/architecture.md names as `file.py` or `file.py:function` below voice_trio/, and does not exist."""
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    for reference in set(re.findall(r"`([\w/]+\.py(?::[\w.]+)?)`", page)):
        is_there = (
            exists(reference) if ":" in reference else any((base / reference).exists() for base in (PACKAGE, ROOT))
        )
        if not is_there:
            yield reference


def undrawn_tasks(root: Box) -> Iterator[str]:
    """Tasks that web/ and session/ start, and the tree does not name."""
    drawn = {function.rpartition(":")[2].rpartition(".")[2] for function in functions_of(root)}
    for folder in ("session", "web"):
        for path in sorted((PACKAGE / folder).rglob("*.py")):
            for name in started_tasks(path):
                if name not in drawn and name not in NOT_DRAWN:
                    yield f"{name}, started in {path.relative_to(ROOT)}"


LEAF_HEIGHT, TITLE_HEIGHT, PADDING, LEAVES_IN_ROW = 46, 48, 10, 3


def box_height(box: Box) -> float:
    if not box.inside:
        return LEAF_HEIGHT
    leaves = [each for each in box.inside if not each.inside]
    rows = -(-len(leaves) // LEAVES_IN_ROW)
    height = TITLE_HEIGHT + rows * (LEAF_HEIGHT + PADDING)
    return height + sum(box_height(each) + PADDING for each in box.inside if each.inside)


def draw_box(box: Box, x: float, y: float, width: float) -> Iterator[str]:
    """The box with its title, the tasks without children in rows, then the nurseries inside it below each other."""
    yield rectangle(x, y, width, box_height(box), FILLS[box.depth] if box.inside else PAPER, "#9aa5b1")
    yield text(x + 10, y + 18, box.label, 13 if box.inside else 12, bold=bool(box.inside))
    yield text(x + 10, y + 35, box.function, 10, colour=QUIET)
    leaves = [each for each in box.inside if not each.inside]
    leaf_width = (width - PADDING * (LEAVES_IN_ROW + 1)) / LEAVES_IN_ROW
    below = y + TITLE_HEIGHT
    for place, leaf in enumerate(leaves):
        row, column = divmod(place, LEAVES_IN_ROW)
        left = x + PADDING + column * (leaf_width + PADDING)
        short = Box(leaf.label, leaf.function.rpartition(":")[2], leaf.depth)
        yield from draw_box(short, left, below + row * (LEAF_HEIGHT + PADDING), leaf_width)
    below += -(-len(leaves) // LEAVES_IN_ROW) * (LEAF_HEIGHT + PADDING)
    for each in box.inside:
        if each.inside:
            yield from draw_box(each, x + PADDING, below, width - 2 * PADDING)
            below += box_height(each) + PADDING


def nursery_picture(root: Box) -> str:
    width, height = 1000, box_height(root) + 110
    title = "Nurseries: a box is a nursery or a cancel scope, and ends after everything in it"
    parts = [text(20, 34, title, 18, bold=True)]
    legend = "White boxes are tasks. Grey text is the function, its file below voice_trio/."
    parts.append(text(20, 58, legend, 12, colour=QUIET))
    return svg(width, height, [*parts, *draw_box(root, 16, 80, width - 32)])


# SVG


def text(
    x: float, y: float, words: str, size: int, *, colour: str = INK, bold: bool = False, turned: bool = False
) -> str:
    weight = " font-weight='bold'" if bold else ""
    turn = f" transform='rotate(-60 {x:g} {y:g})'" if turned else ""
    return f"<text x='{x:g}' y='{y:g}' font-size='{size}' fill='{colour}'{weight}{turn}>{escape(words)}</text>"


def rectangle(x: float, y: float, width: float, height: float, fill: str, stroke: str) -> str:
    shape = f"x='{x:g}' y='{y:g}' width='{width:g}' height='{height:g}' rx='4'"
    return f"<rect {shape} fill='{fill}' stroke='{stroke}'/>"


def svg(width: float, height: float, parts: list[str]) -> str:
    size = f"width='{width:g}' height='{height:g}' viewBox='0 0 {width:g} {height:g}'"
    lines = [f"<svg xmlns='http://www.w3.org/2000/svg' {size} {FONT}>"]
    lines.append(rectangle(0, 0, width, height, PAPER, "none"))
    return "\n".join([*lines, *parts, "</svg>"]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
