"""The tasks of a session beside its connections: what works for a turn, and what ends a session by the clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TYPE_CHECKING, TypeAlias, assert_never

import trio

from voice_trio import limits
from voice_trio.conversation import commands, events
from voice_trio.conversation.session_events import SessionExpiring
from voice_trio.errors import KnowledgeUnavailable
from voice_trio.knowledge.knowledge import CachesPassages
from voice_trio.session.endings import Ending

if TYPE_CHECKING:
    from voice_trio.knowledge.knowledge import Knowledge
    from voice_trio.session.ports import ClientConnection, DecisionCore, SessionPort

UNKNOWN_FUNCTION = '{"error":"there is no function of that name"}'

Task: TypeAlias = Callable[[], Awaitable[None]]
TaskCommand: TypeAlias = (
    commands.BeginTurn | commands.EndTurn | commands.StartSearch | commands.CallTool | commands.ScheduleEvent
)


class TurnTasks:
    """The tasks of turns. Each turn has a cancel scope of its own; cancelling it ends all that works for the turn.

    `execute` is synchronous, so it can run between two commands: a task is handed over a channel to the turn's nursery,
    which starts it at the next checkpoint.
    """

    def __init__(self, nursery: trio.Nursery, knowledge: Knowledge, host: SessionPort) -> None:
        self._nursery = nursery
        self._knowledge = knowledge
        self._host = host
        self._turns: dict[int, tuple[trio.CancelScope, trio.MemorySendChannel[Task]]] = {}

    def execute(self, command: TaskCommand) -> None:
        """Begin or end a turn, or start a task in its scope; a turn that is over starts nothing."""
        match command:
            case commands.BeginTurn(turn_id):
                self._begin(turn_id)
            case commands.EndTurn(turn_id, reason):
                if turn_id in self._turns:
                    scope, tasks = self._turns.pop(turn_id)
                    tasks.close()
                    scope.cancel(reason=reason)
            case commands.StartSearch(turn_id):
                self._start(turn_id, partial(search, command, self._knowledge, self._host))
            case commands.CallTool(turn_id):
                self._start(turn_id, partial(call_tool, command, self._host))
            case commands.ScheduleEvent(at, event, turn_id):
                self._start(turn_id, partial(self._feed_at, at, event))
            case _:
                assert_never(command)

    def _begin(self, turn_id: int) -> None:
        scope = trio.CancelScope()
        send_task, receive_task = trio.open_memory_channel[Task](limits.TURN_TASKS_MAX)
        self._turns[turn_id] = (scope, send_task)
        self._nursery.start_soon(run_turn, scope, receive_task, name=f"turn {turn_id}")

    def _start(self, turn_id: int | None, task: Task) -> None:
        """Start a task in the turn's scope or, without a turn, for as long as the session lives."""
        if turn_id is None:
            self._nursery.start_soon(task)
        elif turn_id in self._turns:
            self._turns[turn_id][1].send_nowait(task)

    async def _feed_at(self, at: float, event: events.Event) -> None:
        await trio.sleep_until(at)
        self._host.feed(event)


# A turn is a task with a cancel scope that is not the task's own: `BeginTurn` makes the scope, `EndTurn` cancels it,
# and both run synchronously in the middle of other commands. Its work cannot be started directly in the turn's nursery,
# which opens only when the task first runs. The channel holds it until then. The 200 ms of a turn are a
# `ScheduleEvent`, hence a task here, beside the readers and writers, which never wait for it.


async def run_turn(scope: trio.CancelScope, tasks: trio.MemoryReceiveChannel[Task]) -> None:
    """Run a turn's tasks until the turn is over. A barge-in cancels `scope`."""
    with scope, tasks:
        async with trio.open_nursery() as nursery:
            async for task in tasks:
                nursery.start_soon(task)


async def search(command: commands.StartSearch, knowledge: Knowledge, host: SessionPort) -> None:
    """Run one query; a failure costs the turn its context, never the session."""
    find = knowledge.search_cached if command.local and isinstance(knowledge, CachesPassages) else knowledge.search
    try:
        with trio.fail_after(host.config.search_seconds_max):
            passages = await find(command.query, host.config.search_limit)
    except (KnowledgeUnavailable, trio.TooSlowError) as error:
        host.log.warning("search_failed", reason=str(error) or "too slow")
        host.feed(events.SearchFailed(command.search_id))
    else:
        host.feed(events.SearchFinished(command.search_id, passages))


async def call_tool(command: commands.CallTool, host: SessionPort) -> None:
    """Run one function call of the model; a call of an unknown function returns an error to the model."""
    tool = host.config.tools.get(command.name)
    if tool is None:
        host.log.warning("unknown_function", name=command.name[:64])
    output = await tool(command.arguments) if tool else UNKNOWN_FUNCTION
    host.feed(events.ToolFinished(command.call_id, output))


async def announce_deadline(deadline: float, duration_seconds: float, client: ClientConnection) -> None:
    """Warn the client before the session's deadline (I7); the deadline itself is that of the session's scope."""
    for seconds_left in limits.WARNING_SECONDS_LEFT:
        if seconds_left < duration_seconds:
            await trio.sleep_until(deadline - seconds_left)
            client.send(SessionExpiring(seconds_left))


async def watch_for_idleness(core: DecisionCore, host: SessionPort) -> None:
    """End a session in which nothing has been said for `idle_seconds`."""
    while True:
        now = trio.current_time()
        quiet_since = core.quiet_since(now)
        if quiet_since is None:
            await trio.sleep(min(limits.IDLE_CHECK_SECONDS_MAX, host.config.idle_seconds))
        elif now - quiet_since < host.config.idle_seconds:
            await trio.sleep_until(quiet_since + host.config.idle_seconds)
        else:
            host.end(Ending.IDLE)
            return


async def finish_response_then_end(core: DecisionCore, host: SessionPort) -> None:
    """The server stops: a response in progress may finish, if that takes at most `DRAIN_SECONDS_MAX`."""
    gives_up_at = trio.current_time() + limits.DRAIN_SECONDS_MAX
    while core.is_answering(now := trio.current_time()) and now < gives_up_at:  # noqa: ASYNC110  # it changes by the clock alone, without an event
        await trio.sleep(min(limits.DRAIN_CHECK_SECONDS, gives_up_at - now))
    host.end(Ending.DRAINING)
