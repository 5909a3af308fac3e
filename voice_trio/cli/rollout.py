"""`voice-trio rollout`: shows and changes the live rollout document, in Redis, for every running gateway."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click
import msgspec

from voice_trio.cli.identifier import identifier
from voice_trio.cli.operator_access import gateway_options, open_access
from voice_trio.cli.shared_state import with_shared_state
from voice_trio.errors import BadMessage
from voice_trio.state.rollout import parse_rollout, rollout_as_json

if TYPE_CHECKING:
    from voice_trio.state.rollout import Rollout
    from voice_trio.state.state import State


@click.group()
def rollout() -> None:
    """The live rollout document: which users are admitted. Every gateway applies a change within 2 s.

    It is stored in Redis (REDIS_URL). A gateway without Redis has its own: use GET and PUT /v1/voice/rollout there.
    """


@rollout.command()
def show() -> None:
    """Print the document in force, as JSON."""
    _print(with_shared_state(lambda state: state.rollout()))


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
def set_command(added: tuple[str, ...], removed: tuple[str, ...], version: int | None, **given: Any) -> None:
    """Change the given fields and print the new document. Exit code 1 if it was changed meanwhile."""
    changes = {name: list(value) if isinstance(value, tuple) else value for name, value in given.items() if value}
    changes |= {
        name: given[name] for name in ("enabled", "end_sessions", "percent", "message") if given[name] is not None
    }
    if not changes and not added and not removed:
        raise click.UsageError("nothing to change")
    _print(with_shared_state(partial(_change, changes, added, set(removed), version)))


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


async def _change(
    changes: dict[str, Any], added: tuple[str, ...], removed: set[str], version: int | None, state: State
) -> Rollout:
    wanted = rollout_as_json(await state.rollout()) | changes
    wanted["beta_users"] = [user for user in (*wanted["beta_users"], *added) if user not in removed]
    if wanted["enabled"]:
        wanted["end_sessions"] = False
    if version is not None:
        wanted["version"] = version
    after = await state.replace_rollout(parse_rollout(wanted))
    if after is None:
        current = (await state.rollout()).version
        raise BadMessage(f"version {current} is in force; it was changed meanwhile. Look at it and try again.")
    return after


def _print(document: Rollout) -> None:
    click.echo(msgspec.json.format(msgspec.json.encode(document), indent=2).decode())
