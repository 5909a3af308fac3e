"""`voice-trio token`: a signed token for development."""

from __future__ import annotations

import click

from voice_trio.auth.tokens import User, issue_token
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
