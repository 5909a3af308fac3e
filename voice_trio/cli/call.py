"""`voice-trio call`: plays a sound file to a gateway in real time and shows each event with its time."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
import trio
from rich.console import Console, Group
from rich.live import Live
from rich.table import Table
from rich.text import Text

from voice_trio.cli.talk_screen import documents_in_words, error_in_words
from voice_trio.cli.terminal import printable, printable_json
from voice_trio.client import Report, VoiceRefused, VoiceUnreachable, connect_voice, read_sound, talk, write_wav
from voice_trio.errors import LinkClosed, VoiceTrioError

if TYPE_CHECKING:
    from collections.abc import Callable

DEFAULT_URL = "ws://127.0.0.1:8000/v1/ws/voice"
INTERRUPTED = 130
BAR_CHARACTERS = 40

_TIMESTAMP_NAMES = {
    "speech_started": "speech noticed",
    "first_word": "first word",
    "sound_ended": "sound ended",
    "speech_stopped": "silence noticed",
    "committed": "committed",
    "context": "context given",
    "response_created": "answer begun",
    "first_audio": "first sound",
    "response_done": "answer complete",
}
_LATENCY_NAMES = {
    "speech_started_to_first_word": "speech noticed → first word",
    "sound_ended_to_committed": "end of speech → committed",
    "committed_to_context": "committed → context",
    "committed_to_response_created": "committed → answer begun",
    "committed_to_first_audio": "committed → first sound",
    "sound_ended_to_first_audio": "end of speech → first sound",
}


@click.command()
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--url", default=DEFAULT_URL, show_default=True, envvar="VOICE_URL", help="The gateway's WebSocket.")
@click.option("--token", default=None, envvar="VOICE_TOKEN", help="The user's token; also read from VOICE_TOKEN.")
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="Write the answer's sound here (WAV).")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object and nothing else.")
@click.pass_context
def call(ctx: click.Context, file: Path, url: str, token: str | None, out: Path | None, as_json: bool) -> None:
    """Ask FILE (WAV, FLAC, OGG; any rate) in real time; exit code 1 if no answer came."""
    console = Console(stderr=as_json)
    try:
        report = trio.run(_call, read_sound(file), url, token, console, as_json)
    except VoiceRefused as refusal:
        wait = f" (again in {refusal.retry_after:g} s)" if refusal.retry_after else ""
        raise click.ClickException(f"refused: {refusal}{wait}") from refusal
    except VoiceUnreachable as error:
        raise click.ClickException(f"cannot reach {url.partition('?')[0]}: {error}") from error
    except LinkClosed as closed:
        raise click.ClickException(f"the gateway ended the call: {closed}") from closed
    except VoiceTrioError as error:
        raise click.ClickException(str(error)) from error
    except (KeyboardInterrupt, BaseExceptionGroup) as stopped:
        if not _is_keyboard_interrupt(stopped):
            raise
        ctx.exit(INTERRUPTED)
    if out is not None and report.audio:
        write_wav(out, report.audio)
    if as_json:
        click.echo(printable_json(json.dumps(report.as_json(), ensure_ascii=False)))
    else:
        _show_result(console, report, out)
    ctx.exit(0 if report.was_answered else 1)


def _is_keyboard_interrupt(stopped: BaseException) -> bool:
    """Whether this is Ctrl-C; a nursery raises it in an exception group."""
    if isinstance(stopped, BaseExceptionGroup):
        return stopped.subgroup(KeyboardInterrupt) is not None
    return isinstance(stopped, KeyboardInterrupt)


async def _call(pcm: bytes, url: str, token: str | None, console: Console, as_json: bool) -> Report:
    async with connect_voice(url, token) as voice:
        if as_json or not console.is_terminal:
            report = await talk(voice, pcm)
        else:
            with Live(console=console, transient=True, refresh_per_second=12) as live:
                report = await talk(voice, pcm, on_event=_live_view(live))
        if not report.closed:
            await voice.end()
        return report


def _live_view(live: Live) -> Callable[[Report], None]:
    return lambda report: live.update(_conversation(report))


def _conversation(report: Report) -> Group:
    lines = [Text.assemble(("You        ", "bold cyan"), printable(report.transcript.strip()) or "…")]
    if report.context:
        lines.append(Text.assemble(("Documents  ", "bold yellow"), documents_in_words(report.context)))
    if report.answer or report.status:
        lines.append(
            Text.assemble(("Assistant  ", "bold green"), printable(report.answer.strip(), line_breaks=True) or "…")
        )
    lines += map(error_in_words, report.errors)
    return Group(*lines)


def _show_result(console: Console, report: Report, out: Path | None) -> None:
    console.print(_conversation(report), soft_wrap=True)
    if report.timestamps:
        console.print()
        console.print(_timeline(report))
        console.print()
        console.print(_latencies(report))
    if out is not None and report.audio:
        console.print(Text(f"\nThe answer's sound is in {printable(str(out))}."), soft_wrap=True)
    if not report.was_answered:
        print(f"No answer: {printable(_failure_reason(report))}", file=sys.stderr)


def _failure_reason(report: Report) -> str:
    if report.closed:
        return f"the gateway ended the call ({report.closed})"
    if report.status:
        return f"the answer is {report.status}"
    return "none began" if report.timestamps.get("committed") else "no speech was heard"


def _timeline(report: Report) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    times = sorted((at, name) for name, at in report.timestamps.items() if name in _TIMESTAMP_NAMES)
    span = max(at for at, _ in times) or 1.0
    for at, name in times:
        place = round(at / span * (BAR_CHARACTERS - 1))
        bar = Text("·" * place, style="dim") + Text("●", style="bold")
        table.add_row(Text(_TIMESTAMP_NAMES[name]), Text(f"{at:6.2f} s"), bar)
    return table


def _latencies(report: Report) -> Table:
    table = Table(box=None, show_header=False, pad_edge=False)
    for name, milliseconds in report.latency_ms().items():
        table.add_row(Text(_LATENCY_NAMES[name]), Text(f"{milliseconds:,.0f} ms", justify="right"))
    if "waited_ms" in report.context:
        table.add_row(Text("waited for documents"), Text(f"{report.context['waited_ms']:,} ms", justify="right"))
    return table
