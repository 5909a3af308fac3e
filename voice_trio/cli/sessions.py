"""`voice-trio sessions`: live sessions, session records and rate limits."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import click

from voice_trio.cli.identifier import identifier
from voice_trio.cli.operator_access import gateway_options, open_access
from voice_trio.cli.terminal import printable
from voice_trio.settings.reading import echo
from voice_trio.web.admin.session_control import EndOutcome

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

COLUMNS = ("session_id", "user", "plan", "state", "since", "connected", "turns", "cost", "protocol", "instance")


@click.group()
def sessions() -> None:
    """Live sessions of all gateways, records of ended ones for an hour, and rate limits.

    The gateway at --url is asked with an administrator's token, else Redis (REDIS_URL).
    """


@sessions.command("list")
@click.option("--user", callback=identifier, metavar="ID", help="Only those of this user, by id or hash.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@gateway_options
def list_command(user: str | None, as_json: bool, url: str | None, token: str | None) -> None:
    """List the live sessions, oldest first."""
    listed = open_access(url, token).sessions(user)
    if as_json:
        click.echo(json.dumps(listed))
        return
    rows = [_row(session) for session in listed["sessions"]]
    click.echo("\n".join(_aligned([COLUMNS, *rows])) if rows else "no live sessions")
    if listed["left_out"]:
        click.echo(f"{listed['left_out']} more are not listed", err=True)
    if not listed["complete"]:
        click.echo("Redis is unavailable: only sessions of this gateway are listed", err=True)


@sessions.command()
@click.argument("session_id", callback=identifier, metavar="ID")
@click.option("--words", is_flag=True, help="Also what was said and heard, where VOICE_STORE_TRANSCRIPTS is on.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@gateway_options
def show(session_id: str, words: bool, as_json: bool, url: str | None, token: str | None) -> None:
    """Show a session that is live, or that ended within the hour; exit code 1 if there is none."""
    found = open_access(url, token).session(session_id, words=words)
    if found is None:
        raise click.ClickException(f"no session {echo(session_id)}: it is not live, and no record is left of it")
    click.echo(json.dumps(found) if as_json else "\n".join(_lines(found)))


@sessions.command()
@click.argument("session_id", callback=identifier, metavar="[ID]", required=False)
@click.option("--user", callback=identifier, metavar="ID", help="All live sessions of this user, by id or hash.")
@gateway_options
def end(session_id: str | None, user: str | None, url: str | None, token: str | None) -> None:
    """End a live session on whatever gateway; it cannot be resumed. Exit code 1 if there is none."""
    if (session_id is None) == (user is None):
        raise click.UsageError("name a session, or a user by --user")
    access = open_access(url, token)
    ids = [session_id or ""] if user is None else [one["session_id"] for one in access.sessions(user)["sessions"]]
    if not ids:
        raise click.ClickException("this user has no live session")
    outcomes = {one: access.end(one) for one in ids}
    for one, outcome in outcomes.items():
        if outcome is EndOutcome.ENDED:
            click.echo(f"{one} ended")
        elif outcome is EndOutcome.ASKED:
            click.echo(f"{one}: its gateway was asked to end it, and still lists it", err=True)
        elif user is None:
            raise click.ClickException(f"no live session {echo(one)}")
    if EndOutcome.ASKED in outcomes.values():
        raise SystemExit(1)


@sessions.command()
@click.option("--user", required=True, callback=identifier, metavar="ID", help="The user's id, not their hash.")
@gateway_options
def delete(user: str, url: str | None, token: str | None) -> None:
    """Delete all session records of a user; their open sessions write no new ones."""
    count = open_access(url, token).delete_records(user)
    click.echo(f"{count} {'record' if count == 1 else 'records'} deleted")


@sessions.command("reset-limit")
@click.option("--user", required=True, callback=identifier, metavar="ID", help="The user's id, not their hash.")
@gateway_options
def reset_limit(user: str, url: str | None, token: str | None) -> None:
    """Free all rate slots of a user, so that they can start sessions again."""
    open_access(url, token).reset_limit(user)
    click.echo("all rate slots are free")


def _row(session: dict[str, Any]) -> tuple[str, ...]:
    shown = session | {
        "since": _time(session["since"]),
        "connected": f"{session['connected_seconds']:.0f} s",
        "cost": f"{session['cost_usd']:.4f} USD",
    }
    return tuple(str(shown[name]) for name in COLUMNS)


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()


def _lines(found: dict[str, Any]) -> Iterator[str]:
    """A session in lines of name and value, its words last."""
    yield f"session            {found['session_id']}"
    live, record = found["live"], found["record"]
    if live is None:
        yield "live               no"
    else:
        yield f"live               {live['state']} since {_time(live['since'])}, {live['protocol']} protocol"
        yield f"                   instance {live['instance']}, plan {live['plan']}, {live['turns']} turns"
        yield f"                   user {live['user']}, {live['cost_usd']:.4f} USD"
    if record is None:
        yield "record             none: the session was never ready, or its record was deleted"
        return
    for name in ("user", "instance", "connected_seconds", "cost_usd", "end_reason", "resumable", "language", "voice"):
        yield f"{name:<18} {'-' if record[name] is None else record[name]}"
    yield f"{'started':<18} {_time(record['started'])}"
    statuses = ", ".join(f"{count} {status}" for status, count in record["turns_by_status"].items())
    yield f"{'turns':<18} {record['turns']}{f' ({statuses})' if statuses else ''}"
    for number, turn in enumerate(record.get("words", ()), 1):
        yield f"{number}. {turn['status']}"
        yield f"   said   {printable(turn['said']) or '-'}"
        yield f"   heard  {printable(turn['heard']) or '-'}"


def _time(unix: float) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
