"""Reports the live sessions of this process to the directory: every 5 s, and within a second of a change."""

from __future__ import annotations

from typing import TYPE_CHECKING, Never

import trio

from voice_trio import limits

if TYPE_CHECKING:
    from voice_trio.state.state import State
    from voice_trio.web.live_sessions import LiveSessions


async def report_sessions(state: State, live: LiveSessions) -> Never:
    """Report until cancelled, then withdraw. A process without sessions makes no calls."""
    was_listed = False
    try:
        while True:
            changed, sessions, begun = live.changed, live.described(state.instance), dict(live.begun)
            if (sessions or begun or was_listed) and await state.directory.report(sessions, begun):
                was_listed = bool(sessions)
                for session_id in begun:
                    live.begun.pop(session_id, None)
            await trio.sleep(limits.DIRECTORY_PAUSE_SECONDS)
            with trio.move_on_after(limits.DIRECTORY_INTERVAL_SECONDS - limits.DIRECTORY_PAUSE_SECONDS):
                await changed.wait()
    finally:
        with trio.move_on_after(limits.DISCONNECT_SECONDS_MAX, shield=True):
            await state.directory.withdraw()
