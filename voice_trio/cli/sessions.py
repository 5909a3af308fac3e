"""`voice-trio sessions`: session records and rate limits of users."""

from __future__ import annotations

import click

from voice_trio.cli.shared_state import with_shared_state


@click.group()
def sessions() -> None:
    """Session records in Redis, which expire an hour after their last write, and rate limits."""


@sessions.command()
@click.option("--user", required=True, metavar="ID", help="The user's id.")
def delete(user: str) -> None:
    """Delete all session records of a user; their open sessions write no new ones."""
    count = with_shared_state(lambda state: state.delete_records(user))
    click.echo(f"{count} {'record' if count == 1 else 'records'} deleted")


@sessions.command("reset-limit")
@click.option("--user", required=True, metavar="ID", help="The user's id.")
def reset_limit(user: str) -> None:
    """Free all rate slots of a user, so that they can start sessions again."""
    with_shared_state(lambda state: state.reset(user))
    click.echo("all rate slots are free")
