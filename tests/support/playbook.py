"""A playbook for the pure core, as mitmproxy's: events in, and each command that must come out, in order.

assert playbook >> events.SpeechStarted("i") << events.SpeechStarted("i") << commands.BeginTurn(1)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeAlias

from voice_trio.conversation import commands, events  # read at run time

if TYPE_CHECKING:
    from tests.support.conversation_fixture import ConversationDriver
    from voice_trio.conversation.passthrough import requests

UNTIMED: tuple[type[object], ...] = (commands.ScheduleEvent, commands.CountUsage, commands.LogWarning)

Expected: TypeAlias = (
    commands.Command
    | commands.UpstreamCommand
    | commands.ClientNotice
    | commands.PassthroughNotice
    | events.UpstreamEvent
)


def anything() -> Any:
    """A placeholder: equal to anything the first time, and to that from then on; call it for the value."""
    return _Placeholder()


class _Placeholder:
    def __init__(self) -> None:
        self._values: list[object] = []

    def __call__(self) -> Any:
        return self._values[0]

    def __eq__(self, other: object) -> bool:
        if not self._values:
            self._values.append(other)
        return self._values[0] == other

    __hash__ = None  # type: ignore[assignment]  # its value changes

    def __repr__(self) -> str:
        return repr(self._values[0]) if self._values else "…"


class wait(float):  # noqa: N801  # reads as a verb in a playbook
    """So many seconds pass; timers that were asked for fire meanwhile."""


class Playbook:
    """`>>` feeds an event, or lets time pass; `<<` names the next command. As a truth value: nothing else came out.

    Commands to the upstream and events for the client stand for themselves, without `SendToUpstream` and
    `SendToClient` around them. Commands of the kinds in `ignores` need not be named.
    """

    def __init__(self, driver: ConversationDriver[Any], *, ignores: tuple[type[object], ...] = UNTIMED) -> None:
        self._driver = driver
        self._ignores = ignores
        self._issued: list[object] = []
        self._story: list[str] = []
        self._take(len(driver.commands))

    def __rshift__(self, step: events.Event | requests.Request | wait) -> Playbook:
        self._expect_nothing_more()
        before = len(self._driver.commands)
        self._story.append(f">> {type(step).__name__} {float(step):g} s" if isinstance(step, wait) else f">> {step}")
        if isinstance(step, wait):
            self._driver.wait(step)
        else:
            self._driver.feed(step)
        self._take(before)
        return self

    def __lshift__(self, expected: Expected) -> Playbook:
        issued = self._issued.pop(0) if self._issued else None
        if expected != issued:
            rest = [f"   {command}" for command in self._issued]
            raise AssertionError("\n".join([*self._story, f"-  {expected}", f"+  {issued or 'nothing'}", *rest]))
        self._story.append(f"<< {expected}")
        return self

    def __bool__(self) -> bool:
        self._expect_nothing_more()
        return True

    def _expect_nothing_more(self) -> None:
        if self._issued:
            raise AssertionError("\n".join([*self._story, *(f"+  {command}" for command in self._issued)]))

    def _take(self, start: int) -> None:
        for _, command in self._driver.commands[start:]:
            if not isinstance(command, self._ignores):
                self._issued.append(_bare(command))


def _bare(command: commands.Command) -> object:
    match command:
        case commands.SendToUpstream(inner):
            return inner
        case commands.SendToClient(event):
            return event
        case _:
            return command
