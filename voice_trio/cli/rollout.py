"""`voice-trio rollout`: shows and changes the live rollout document, for every running gateway."""

from __future__ import annotations

from typing import Any

import click
import msgspec

from voice_trio.cli.identifier import identifier
from voice_trio.cli.operator_access import gateway_options, open_access
from voice_trio.cli.terminal import printable_json


@click.group()
def rollout() -> None:
    """The live rollout document: which users are admitted. Every gateway applies a change within 2 s.

    The gateway at --url is asked with an administrator's token, else Redis (REDIS_URL). A gateway without Redis has its
    own document.
    """


@rollout.command()
@gateway_options
def show(url: str | None, token: str | None) -> None:
    """Print the document in force, as JSON."""
    _print(open_access(url, token).rollout())


@rollout.command("set")
@click.option("--enabled/--disabled", default=None, help="Whether users are admitted at all.")
@click.option(
    "--end-sessions/--keep-sessions", default=None, help="With --disabled: open sessions end too, within 5 s."
)
@click.option("--percent", type=click.FloatRange(0, 100), help="Percentage of users who are admitted.")
@click.option("--beta-user", "beta_users", multiple=True, metavar="ID", help="Always admitted; replaces the list.")
@click.option("--add-beta-user", "added", multiple=True, metavar="ID", help="Add one, by id or email.")
@click.option("--remove-beta-user", "removed", multiple=True, metavar="ID", help="Remove one.")
@click.option("--plan", "plans", multiple=True, metavar="PLAN", help="Plans that include voice; replaces the list.")
@click.option("--message", help="Message for users whom the rollout refuses.")
@click.option("--version", type=click.IntRange(0), help="Only if this version is in force.")
@gateway_options
def set_command(
    added: tuple[str, ...],
    removed: tuple[str, ...],
    version: int | None,
    url: str | None,
    token: str | None,
    **given: Any,
) -> None:
    """Change the given fields and print the new document. Exit code 1 if it was changed meanwhile."""
    changes = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items() if value}
    changes |= {
        name: given[name] for name in ("enabled", "end_sessions", "percent", "message") if given[name] is not None
    }
    if not changes and not added and not removed:
        raise click.UsageError("nothing to change")
    access = open_access(url, token)
    wanted = access.rollout() | changes
    wanted["beta_users"] = [user for user in (*wanted["beta_users"], *added) if user not in set(removed)]
    if wanted["enabled"]:
        wanted["end_sessions"] = False
    if version is not None:
        wanted["version"] = version
    _print(access.replace_rollout(wanted))


@rollout.command()
@click.argument("user", callback=identifier)
@gateway_options
def bar(user: str, url: str | None, token: str | None) -> None:
    """Refuse USER, by id or hash, and end their open sessions, everywhere within 2 s."""
    _set_barred(user, url, token, barred=True)


@rollout.command()
@click.argument("user", callback=identifier)
@gateway_options
def unbar(user: str, url: str | None, token: str | None) -> None:
    """Admit USER again, by id or hash. Exit code 1 if they are not barred."""
    _set_barred(user, url, token, barred=False)


def _set_barred(user: str, url: str | None, token: str | None, *, barred: bool) -> None:
    change = open_access(url, token).set_barred(user, barred=barred)
    names, version = " ".join(change["users"]), change["rollout"]["version"]
    if not change["changed"]:
        if not barred:
            raise click.ClickException(f"not barred: {names}")
        click.echo(f"already barred: {names}")
        return
    click.echo(f"{'barred' if barred else 'admitted again'}: {names} (version {version} of the rollout)")


def _print(document: dict[str, Any]) -> None:
    click.echo(printable_json(msgspec.json.format(msgspec.json.encode(document), indent=2).decode()))
