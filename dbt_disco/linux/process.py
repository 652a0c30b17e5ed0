"""A guest process: the loop that runs its vCPU and answers its system calls, faults and signals."""

from __future__ import annotations

import errno
from collections.abc import Callable
from typing import Final

import dbt_disco.linux.calls  # noqa: F401 – registers every system call
from dbt_disco.linux.call_numbers import NAMES
from dbt_disco.linux.confinement import import_late_modules
from dbt_disco.linux.directory_offsets import DirectoryOffsets
from dbt_disco.linux.errno_numbers import guest_errno
from dbt_disco.linux.exit_status import ExitStatus, ProcessExit
from dbt_disco.linux.fault_signals import fault_signal
from dbt_disco.linux.guest_memory import GuestFault, GuestMemory
from dbt_disco.linux.guest_stack import GuestStack
from dbt_disco.linux.loader import LoadedProgram
from dbt_disco.linux.memory_limits import MemoryLimits
from dbt_disco.linux.program_break import ProgramBreak
from dbt_disco.linux.signal_source import HostSignalSource, SignalSource
from dbt_disco.linux.signals import SA_RESTART, Signals
from dbt_disco.linux.strace import Strace
from dbt_disco.linux.sysroot import Sysroot
from dbt_disco.linux.system_call import CALLS, SystemCall
from dbt_disco.linux.vcpu import Vcpu
from runtime.host_signals import NOT_MADE, host_signals
from translator.state import ExceptionCode, Stop

_INDIRECT: Final = 4000
"""syscall(number, …): the arguments follow one word later."""
_REGISTER_ARGUMENTS: Final = 4
_STACK_ARGUMENTS: Final = 16
"""Offset from the stack pointer of the fifth argument (o32)."""

_BY_NUMBER: Final[dict[int, SystemCall]] = {
    number: CALLS[name] for number, name in NAMES.items() if name in CALLS
}


class LinuxProcess:
    """One guest process with one thread.

    A thread's own part is `vcpu` and `signals`; everything else will be shared by a process's threads.
    """

    def __init__(
        self,
        vcpu: Vcpu,
        program: LoadedProgram,
        *,
        sysroot: str | bytes | None = None,
        strace: Strace | None = None,
        signal_source: SignalSource | None = None,
        before_confinement: Callable[[], None] = import_late_modules,
    ) -> None:
        self._before_confinement: Callable[[], None] | None = before_confinement
        self.vcpu = vcpu
        self.program = program
        self.space = vcpu.address_space
        self.memory = GuestMemory(self.space, vcpu.big_endian)
        self.root = Sysroot(sysroot if sysroot is None or isinstance(sysroot, bytes) else sysroot.encode())
        self.limits = MemoryLimits(self.space, GuestStack(self.space, program.stack_top))
        self.program_break = ProgramBreak(self.space, program.program_break, self.limits)
        source = signal_source or HostSignalSource(host_signals(), vcpu.state)
        self.signals = Signals(vcpu, self.memory, source)
        self.waiting_call = source.call
        """`host_call` for what may wait: NOT_MADE if a signal has come before, which the guest then sees first."""
        self.system_calls = 0
        """How many have been made."""
        self.command_name = program.path.rsplit(b"/", 1)[-1][:15]
        """PR_GET_NAME, /proc/self/comm."""
        self.personality = 0
        self.robust_list = 0
        self.clear_child_tid = 0
        self.directory_offsets = DirectoryOffsets()
        self.reads_kernel_records = False
        """Whether it has made a descriptor whose data needs `kernel_records`."""
        self._strace = strace
        self._gpr = vcpu.state.gpr  # the same memory; `state.gpr` makes a new object every time
        vcpu.wide_fpu = program.wide_fpu
        vcpu.state.pc = program.entry
        vcpu.state.gpr[29] = program.stack_pointer

    def run(self) -> ExitStatus:
        """Run to the end of the process."""
        self.signals.attach()
        try:
            while True:
                self._handle(self.vcpu.run())
                if self.signals.has_any():
                    self._deliver_signals()
        except ProcessExit as end:
            if self._strace:
                self._strace.ended(end.status)
            return end.status
        finally:
            self.signals.detach()

    def prepare_for_confinement(self) -> None:
        """Before the guest takes from this process what we need ourselves: do now what we would do later."""
        prepare, self._before_confinement = self._before_confinement, None
        if prepare is not None:
            prepare()

    def _handle(self, stop: Stop) -> None:
        state = self.vcpu.state
        if stop == Stop.EXCEPTION and state.exception_code == ExceptionCode.SYS:
            self._system_call()
        elif stop in (Stop.EXCEPTION, Stop.MEMORY_FAULT):
            info = fault_signal(stop, state, self.memory)
            if self._strace:
                self._strace.fault(info, state)
            self.signals.force(info)
        elif stop != Stop.LIMIT:
            raise RuntimeError(
                f"the vCPU returned Stop.{stop.name}, which is not the personality's to handle"
            )

    def _deliver_signals(self) -> None:
        while (found := self.signals.next_handler()) is not None:
            if self._strace:
                self._strace.signal(found[0])
            self.signals.enter_handler(*found)

    def _system_call(self) -> None:
        gpr = self._gpr
        self.system_calls += 1
        number = gpr[2]
        call: SystemCall | None = None
        result: int | None
        try:
            words = gpr[4:8]
            if number == _INDIRECT:
                number = words[0]
                words = self._argument_words(1, _REGISTER_ARGUMENTS)
            call = _BY_NUMBER.get(number)
            if call is None:
                if self._strace:
                    self._strace.unknown(NAMES.get(number) or f"syscall_{number}", words)
                self._finish(-errno.ENOSYS)
                return
            if call.words > len(words):
                words = self._argument_words(int(gpr[2] == _INDIRECT), call.words)
            arguments = call.arguments(words, self.memory.big_endian)
            if self._strace:
                self._strace.begin(self.memory, call, arguments)
            result = call.handler(self, *arguments)
        except GuestFault:
            result = -errno.EFAULT
        except OSError as error:
            result = -(error.errno or errno.EIO)
        except ValueError:  # a path with a zero byte, a number no host call accepts
            result = -errno.EINVAL
        if self._strace and call is not None:
            self._strace.end(call, result)
        if result == -errno.EINTR and call is not None:
            self._interrupted(call)
        elif result is not None and result != NOT_MADE:  # else the pc stays at the `syscall`
            self._finish(result)

    def _argument_words(self, first: int, count: int) -> list[int]:
        """Argument words `first` … `first + count`: four in registers, the rest on the stack."""
        words: list[int] = self._gpr[4:8]
        missing = first + count - _REGISTER_ARGUMENTS
        if missing > 0:
            words += self.memory.words(self._gpr[29] + _STACK_ARGUMENTS, missing)
        return words[first : first + count]

    def _finish(self, result: int) -> None:
        """Give the guest its result (v0, a3) and go on behind the `syscall` instruction."""
        state, gpr = self.vcpu.state, self._gpr
        failed = -4096 < result < 0
        if result == -errno.EMFILE:
            self.prepare_for_confinement()
        gpr[7] = failed
        gpr[2] = (guest_errno(-result) if failed else result) & 0xFFFF_FFFF
        state.pc = state.branch_target if state.in_delay_slot else (state.pc + 4) & 0xFFFF_FFFF
        state.in_delay_slot = 0

    def _interrupted(self, call: SystemCall) -> None:
        """A signal arrived while the call waited.

        If no handler is to run, or it wants restarting, the pc stays at the `syscall`, which is made again.
        """
        found = self.signals.next_handler()
        if found is None:
            return
        info, action = found
        if not (call.restarts and action.flags & SA_RESTART):
            self._finish(-errno.EINTR)
        if self._strace:
            self._strace.signal(info)
        self.signals.enter_handler(info, action)
