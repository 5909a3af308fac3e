"""Errors made on purpose, as one line for the terminal."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import click

from voice_trio.errors import VoiceTrioError

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextmanager
def one_line_errors() -> Iterator[None]:
    """What we raise on purpose ends the command with its message, also out of a nursery; a bug keeps its traceback."""
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
