"""Prints the package's own errors as one line in the terminal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from voice_trio.errors import VoiceTrioError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_line_errors() -> Iterator[None]:
    """A `VoiceTrioError`, also in a group, ends the command with its message; other errors keep their traceback."""
    try:
        yield
    except VoiceTrioError as error:
        raise click.ClickException(str(error)) from error
    except BaseExceptionGroup as group:
        ours, others = group.split(VoiceTrioError)
        if ours is None or others is not None:
            raise
        raise click.ClickException(str(_first(ours))) from group


def _first(group: BaseExceptionGroup[VoiceTrioError]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
