"""`voice-trio user-hash`: the hash under which a user appears in logs, on the stats page and upstream."""

from __future__ import annotations

import click

from voice_trio.auth import tokens
from voice_trio.cli.identifier import identifier
from voice_trio.cli.shared_state import command_settings


@click.command("user-hash")
@click.argument("user_id", callback=identifier, metavar="ID")
def user_hash(user_id: str) -> None:
    """Print the hash of the user ID, as this gateway's logs have it.

    ID is the claim `user_id`, else `sub`, of the user's token. The hash depends on VOICE_SIGNING_SECRET, else on the
    first JWT_SECRET: run it with the gateway's environment.
    """
    settings = command_settings()
    if settings.tokens.signing_secret_given is None and not settings.tokens.jwt_secrets:
        raise click.ClickException("VOICE_SIGNING_SECRET or JWT_SECRET must be set, as the gateway has it.")
    click.echo(tokens.user_hash(user_id, settings.signing_secret))
