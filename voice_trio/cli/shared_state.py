"""Access to the shared state in Redis, for commands that change it directly."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

import click
import structlog
import trio

from voice_trio.errors import BadMessage, ConfigurationError, StateUnavailable
from voice_trio.settings import load_settings
from voice_trio.state.open_state import open_state

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterator

    from voice_trio.settings import Settings
    from voice_trio.state.state import State

T = TypeVar("T")


def command_settings() -> Settings:
    """The settings of a command; it serves no clients, so none for tokens is required.

    Raises `click.ClickException` with all faults.
    """
    try:
        return load_settings(os.environ | {"ENABLE_VOICE_REALTIME": "false"})
    except ConfigurationError as error:
        raise click.ClickException(str(error)) from error


def with_shared_state(do: Callable[[State], Awaitable[T]]) -> T:
    """Run `do` on the state in the configured Redis and return its result; never on this process's own memory.

    Raises `click.ClickException` if Redis is not configured or fails, or if `do` raises `BadMessage`.
    """
    settings = command_settings()
    if settings.shared.redis_url is None or not settings.shared.redis_enabled:
        raise click.ClickException("REDIS_URL is not set: without Redis each gateway keeps its own state.")
    denying = settings.shared.model_copy(update={"redis_failure_policy": "deny"})
    with only_errors_logged():
        done, fault = trio.run(_do, settings.model_copy(update={"shared": denying}), do)
    if fault:
        raise click.ClickException(fault)
    [result] = done
    return result


@contextmanager
def only_errors_logged() -> Iterator[None]:
    """Log errors only, to standard error: standard output is the command's own."""
    before = structlog.get_config()
    structlog.configure(
        wrapper_class=structlog.make_filtering_bound_logger(logging.ERROR),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    try:
        yield
    finally:
        structlog.configure(**before)


async def _do(settings: Settings, do: Callable[[State], Awaitable[T]]) -> tuple[list[T], str]:
    """The result or the error text: an error raised through the state's nursery would arrive in a group."""
    async with open_state(settings) as state:
        if not state.health.available:
            return [], f"Redis at {state.health.url}: {state.health.fault}"
        try:
            return [await do(state)], ""
        except (BadMessage, StateUnavailable) as error:
            return [], str(error)
