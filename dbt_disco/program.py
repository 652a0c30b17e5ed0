"""A Linux program under the control of Python."""

from __future__ import annotations

import os
import signal
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from dbt_disco.cpu import Cpu
from dbt_disco.guest_caused_signals import GuestCausedSignals
from dbt_disco.interruption import TimeLimit, keyboard_interrupts, raise_interrupt
from dbt_disco.linux.signal_numbers import signal_name
from dbt_disco.linux_guest import LinuxGuest
from dbt_disco.observed_vcpu import ObservedVcpu
from dbt_disco.run_result import RunResult, StopReason
from translator.state import Stop

if TYPE_CHECKING:
    from dbt_disco.engine import EngineName
    from dbt_disco.linux.exit_status import ExitStatus


class _Paused(BaseException):
    """Takes a stop that is the caller's out of the process's loop, which can be entered again."""

    def __init__(self, stop: Stop) -> None:
        super().__init__(stop)
        self.stop = stop


class _PausingVcpu(ObservedVcpu):
    """Leaves the process's loop at breakpoints, limits and requests to stop; not for the guest's own
    signals."""

    def run(self) -> Stop:
        """As the vCPU's."""
        stop = self.vcpu.run()
        if stop is Stop.BREAKPOINT or (stop is Stop.LIMIT and not self._is_for_guest()):
            raise _Paused(stop)
        return stop

    def _is_for_guest(self) -> bool:
        pending = self.state.pending_signals
        return bool(pending) and not pending & 1 << signal.SIGINT and self.state.clock < self.vcpu.clock_limit


class Program(Cpu):
    """A Linux program with its process: a `Cpu` whose system calls, faults and signals are answered.

    The guest shares this process's files, working directory and standard streams. What it does with `exit`
    or a deadly signal ends the program, not this process. Host signals stay Python's, but for those that
    the guest causes itself (timers, broken pipes). See `load`.
    """

    def __init__(self, guest: LinuxGuest) -> None:
        self._take(guest.space, guest.vcpu, counts=True)
        self._process = guest.process
        self._exit_status: ExitStatus | None = None

    @property
    def has_ended(self) -> bool:
        """Whether the guest process has ended; then it cannot be run any more."""
        return self._exit_status is not None

    def run(
        self, *, until: int | None = None, count: int | None = None, timeout: float | None = None
    ) -> RunResult:
        """Execute until the program ends, or as `Cpu.run` says; system calls and handled signals do not
        stop it.

        A system call that waits is not ended by `timeout`. RuntimeError if the program has ended already.
        """
        if self._exit_status is not None:
            raise RuntimeError("the program has ended")
        before = self.vcpu.state.clock
        self._set_limits(until, count)
        with keyboard_interrupts(self.vcpu), TimeLimit(self.vcpu, timeout) as limit:
            while True:
                try:
                    self._exit_status = self._process.run()
                except _Paused as pause:
                    raise_interrupt(self.vcpu)
                    reason = self._reason(pause.stop, limit)
                    if reason is not None:
                        return self._result(reason, before)
                else:
                    return self._end(self._exit_status, before)

    def _end(self, status: ExitStatus, before: int) -> RunResult:
        if status.signal:
            return self._result(StopReason.SIGNAL, before, signal=signal_name(status.signal))
        return self._result(StopReason.EXIT, before, exit_code=status.code)


def load(
    path: str | os.PathLike[str],
    arguments: Sequence[str | bytes] = (),
    *,
    environment: Mapping[str, str] | None = None,
    sysroot: str | os.PathLike[str] | None = None,
    engine: EngineName = "auto",
    use_cache: bool = True,
) -> Program:
    """Load a Linux o32 executable, ready to run from its entry point.

    `arguments` come after the program's name; `environment` defaults to this process's; `sysroot` as for
    `dbt-disco run`. Raises `dbt_disco.LoadError`, which names the file and the reason.
    """
    variables = None if environment is None else [f"{name}={value}" for name, value in environment.items()]
    name = os.fspath(path)
    guest = LinuxGuest(
        name,
        (name, *arguments),
        environment=variables,
        sysroot=None if sysroot is None else os.fspath(sysroot),
        engine=engine,
        observer=_PausingVcpu,
        signal_filter=GuestCausedSignals,
        use_cache=use_cache,
        count_instructions=True,
        precise_faults=True,
    )
    return Program(guest)
