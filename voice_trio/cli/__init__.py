"""`voice-trio`: a command's module is imported when the command is used, so that `--help` is fast."""

from __future__ import annotations

from importlib import import_module
from typing import Any

import click

from voice_trio.cli.terminal import printable

COMMANDS = {
    "serve": ("serve", "Run the production server, configured by the environment."),
    "demo": ("demo.command", "Run the server with an upstream and documents on this machine: no key, no network."),
    "call": ("call", "Play a sound file to a gateway; shows each event with its time."),
    "talk": ("talk", "Talk to a gateway by microphone and loudspeaker."),
    "token": ("token", "Print a token for development."),
    "check": ("check", "Try every configured part."),
    "knowledge": ("knowledge", "Fill, read and tidy the knowledge base."),
    "rollout": ("rollout", "Show and change the live rollout: which users are admitted."),
    "user-hash": ("token", "Print the hash under which logs have a user."),
    "sessions": ("sessions", "List, show and end live sessions; delete records; reset rate limits."),
    "embedded": ("embedded", "Run only the embedded Realtime-compatible server."),
}
"""By command: its module here, which defines it under the same name (with `_` for `-`), and its line in `--help`."""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a new user needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command; imports its module."""
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"voice_trio.cli.{module}"), cmd_name.replace("-", "_"))
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. An error may quote a document, a peer or a file name, so it is made safe to print."""
        try:
            return super().invoke(ctx)
        except click.ClickException as error:
            error.message = printable(error.message, line_breaks=True)  # type: ignore[misc]  # final for mypy only
            raise

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing a command."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="voice-trio", prog_name="voice-trio")
def main() -> None:
    """A realtime voice gateway: users talk to an assistant that searches your documents before it answers."""
