"""The screen of `voice-trio talk`: finished turns, then the current turn and the line being typed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.console import Console, Group
from rich.live import Live
from rich.text import Text

from voice_trio.cli.terminal import printable

if TYPE_CHECKING:
    from types import TracebackType

    from voice_trio.client import Report

HELP = "Enter or Esc interrupts · type to ask · Ctrl-C ends"
REFRESHES_PER_SECOND = 12  # hundreds of deltas may come at once; drawing each would delay the audio
LATENCY_NAMES = {
    "sound_ended_to_heard": "you stopped → heard",
    "committed_to_heard": "question → heard",
}
"""The latencies that are shown, with their labels."""


class TalkScreen:
    """A `Screen` for a terminal; without a terminal, finished turns are printed line by line."""

    def __init__(self, console: Console, *, muted: bool) -> None:
        self._console = console
        self._live = Live(console=console, refresh_per_second=REFRESHES_PER_SECOND, transient=True)
        self._is_live = console.is_terminal
        self._turn: Report | None = None
        self._typed = ""
        self._ear = "microphone off" if muted else "listening"

    def __enter__(self) -> TalkScreen:
        if self._is_live:
            self._live.start()
            self._draw()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._is_live:
            self._live.stop()

    def typed(self, text: str) -> None:
        """The line that is being typed."""
        self._typed = text
        self._draw()

    def turn_changed(self, turn: Report) -> None:
        self._turn = turn
        self._draw()

    def turn_over(self, turn: Report) -> None:
        self._turn = None
        self._console.print(*_turn_in_words(turn), Text(), sep="\n", soft_wrap=not self._is_live)
        self._draw()

    def told(self, event: dict[str, Any]) -> None:
        words = _session_in_words(event)
        if words is not None:
            self._console.print(words)

    def _draw(self) -> None:
        if not self._is_live:
            return
        lines = _turn_in_words(self._turn) if self._turn is not None else []
        prompt = Text.assemble(("› ", "bold"), printable(self._typed), ("▏", "dim"))
        self._live.update(Group(*lines, Text(), prompt, Text(f"{self._ear} · {HELP}", style="dim")))


def _turn_in_words(turn: Report) -> list[Text]:
    lines = []
    if turn.transcript.strip():
        lines.append(Text.assemble(("You        ", "bold cyan"), printable(turn.transcript.strip())))
    if turn.context:
        lines.append(Text.assemble(("Documents  ", "bold yellow"), documents_in_words(turn.context)))
    if turn.answer.strip() or turn.status:
        cut = " — interrupted" if turn.status == "cancelled" else ""
        lines.append(
            Text.assemble(
                ("Assistant  ", "bold green"), printable(turn.answer.strip(), line_breaks=True) or "…", (cut, "dim")
            )
        )
    latency = turn.latency_ms()
    shown = [f"{words} {latency[name]:,.0f} ms" for name, words in LATENCY_NAMES.items() if name in latency]
    if shown:
        lines.append(Text("           " + " · ".join(shown), style="dim"))
    return lines


def documents_in_words(context: dict[str, Any]) -> str:
    """The titles of a turn's passages, how the search ended, and how long the response waited for it."""
    titles = [str(passage.get("title", "")) for passage in context.get("passages") or []]
    words = f"{', '.join(titles) or 'none'} ({context.get('outcome')}, waited {context.get('waited_ms')} ms)"
    return printable(words)


def error_in_words(error: dict[str, Any]) -> Text:
    """One line for an error of the gateway."""
    return Text(printable(f"Error      {error.get('message', error)}"), style="red")


def _session_in_words(event: dict[str, Any]) -> Text | None:
    match event.get("type"):
        case "error":
            return error_in_words(event.get("error") or {})
        case "session.expiring":
            return Text(printable(f"{event.get('seconds_left')} seconds are left."), style="yellow")
        case "session.timeout":
            return Text(printable(str(event.get("message", "The session's time is up."))), style="yellow")
        case "session.draining":
            return Text("The gateway is restarting; the session ends after this response.", style="yellow")
        case "session.recovering":
            return Text("The connection to the model was lost; reconnecting …", style="yellow")
        case "session.waiting":
            return Text(printable(f"The model has sent nothing for {event.get('seconds')} seconds."), style="yellow")
        case "session.recovered":
            return Text("Reconnected.", style="yellow")
        case "budget.warning":
            return Text(
                f"{event.get('spent_usd'):.2f} of {event.get('limit_usd'):.2f} USD have been spent.", style="yellow"
            )
        case _:
            return None
