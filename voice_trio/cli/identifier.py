"""Ids of users and sessions as arguments of commands."""

from __future__ import annotations

from typing import TypeVar

import click

from voice_trio import limits

T = TypeVar("T", str, str | None)


def identifier(context: click.Context, parameter: click.Parameter, given: T) -> T:
    """A click callback: the id without the blanks and line breaks around it that copying adds.

    An empty or a long one is an error of usage.
    """
    if given is None:
        return given
    text = given.strip()
    if not 0 < len(text) <= limits.ID_CHARS_MAX:
        raise click.BadParameter(f"an id has 1 to {limits.ID_CHARS_MAX} characters")
    return text
