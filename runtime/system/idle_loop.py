"""Idle vCPUs and the native loop that sleeps for them and runs their ticks: see `translator.system.idle_loop`."""

from __future__ import annotations

import ctypes
import select
import signal
from collections.abc import Callable
from functools import cache
from itertools import count
from typing import TYPE_CHECKING, Any, Final

from runtime.host_faults import function_address
from runtime.native_code import load_or_compile, system_native_code
from runtime.system import host_timer, preemption_timer
from translator.system.idle_loop import (
    OWNER_SHIFT,
    SPACE_SHIFT,
    STILL_WAITS,
    TAKEN,
    LoopRecord,
    VcpuRecord,
    idle_loop_ir,
)

if TYPE_CHECKING:
    from runtime.system.preemption_timer import PreemptionTimer
    from runtime.system.vcpu import SystemVcpu

TIMER_SIGNALS: Final = frozenset((host_timer.SIGNAL, preemption_timer.SIGNAL))
"""They wait until a sleep has ended, and would disturb any thread that runs no vCPU for nothing."""
PATIENCE: Final = 4_000_000
"""Nanoseconds that a vCPU has at least when it goes on behind a `wait`: it will mostly come to another one before that,
and setting a timer costs, too."""
_SIGNAL_SET_SIZE: Final = 128
"""Bytes of glibc's sigset_t."""
_ADDRESS: Final = ctypes.c_uint64

_numbers: Final = count(1)


class _PollDescriptor(ctypes.Structure):
    """struct pollfd."""

    _fields_ = [("descriptor", ctypes.c_int), ("events", ctypes.c_short), ("found", ctypes.c_short)]


class _Routines:
    """The native ones. Only `idle` gives up the interpreter's lock."""

    def __init__(self) -> None:
        native = system_native_code(big_endian=False)
        loaded = load_or_compile("idle-loop.o", idle_loop_ir, native.arena, native.cache)

        def function(name: str, kind: Any, result: Any) -> Callable[[int], int]:
            made: Callable[[int], int] = kind(result, _ADDRESS)(native.arena.base + loaded.symbols[name])
            return made

        self.take: Final = function("take", ctypes.PYFUNCTYPE, ctypes.c_uint32)
        self.first: Final = function("first", ctypes.PYFUNCTYPE, _ADDRESS)
        self.idle: Final = function("idle", ctypes.CFUNCTYPE, _ADDRESS)


@cache
def _routines() -> _Routines:
    """The process's."""
    return _Routines()


class IdleVcpu:
    """A vCPU that can be lent to loops, one at a time."""

    def __init__(self, vcpu: SystemVcpu) -> None:
        native = vcpu.native
        self._vcpu: Final = vcpu
        self._state: Final = vcpu.state
        self._record: Final = VcpuRecord(
            state=ctypes.addressof(vcpu.state),
            enter=native.arena.base + native.handlers["enter"],
            update_timer=native.arena.base + native.handlers["update_timer"],
            fault_key=native.host_faults.key,
            claim=TAKEN,
        )
        self.address: Final = ctypes.addressof(self._record)

    def take(self) -> bool:
        """On any thread: no loop is to start running it; False if one does: that will come by with it soon."""
        return bool(_routines().take(self.address))

    def take_back(self) -> int | None:
        """On the loop's thread, when it has come by with it: result of `enter`; None: it still stands at its `wait`."""
        self._record.claim = TAKEN
        self._vcpu.note_outside()
        for note in self._record.notes[: self._record.noted]:
            self._vcpu.meet_hot(note & 0xFFFF_FFFF, note >> SPACE_SHIFT)
        self._record.noted = 0
        left = int(self._record.left)
        return None if left == STILL_WAITS else left

    def lend(self, owner: int, deadline: int) -> None:
        """See `IdleLoop.lend`."""
        self._vcpu.phase |= 1  # it may be entered, and left, at any time
        self._record.deadline = deadline
        self._record.latest = deadline  # until it has waited here once
        self._record.left = STILL_WAITS
        self._record.claim = owner

    def is_lent_to(self, owner: int) -> bool:
        """Whether the claim says so, or that the loop runs it."""
        return (
            int(self._record.claim) >> OWNER_SHIFT == owner >> OWNER_SHIFT and not self._record.claim & TAKEN
        )

    @property
    def time(self) -> int:
        """Nanoseconds of processor time that loops have spent on it."""
        return int(self._record.time)

    @property
    def ticks(self) -> int:
        """How often loops have run it."""
        return int(self._record.ticks)

    def timer_was_withheld(self) -> bool:
        """Whether its host timer has been since the last call, so that it must be set before it runs elsewhere."""
        was_withheld = bool(self._record.timer_is_off)
        if was_withheld:
            self._record.timer_is_off = 0
        return was_withheld


class IdleLoop:
    """Of one thread, whose methods these are, `want` and `time` excepted."""

    def __init__(
        self,
        descriptor: int,
        *,
        timer: PreemptionTimer,
    ) -> None:
        """It returns when `descriptor` is readable.

        A vCPU that runs longer than PATIENCE is asked to stop by `timer`, the thread's, before twice that has passed.
        """
        self._polled: Final = _PollDescriptor(descriptor, select.POLLIN)
        blocked = {*signal.pthread_sigmask(signal.SIG_BLOCK, ()), *TIMER_SIGNALS}
        mask = sum(1 << number - 1 for number in blocked)
        self._mask: Final = ctypes.create_string_buffer(mask.to_bytes(8, "little"), _SIGNAL_SET_SIZE)
        self._owner: Final = next(_numbers) << OWNER_SHIFT
        self._record: Final = LoopRecord(
            owner=self._owner,
            running_at=timer.running_at,
            preemption_timer=timer.id,
            patience=PATIENCE,
            mask=ctypes.addressof(self._mask),
            polled=ctypes.addressof(self._polled),
            ppoll=function_address("ppoll"),
            clock_gettime=function_address("clock_gettime"),
            timer_settime=function_address("timer_settime"),
            setspecific=function_address("pthread_setspecific"),
        )
        self._address: Final = ctypes.addressof(self._record)
        self._idle: Final = _routines().idle
        self._first: Final = _routines().first
        self._lent: list[IdleVcpu] = []
        """In the order of `_addresses`; some have been taken since."""
        self._addresses = (_ADDRESS * 8)()
        self._record.vcpus = ctypes.addressof(self._addresses)

    def lend(self, vcpu: IdleVcpu, deadline: int) -> None:
        """From now on `run` sees to a vCPU that stands at a `wait` which Compare ends, at a time of `monotonic_ns`."""
        self._lent = [other for other in self._lent if other is not vcpu and other.is_lent_to(self._owner)]
        self._lent.append(vcpu)
        vcpu.lend(self._owner, deadline)
        if len(self._lent) > len(self._addresses):
            self._addresses = (_ADDRESS * (2 * len(self._lent)))()
            self._record.vcpus = ctypes.addressof(self._addresses)
        self._addresses[: len(self._lent)] = [other.address for other in self._lent]
        self._record.count = len(self._lent)

    def first_deadline(self) -> int | None:
        """When the first of those is due that have been lent and not been taken since; None if there is none."""
        if not self._lent or not self._first(self._address):
            return None
        return int(self._record.first)

    def take_due(self, now: int) -> IdleVcpu | None:
        """Take the vCPU that is due first, if it is by `now`."""
        while self._lent and (address := self._first(self._address)) and self._record.first <= now:
            vcpu = self._at(address)
            if vcpu.take():
                return vcpu
        return None

    def run(self) -> IdleVcpu | None:
        """Sleep and run ticks; what vCPU has stopped for something else, or None: the loop is wanted, or a signal came.

        That vCPU is to be `take_back`.
        """
        self._polled.found = 0
        address = self._idle(self._address)
        return self._at(address) if address else None

    def _at(self, address: int) -> IdleVcpu:
        return next(vcpu for vcpu in self._lent if vcpu.address == address)

    @property
    def is_called(self) -> bool:
        """Whether the descriptor was readable when `run` returned with nothing."""
        return bool(self._polled.found)

    @property
    def slept(self) -> int:
        """Nanoseconds that `run` has slept."""
        return int(self._record.slept)

    @property
    def time(self) -> int:
        """Nanoseconds of processor time that have been spent on vCPUs."""
        return int(self._record.time)

    @property
    def preempts_at(self) -> int:
        """When the timer expires, in terms of `monotonic_ns`; a time in the past: it has not been set."""
        return int(self._record.preempts_at)

    @preempts_at.setter
    def preempts_at(self, time: int) -> None:
        self._record.preempts_at = time

    def want(self, wants: bool) -> None:
        """On any thread: `run` is to return as soon as no vCPU runs. It does not end a sleep: the descriptor does."""
        self._record.wanted = wants
