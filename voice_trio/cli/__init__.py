"""`voice-trio`: every command is imported when it is called, so that `--help` and typing mistakes answer at once."""

from __future__ import annotations

from importlib import import_module

import click

COMMANDS = {
    "serve": ("serve", "The production server, configured by the environment."),
    "demo": ("demo", "The server with everything it needs on this machine: no key, no network."),
    "call": ("call", "Talk to a gateway with a sound file; shows what happened when."),
    "talk": ("talk", "Talk to a gateway by microphone and loudspeaker."),
    "token": ("token", "Print a token for development."),
    "check": ("check", "Try every configured part."),
    "knowledge": ("knowledge", "Fill and read the embedded knowledge base."),
    "rollout": ("rollout", "Show and change who is let in, live."),
    "sessions": ("sessions", "Delete what is kept of a user; open their limits."),
    "embedded": ("embedded", "Only the Realtime-compatible server of this machine."),
}
"""Each command: the module here that has it under the same name, and its line in `--help`."""


class LazyGroup(click.Group):
    """A group that imports a command's module when the command is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order in which a newcomer needs them."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """The command, imported now."""
        if cmd_name not in COMMANDS:
            return None
        module, _ = COMMANDS[cmd_name]
        command: click.Command = getattr(import_module(f"voice_trio.cli.{module}"), cmd_name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The list in `--help`, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="voice-trio", prog_name="voice-trio")
def main() -> None:
    """A realtime voice gateway: users talk, and the assistant has read your documents before it answers."""
