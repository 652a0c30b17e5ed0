"""Host signals that a guest is to receive: noted with all they carry, and seen before a system call waits.

The handler, LLVM IR, writes what arrives to a ring and makes the vCPU leave native code. A signal that arrives
after Python has last looked, but before a system call that may wait for ever, must not be overlooked either. So
these calls are made by a native routine that looks for pending signals right before the `syscall` instruction;
when the handler interrupts it from that look up to the `syscall`, it makes it go on where a signal has been found.
"""

from __future__ import annotations

import ctypes
import errno
import platform
import signal
import struct
from collections.abc import Callable
from typing import Any, Final, NamedTuple

from runtime.code_arena import CodeArena
from runtime.disk_cache import DiskCache
from runtime.native_code import load_routine
from runtime.signal_actions import SignalActions
from translator.state import OFFSET, CpuState

VALID_SIGNALS: Final = frozenset(signal.valid_signals())
"""The host's signals, without those that its C library keeps for itself."""
ASYNCHRONOUS_SIGNALS: Final = VALID_SIGNALS - {
    *(signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE, signal.SIGTRAP)
}
"""Those that no instruction raises."""
NOT_MADE: Final = -512
"""Result of a call that a signal has come before: Linux's own -ERESTARTSYS, which no program ever sees."""

_CAPACITY: Final = 512
"""Signals noted and not yet taken; what comes on top of them is lost, as beyond RLIMIT_SIGPENDING."""
_PADDING: Final = tuple((0,) * (6 - count) for count in range(7))
_SLOT: Final = struct.Struct("=iii4x32s")
"""The first fields of the host's siginfo_t: si_signo, si_errno, si_code, the union."""
_FIRST_REAL_TIME: Final = 32

CONTEXT_PROGRAM_COUNTER: Final = 40 + 8 * 16
"""Offset in struct ucontext of x86-64 Linux: rip is the seventeenth of its general registers."""


class _Record(ctypes.Structure):
    """What handler and Python share. `written` and `taken` count slots; the ring has `_CAPACITY` of them."""

    _fields_ = [
        ("state", ctypes.c_uint64),
        ("written", ctypes.c_uint64),
        ("taken", ctypes.c_uint64),
        ("slots", ctypes.c_uint8 * (_CAPACITY * _SLOT.size)),
    ]


def _field(name: str, record: str = "%record") -> str:
    return f"getelementptr i8, ptr {record}, i64 {getattr(_Record, name).offset}"


def _state_field(name: str) -> str:
    return f"getelementptr i8, ptr %state, i64 {OFFSET[name]}"


_COPIED_WORDS: Final = range(1, _SLOT.size // 8)
"""Of siginfo_t, besides the first: the signal number there says that the slot is filled."""

_COPIES: Final = "\n".join(
    f"""\
  %from.{n} = getelementptr i64, ptr %info, i64 {n}
  %word.{n} = load i64, ptr %from.{n}
  %to.{n} = getelementptr i64, ptr %slot, i64 {n}
  store i64 %word.{n}, ptr %to.{n}"""
    for n in _COPIED_WORDS
)

_ROUTINES_IR: Final = f"""\
@signal_record = dso_local global ptr null
@look = external hidden global i8
@called = external hidden global i8
@not_made = external hidden global i8

define void @note_signal(i32 %signal, ptr %info, ptr %context) nounwind {{
  %record = load ptr, ptr @signal_record
  %state.at = {_field("state")}
  %state = load ptr, ptr %state.at
  %pending.at = {_state_field("pending_signals")}
  %wide = zext i32 %signal to i64
  %shift = and i64 %wide, 63
  %bit = shl i64 1, %shift
  %pending = load atomic i64, ptr %pending.at seq_cst, align 8
  %pending.this = and i64 %pending, %bit
  %is_pending = icmp ne i64 %pending.this, 0
  %is_standard = icmp ult i32 %signal, {_FIRST_REAL_TIME}
  %is_noted = and i1 %is_pending, %is_standard
  br i1 %is_noted, label %ask, label %reserve
reserve:
  %written.at = {_field("written")}
  %index = load atomic i64, ptr %written.at seq_cst, align 8
  %taken.at = {_field("taken")}
  %taken = load atomic i64, ptr %taken.at seq_cst, align 8
  %used = sub i64 %index, %taken
  %is_full = icmp uge i64 %used, {_CAPACITY}
  br i1 %is_full, label %ask, label %try
try:
  %next = add i64 %index, 1
  %exchange = cmpxchg ptr %written.at, i64 %index, i64 %next seq_cst seq_cst
  %is_reserved = extractvalue {{ i64, i1 }} %exchange, 1
  br i1 %is_reserved, label %note, label %reserve
note:
  %place = urem i64 %index, {_CAPACITY}
  %distance = mul i64 %place, {_SLOT.size}
  %slots = {_field("slots")}
  %slot = getelementptr i8, ptr %slots, i64 %distance
{_COPIES}
  %first = load i64, ptr %info
  store atomic i64 %first, ptr %slot seq_cst, align 8
  br label %ask
ask:
  %before = atomicrmw or ptr %pending.at, i64 %bit seq_cst
  %limit.at = {_state_field("limit")}
  store atomic i64 0, ptr %limit.at seq_cst, align 8
  %rip.at = getelementptr i8, ptr %context, i64 {CONTEXT_PROGRAM_COUNTER}
  %rip = load i64, ptr %rip.at
  %look = ptrtoint ptr @look to i64
  %called = ptrtoint ptr @called to i64
  %length = sub i64 %called, %look
  %offset = sub i64 %rip, %look
  %is_about_to_call = icmp ult i64 %offset, %length
  br i1 %is_about_to_call, label %prevent, label %done
prevent:
  %not_made = ptrtoint ptr @not_made to i64
  store i64 %not_made, ptr %rip.at
  br label %done
done:
  ret void
}}

define i64 @call_unless_signalled(
    ptr %pending, i64 %number, i64 %a, i64 %b, i64 %c, i64 %d, i64 %e, i64 %f) nounwind noinline {{
  %result = call i64 asm sideeffect "\\0A.globl look\\0A.globl called\\0A.globl not_made\\0A\
look: cmpq $$0, ($1)\\0A\
  jne not_made\\0A\
  syscall\\0A\
called: jmp 1f\\0A\
not_made: movq $${NOT_MADE}, %rax\\0A\
1:", "={{rax}},r,{{rax}},{{rdi}},{{rsi}},{{rdx}},{{r10}},{{r8}},{{r9}},~{{rcx}},~{{r11}},~{{memory}},~{{flags}}"(
    ptr %pending, i64 %number, i64 %a, i64 %b, i64 %c, i64 %d, i64 %e, i64 %f)
  ret i64 %result
}}
"""


class CaughtSignal(NamedTuple):
    """A host signal, in the host's numbering and layout."""

    number: int
    code: int
    """si_code."""
    union: bytes
    """What follows in siginfo_t: sender, value, timer, …, by code and number."""


class HostSignals:
    """The native handler for the guest's signals, and the system calls that it interrupts. One per process."""

    def __init__(self, cache: DiskCache) -> None:
        if platform.machine() != "x86_64":
            raise OSError(errno.ENOSYS, f"host signals on {platform.machine()} are not known; only x86_64 is")
        self._arena: Final = CodeArena(1 << 16)
        routines = load_routine("host-signals", _ROUTINES_IR, self._arena, cache).symbols
        self.handler: Final = self._arena.base + routines["note_signal"]
        """Host address of the handler."""
        self.call_range: Final = range(
            self._arena.base + routines["look"], self._arena.base + routines["called"]
        )
        """Host addresses at which the handler prevents a call."""
        self.not_made: Final = self._arena.base + routines["not_made"]
        """Host address where it makes it go on."""
        self._record: Final = _Record()
        self._arena.write(routines["signal_record"], ctypes.addressof(self._record).to_bytes(8, "little"))
        self._actions: Final = SignalActions()
        self._state = CpuState()
        self.bind(self._state)
        kind = ctypes.CFUNCTYPE(ctypes.c_long, *[ctypes.c_void_p] * 8)
        self._call: Final = kind(self._arena.base + routines["call_unless_signalled"])

    def bind(self, state: CpuState) -> None:
        """From now on signals set their bit (number modulo 64) in this state's `pending_signals`."""
        self.take()  # what is left was for the state before
        self._state = state  # the handler knows only its address
        self._record.state = ctypes.addressof(state)

    def catch(self, number: int) -> None:
        """Note signal `number` when it arrives, and make the vCPU leave native code."""
        self._actions.set(number, self.handler, blocked=ASYNCHRONOUS_SIGNALS)

    def release(self, number: int) -> None:
        """Give the signal the action that it had before, if it is caught."""
        self._actions.restore(number)

    def take(self) -> list[CaughtSignal]:
        """All signals noted since the last call, in order; `pending_signals` is cleared."""
        record = self._record
        # Cleared first: what arrives from here on is either read below or pending again.
        self._state.pending_signals = 0
        caught = []
        while record.taken != record.written:
            place = record.taken % _CAPACITY * _SLOT.size
            number, _, code, union = _SLOT.unpack_from(record.slots, place)
            if not number:
                break  # another thread's handler is about to fill it
            caught.append(CaughtSignal(number, code, union))
            _SLOT.pack_into(record.slots, place, 0, 0, 0, b"")
            record.taken += 1
        return caught

    def caller(self, state: CpuState) -> Callable[..., int]:
        """A function that makes host system calls, unless a signal is pending in `state`: then it gives NOT_MADE.

        It takes the call's number and up to six arguments: integers, `bytes`, ctypes buffers or None. It returns
        the result, or minus the error number.
        """
        routine, pending = self._call, ctypes.addressof(state) + OFFSET["pending_signals"]

        def call(number: int, *arguments: Any) -> int:
            result: int = routine(pending, number, *arguments, *_PADDING[len(arguments)])
            return result

        return call


_shared: HostSignals | None = None


def host_signals(*, use_cache: bool = True) -> HostSignals:
    """This process's. `use_cache`: whether its code may come from the disk cache, if it is yet to be made."""
    global _shared
    if _shared is None:
        _shared = HostSignals(DiskCache(enabled=use_cache))
    return _shared
