"""`voice-trio token` and `voice-trio user-hash`: a signed token for development; the hash of a user in the logs."""

from __future__ import annotations

import click

from voice_trio.auth import tokens
from voice_trio.auth.tokens import User, issue_token
from voice_trio.cli.identifier import identifier
from voice_trio.cli.shared_state import command_settings
from voice_trio.errors import ConfigurationError
from voice_trio.settings import load_settings


@click.command()
@click.option("--user", required=True, metavar="ID", help="The user's id.")
@click.option("--email", default="", help="The user's email address.")
@click.option("--plan", default="elite", show_default=True, help="The user's plan.")
@click.option("--admin", is_flag=True, help="An administrator's token.")
@click.option("--ttl", type=click.IntRange(1, 10 * 365 * 86_400), default=3600, show_default=True, help="Seconds.")
def token(user: str, email: str, plan: str, admin: bool, ttl: int) -> None:
    """Print a JSON Web Token signed with the first JWT_SECRET."""
    try:
        settings = load_settings()
        click.echo(
            issue_token(settings.tokens, User(id=user, email=email, plan=plan, is_admin=admin), seconds_valid=ttl)
        )
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error


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
