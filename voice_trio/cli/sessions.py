"""`voice-trio sessions`: what is kept of people's sessions."""

from __future__ import annotations

import click

from voice_trio.cli.shared_state import with_shared_state


@click.group()
def sessions() -> None:
    """What is kept of sessions: records in Redis, for an hour after they were last written."""


@sessions.command()
@click.option("--user", required=True, metavar="ID", help="Whose.")
def delete(user: str) -> None:
    """Delete all records of a user, and keep none of the sessions they have open."""
    count = with_shared_state(lambda state: state.delete_records(user))
    click.echo(f"{count} {'record' if count == 1 else 'records'} deleted")


@sessions.command("reset-limit")
@click.option("--user", required=True, metavar="ID", help="Whose.")
def reset_limit(user: str) -> None:
    """Let a user start sessions again although they have used up their hour's."""
    with_shared_state(lambda state: state.reset(user))
    click.echo("all rate slots are open again")
