"""Which signals drain the server.

    SIGINT, SIGTERM               drain; a second one ends at once
    SIGHUP, SIGUSR1, SIGUSR2      drain; further ones change nothing

The second group is sent by terminals that close, by log rotation and by mistake. The settings come from the environment
of the process, so it cannot read them again: it drains, and its supervisor starts a new one.
"""

from __future__ import annotations

import signal

END_SIGNALS = (signal.SIGINT, signal.SIGTERM)
DRAIN_SIGNALS = (signal.SIGHUP, signal.SIGUSR1, signal.SIGUSR2)


class ReceivedSignals:
    """Counts the signals that a process receives."""

    def __init__(self) -> None:
        self._ends = 0

    def ends_at_once(self, number: int) -> bool:
        """Note a signal; whether it is the second one of `END_SIGNALS`."""
        self._ends += number in END_SIGNALS
        return self._ends > 1 and number in END_SIGNALS


def drain_signals() -> tuple[signal.Signals, ...]:
    """The signals to receive, without those that were ignored when the process began: `nohup` does so with SIGHUP."""
    return END_SIGNALS + tuple(each for each in DRAIN_SIGNALS if signal.getsignal(each) is not signal.SIG_IGN)
