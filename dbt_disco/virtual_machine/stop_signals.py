"""Signals that end a virtual machine, whatever it is doing, and leave the terminal as it was."""

from __future__ import annotations

import signal
from types import FrameType, TracebackType
from typing import Any, Final

from dbt_disco.virtual_machine.console.terminal import Terminal
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine

_STOPPING: Final = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGTERM)


class StopSignals:
    """A context manager around the run, in the main thread. What is ignored stays ignored."""

    def __init__(self, virtual_machine: VirtualMachine, terminal: Terminal | None) -> None:
        self._virtual_machine = virtual_machine
        self._terminal = terminal
        self._before: dict[signal.Signals, Any] = {}
        self._wakeup_before = -1

    def __enter__(self) -> StopSignals:
        for number in _STOPPING:
            self._answer(number, self._stop)
        if self._terminal is not None:
            self._answer(signal.SIGTSTP, self._suspend)
        # Python runs handlers only when native code has returned, or sleep ended: this sees to both.
        descriptor = self._virtual_machine.surroundings.descriptors.wake_descriptor
        self._wakeup_before = signal.set_wakeup_fd(descriptor, warn_on_full_buffer=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        signal.set_wakeup_fd(self._wakeup_before)
        for number, action in self._before.items():
            signal.signal(number, action)

    def _answer(self, number: signal.Signals, handler: Any) -> None:
        if signal.getsignal(number) != signal.SIG_IGN:
            self._before[number] = signal.signal(number, handler)

    def _stop(self, number: int, _: FrameType | None) -> None:
        self._virtual_machine.stop(Outcome(Ending.SIGNAL, number))

    def _suspend(self, number: int, _: FrameType | None) -> None:
        assert self._terminal is not None
        self._terminal.suspend()
