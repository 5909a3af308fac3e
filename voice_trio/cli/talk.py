"""`voice-trio talk`: a conversation by microphone and loudspeaker, in a terminal."""

from __future__ import annotations

import signal
from typing import TYPE_CHECKING

import click
import trio
from rich.console import Console
from rich.table import Table
from rich.text import Text

from voice_trio.cli.call import DEFAULT_URL, INTERRUPTED
from voice_trio.cli.line_editor import LineEditor, pressed_keys, unbuffered_keys
from voice_trio.cli.talk_screen import TalkScreen
from voice_trio.cli.terminal import printable
from voice_trio.client import PortAudioCard, VoiceRefused, VoiceUnreachable, connect_voice, converse, devices
from voice_trio.errors import VoiceTrioError

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from voice_trio.client import SoundCard, UserAction

SIGNALS = [signal.SIGINT, signal.SIGTERM]


@click.command()
@click.option("--url", default=DEFAULT_URL, show_default=True, envvar="VOICE_URL", help="The gateway's WebSocket.")
@click.option("--token", default=None, envvar="VOICE_TOKEN", help="The user's token; also read from VOICE_TOKEN.")
@click.option("--input", "microphone", metavar="DEVICE", help="The microphone: a number or part of a name.")
@click.option("--output", "loudspeaker", metavar="DEVICE", help="The loudspeaker: a number or part of a name.")
@click.option("--mute", is_flag=True, help="Leave the microphone closed; ask by typing.")
@click.option("--list-devices", is_flag=True, help="List the sound devices and exit.")
@click.pass_context
def talk(
    ctx: click.Context,
    url: str,
    token: str | None,
    microphone: str | None,
    loudspeaker: str | None,
    mute: bool,
    list_devices: bool,
) -> None:
    """Talk to a gateway by microphone and loudspeaker; Enter or Esc interrupts, typed text asks, Ctrl-C ends.

    Wear headphones: there is no echo cancellation.
    """
    console = Console()
    try:
        if list_devices:
            _show_devices(console)
            return
        card = PortAudioCard(microphone, loudspeaker)
        card.check(microphone=not mute)  # before a session begins: it would use a rate slot
        closed = trio.run(_talk, card, url, token, console, mute)
    except VoiceRefused as refusal:
        wait = f" (again in {refusal.retry_after:g} s)" if refusal.retry_after else ""
        raise click.ClickException(f"refused: {refusal}{wait}") from refusal
    except VoiceUnreachable as error:
        raise click.ClickException(f"cannot reach {url.partition('?')[0]}: {error}") from error
    except VoiceTrioError as error:
        raise click.ClickException(str(error)) from error
    if closed is None:
        ctx.exit(INTERRUPTED)
    if closed:
        raise click.ClickException(f"the gateway ended the conversation: {closed}")


def _show_devices(console: Console) -> None:
    table = Table(box=None, pad_edge=False)
    for heading in ("", "device", "in", "out", ""):
        table.add_column(heading)
    for device in devices():
        defaults = [name for name, is_it in _defaults(device.is_default_input, device.is_default_output) if is_it]
        row = (
            str(device.number),
            Text(printable(device.name)),
            str(device.inputs),
            str(device.outputs),
            ", ".join(defaults),
        )
        table.add_row(*row)
    console.print(table if table.row_count else "There is no sound device on this machine.")


def _defaults(is_input: bool, is_output: bool) -> tuple[tuple[str, bool], tuple[str, bool]]:
    return ("default microphone", is_input), ("default loudspeaker", is_output)


async def _talk(card: SoundCard, url: str, token: str | None, console: Console, muted: bool) -> str | None:
    """How the gateway closed; empty if the user left, `None` if they left before the session was ready."""
    closed: str | None = None
    conversation: trio.CancelScope | None = None
    trouble: VoiceTrioError | None = None
    with trio.open_signal_receiver(*SIGNALS) as signals:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(_cancel_on_signal, signals, lambda: conversation or nursery.cancel_scope)
            try:
                async with connect_voice(url, token) as voice:
                    closed, conversation = "", trio.CancelScope()  # inside the connection: `session.end` still needs it
                    with conversation, unbuffered_keys() as terminal, TalkScreen(console, muted=muted) as screen:
                        closed = await converse(voice, card, screen, _user_actions(terminal, screen), muted=muted)
            except VoiceTrioError as error:  # raised again below: a nursery would wrap it in a group
                trouble = error
            nursery.cancel_scope.cancel(reason="the conversation is over")
    if trouble is not None:
        raise trouble
    return closed


async def _cancel_on_signal(signals: AsyncIterator[int], scope: Callable[[], trio.CancelScope]) -> None:
    async for _ in signals:
        scope().cancel(reason="interrupted")


async def _user_actions(terminal: int | None, screen: TalkScreen) -> AsyncIterator[UserAction]:
    """The user's actions, from pressed keys; none without a terminal."""
    if terminal is None:
        return
    line = LineEditor()
    async for pressed in pressed_keys(terminal):
        for action in line.feed(pressed):
            yield action
        screen.typed(line.text)
