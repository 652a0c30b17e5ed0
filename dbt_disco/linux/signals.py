"""A guest process's signal state: dispositions, masks, what is pending, and delivery."""

from __future__ import annotations

import ctypes
import signal
from collections.abc import Iterable
from typing import Final, NamedTuple

from dbt_disco.linux.exit_status import ExitStatus, ProcessExit
from dbt_disco.linux.guest_memory import GuestFault, GuestMemory
from dbt_disco.linux.host_kernel import host_call
from dbt_disco.linux.signal_frame import AlternateStack, pop_frame, push_frame, stack_top
from dbt_disco.linux.signal_info import SI_KERNEL, SignalInfo
from dbt_disco.linux.signal_numbers import (
    LAST,
    SIGBUS,
    SIGKILL,
    SIGSEGV,
    SIGSTOP,
    SYNCHRONOUS,
    DefaultAction,
    default_action,
    guest_mask,
    host_mask,
    host_signal,
)
from dbt_disco.linux.signal_source import SignalSource
from dbt_disco.linux.vcpu import Vcpu
from runtime.host_signals import ASYNCHRONOUS_SIGNALS, VALID_SIGNALS

SIG_DFL: Final = 0
SIG_IGN: Final = 1

# sa_flags (asm/signal.h)
SA_SIGINFO: Final = 0x0000_0008
SA_ONSTACK: Final = 0x0800_0000
SA_RESTART: Final = 0x1000_0000
SA_NODEFER: Final = 0x4000_0000
SA_RESETHAND: Final = 0x8000_0000

_MEMORY_FAULTS: Final = frozenset({SIGSEGV, SIGBUS})
_UNBLOCKABLE: Final = 1 << (SIGKILL - 1) | 1 << (SIGSTOP - 1)


class Action(NamedTuple):
    """struct sigaction."""

    handler: int = SIG_DFL
    flags: int = 0
    mask: int = 0


class Signals:
    """One thread's signals. Numbers and masks are the guest's; bit 0 of a mask is signal 1.

    The guest's mask is mirrored to the host, so that the host kernel keeps blocked signals pending and
    interrupts blocking calls exactly when the guest is to be interrupted.
    """

    def __init__(self, vcpu: Vcpu, memory: GuestMemory, source: SignalSource) -> None:
        self._vcpu = vcpu
        self._memory = memory
        self._source = source
        self._actions: dict[int, Action] = {}
        self._queue: list[SignalInfo] = []
        self.alternate_stack = AlternateStack()
        self.mask = 0
        self._mask_on_host = 0
        self._mask_to_restore: int | None = None
        """Set by sigsuspend and its like: the mask to put back once the signal has been delivered."""

    def attach(self) -> None:
        """Begin to receive the host's signals for the guest."""
        self._source.attach()
        for number in range(1, 32):
            host = host_signal(number)
            if host is None or number in SYNCHRONOUS or number in (SIGKILL, SIGSTOP):
                continue
            current = signal.getsignal(host)
            # Python itself ignores these two at start; what its parent did cannot be known.
            if current == signal.SIG_IGN and host not in (signal.SIGPIPE, signal.SIGXFSZ):
                self._actions[number] = Action(SIG_IGN)
            self._arrange(number)
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, ())
        self.mask = self._mask_on_host = guest_mask(sum(1 << (host - 1) for host in blocked))

    def detach(self) -> None:
        """Put the host's dispositions back."""
        self._source.release()

    # Dispositions and masks.

    def action(self, number: int) -> Action:
        """What the guest has asked for."""
        return self._actions.get(number, Action())

    def set_action(self, number: int, action: Action) -> None:
        """sigaction: applies at once to what is pending too."""
        self._actions[number] = action._replace(mask=action.mask & ~_UNBLOCKABLE)
        if number in _MEMORY_FAULTS and action.handler not in (SIG_DFL, SIG_IGN):
            self._vcpu.precise_faults = True
        if self._ignored(number):
            self._queue = [info for info in self._queue if info.number != number]
        self._arrange(number)

    def set_mask(self, mask: int) -> None:
        """Block exactly these signals, here and on the host."""
        self.mask = mask & ~_UNBLOCKABLE
        if self.mask != self._mask_on_host:
            self._mask_on_host = self.mask
            how_set_mask = 2
            host_call("rt_sigprocmask", how_set_mask, host_mask(self.mask).to_bytes(8, "little"), None, 8)

    def suspend(self, mask: int) -> None:
        """Replace the mask until the next signal has been delivered (sigsuspend, ppoll, pselect).

        Not on the host: the system call that waits does so there, or a signal could slip in before it.
        """
        if self._mask_to_restore is None:
            self._mask_to_restore = self.mask
        self.mask = mask & ~_UNBLOCKABLE

    def resume(self) -> None:
        """Undo `suspend`, if no signal's delivery has done so."""
        if self._mask_to_restore is not None:
            mask, self._mask_to_restore = self._mask_to_restore, None
            self.set_mask(mask)

    def _arrange(self, number: int) -> None:
        """Tell the host what to do with a signal, given what the guest wants."""
        host = host_signal(number)
        if host not in VALID_SIGNALS or number in SYNCHRONOUS:
            return
        handler = self.action(number).handler
        if handler == SIG_IGN:
            self._source.ignore(host)
        elif handler == SIG_DFL and default_action(number) in (DefaultAction.IGNORE, DefaultAction.STOP):
            self._source.restore_default(host)
        elif handler != SIG_DFL or number < 32:
            self._source.catch(host)
        else:
            self._source.restore_default(host)

    def _ignored(self, number: int) -> bool:
        handler = self.action(number).handler
        return handler == SIG_IGN or (handler == SIG_DFL and default_action(number) is DefaultAction.IGNORE)

    def ignored_and_caught(self) -> tuple[int, int]:
        """The sets of signals that are ignored at the guest's wish, and that it has handlers for."""
        ignored = [number for number, action in self._actions.items() if action.handler == SIG_IGN]
        caught = [n for n, action in self._actions.items() if action.handler not in (SIG_DFL, SIG_IGN)]
        return _signal_set(ignored), _signal_set(caught)

    # Pending signals.

    def send_to_self(self, info: SignalInfo) -> None:
        """The guest sends itself a signal: one that it blocks waits with the host, where signalfd finds it."""
        host = host_signal(info.number) or 0
        if host in ASYNCHRONOUS_SIGNALS and self.mask & self._mask_on_host & 1 << (info.number - 1):
            is_kept = self._source.keep_pending(host, info.to_host())
        else:
            is_kept = False
        if not is_kept:
            self.send(info)

    def send(self, info: SignalInfo) -> None:
        """Queue a signal. Standard signals are not queued twice."""
        number = info.number
        if self._ignored(number) and not self.mask >> (number - 1) & 1:
            return
        if number < 32 and any(queued.number == number for queued in self._queue):
            return
        self._queue.append(info)

    def pending(self) -> int:
        """The set of signals that are blocked and pending, on the host's side excepted."""
        self._collect()
        return _signal_set(info.number for info in self._queue)

    def pending_on_both(self) -> int:
        """The set of signals that are blocked and pending, here or still with the host."""
        host = ctypes.c_uint64()
        host_call("rt_sigpending", ctypes.byref(host), 8)
        return (self.pending() | guest_mask(host.value)) & self.mask

    def take(self, wanted: int) -> SignalInfo | None:
        """Remove and return the pending signal with the lowest number in `wanted`."""
        self._collect()
        candidates = [info for info in self._queue if wanted >> (info.number - 1) & 1]
        if not candidates:
            return None
        chosen = min(candidates, key=lambda info: info.number)
        self._queue.remove(chosen)
        return chosen

    def _collect(self) -> None:
        for caught in self._source.take():
            info = SignalInfo.from_host(*caught)
            if info is not None:
                self.send(info)

    def has_any(self) -> bool:
        """Whether there is any signal at all, deliverable or not."""
        return bool(self._queue) or self._source.has_caught()

    def has_deliverable(self) -> bool:
        """Whether some signal would now interrupt the guest."""
        self._collect()
        return any(not self.mask >> (info.number - 1) & 1 for info in self._queue)

    # Delivery.

    def next_handler(self) -> tuple[SignalInfo, Action] | None:
        """The next signal that a handler is to see; signals without one take their default action here."""
        while (info := self.take(~self.mask)) is not None:
            action = self.action(info.number)
            if action.handler == SIG_IGN:
                continue
            if action.handler != SIG_DFL:
                return info, action
            self._take_default_action(info)
        return None

    def force(self, info: SignalInfo) -> None:
        """Deliver a signal an instruction raised; blocked or ignored, it kills."""
        action = self.action(info.number)
        if action.handler in (SIG_DFL, SIG_IGN) or self.mask >> (info.number - 1) & 1:
            raise ProcessExit(ExitStatus.killed(info.number))
        self.enter_handler(info, action)

    def enter_handler(self, info: SignalInfo, action: Action) -> None:
        """Make the vCPU continue in the handler; without room for its frame the guest dies by SIGSEGV."""
        state = self._vcpu.state
        saved = self.mask if self._mask_to_restore is None else self._mask_to_restore
        self._mask_to_restore = None
        stack = self.alternate_stack
        on_stack = bool(action.flags & SA_ONSTACK)
        top = stack_top(state, stack, on_stack)
        flags = (1 if stack.holds(state.gpr[29]) else 0) if stack.size else 2
        try:
            push_frame(
                self._memory,
                state,
                self._vcpu.wide_fpu,
                info,
                saved,
                action.handler,
                bool(action.flags & SA_SIGINFO),
                top,
                stack._replace(flags=flags),
            )
        except GuestFault:
            if info.number == SIGSEGV:
                self._actions[SIGSEGV] = Action()
            self.force(SignalInfo(SIGSEGV, SI_KERNEL))
            return
        if action.flags & SA_RESETHAND:
            self.set_action(info.number, action._replace(handler=SIG_DFL))
        mask = self.mask | action.mask
        if not action.flags & SA_NODEFER:
            mask |= 1 << (info.number - 1)
        self.set_mask(mask)

    def leave_handler(self, with_info: bool) -> None:
        """sigreturn and rt_sigreturn; a frame that cannot be read is SIGSEGV."""
        try:
            mask, stack = pop_frame(self._memory, self._vcpu.state, self._vcpu.wide_fpu, with_info)
        except GuestFault:
            self.force(SignalInfo(SIGSEGV, SI_KERNEL))
            return
        self.set_mask(mask)
        if stack is not None and not self.alternate_stack.holds(self._vcpu.state.gpr[29]):
            self.alternate_stack = AlternateStack() if stack.flags & 2 else stack._replace(flags=0)

    def _take_default_action(self, info: SignalInfo) -> None:
        kind = default_action(info.number)
        if kind is DefaultAction.IGNORE:
            return
        if kind is DefaultAction.STOP:
            host = host_signal(info.number)
            assert host is not None
            # The whole process stops, as the guest would; its disposition on the host is the default.
            host_call("tgkill", host_call("getpid"), host_call("gettid"), host)
            return
        raise ProcessExit(ExitStatus.killed(info.number))


def _signal_set(numbers: Iterable[int]) -> int:
    mask = 0
    for number in numbers:
        mask |= 1 << (number - 1)
    return mask


def valid(number: int) -> bool:
    """Whether it is a signal number at all."""
    return 1 <= number <= LAST
