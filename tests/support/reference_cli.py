"""docs/reference/cli.md, made from the commands that `voice-trio` has."""

from __future__ import annotations

import inspect
import re
from typing import TYPE_CHECKING

import click

from voice_trio.cli import main

if TYPE_CHECKING:
    from collections.abc import Iterator

INTRODUCTION = """\
# Commands

Every command of `voice-trio`. `python -m voice_trio.cli` is the same. `--help` after any of them prints what is here.
Settings come from the environment: [configuration](../configuration.md).
"""


def cli_page() -> str:
    """The page as Markdown, without its notice."""
    context = click.Context(main, info_name="voice-trio")
    parts = [INTRODUCTION]
    for command, inner in _commands(main, context):
        parts += [f"## {inner.command_path}\n", f"{_prose(command)}\n", f"```\n{_usage(command, inner)}\n```\n"]
        if rows := list(_rows(command, inner)):
            parts.append("\n".join(["| option | default | meaning |", "|---|---|---|", *rows]) + "\n")
    return "\n".join(parts)


def _commands(group: click.Group, context: click.Context) -> Iterator[tuple[click.Command, click.Context]]:
    for name in group.list_commands(context):
        command = group.get_command(context, name)
        assert command is not None
        inner = click.Context(command, info_name=name, parent=context)
        yield command, inner
        if isinstance(command, click.Group):
            yield from _commands(command, inner)


def _prose(command: click.Command) -> str:
    """The help text. Examples in it, which stand after a backspace character, become blocks."""
    text = inspect.cleandoc(command.help or "").split("\f")[0].strip()
    parts = []
    for part in re.split(r"\n\s*\n", text):
        if part.startswith("\b"):
            parts.append("```\n" + inspect.cleandoc(part.lstrip("\b\n")) + "\n```")
        else:
            parts.append(_escaped(part))
    return "\n\n".join(parts)


def _usage(command: click.Command, context: click.Context) -> str:
    return " ".join([context.command_path, *command.collect_usage_pieces(context)])


def _rows(command: click.Command, context: click.Context) -> Iterator[str]:
    for parameter in command.get_params(context):
        if not isinstance(parameter, click.Option) or "--help" in parameter.opts or parameter.hidden:
            continue
        names = ", ".join(f"`{name}`" for name in [*parameter.opts, *parameter.secondary_opts])
        if not parameter.is_flag and not parameter.count:
            names += f" {parameter.make_metavar(context).removesuffix(' RANGE')}"
        variable = f" (variable `{parameter.envvar}`)" if isinstance(parameter.envvar, str) else ""
        yield f"| {_escaped(names)} | {_default(parameter)} | {_escaped(parameter.help or '')}{variable} |"


def _default(option: click.Option) -> str:
    if option.required:
        return "required"
    value = option.default
    if isinstance(option.show_default, str):
        return option.show_default
    if option.is_flag or value in (None, "") or callable(value) or not isinstance(value, int | float | str | bool):
        return "–"
    return f"`{value}`"


def _escaped(text: str) -> str:
    """`text` within a table or paragraph: what stands in angle brackets is no HTML, a bar no cell."""
    return " ".join(text.split()).replace("|", "\\|").replace("<", "&lt;")
