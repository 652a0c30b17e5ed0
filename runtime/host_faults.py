"""Host faults while native code runs (SIGSEGV, SIGBUS): they end the native call.

The handler is LLVM IR. It copies what is needed to find the guest's registers into the CPU state and jumps back
into `enter` by longjmp. A store to a page that was only write-protected because it holds decoded code is let
through: the handler empties the page's predecoded entries and asks native code to stop at the next branch, where
Python drops the rest. Only code that could itself lie on that page is precise at its stores, and then takes the
first way. In virtual machines, the accesses of regions through windows have fixups, which `access_fault` knows.
The state of the running vCPU is thread-specific data, so that a process can have several.
"""

from __future__ import annotations

import ctypes
import platform
import signal
from functools import cache
from typing import Final

from runtime.address_space import CODE, WRITE
from runtime.signal_actions import ACTION_SIZE, SignalActions
from translator.state import OFFSET, CpuState, FaultAnswer

# struct ucontext of x86-64 Linux: general registers, then the pointer to the floating-point state.
_UC_REGISTERS: Final = 40
_UC_REGISTER_COUNT: Final = 23
_UC_RIP: Final = 16
_UC_ERROR: Final = 19
_UC_FLOAT_STATE: Final = 224
_FLOAT_MXCSR: Final = 24
_SIGINFO_ADDRESS: Final = 16

SAVED_ENTRY: Final = 7
SAVED_NEXT: Final = 8
SAVED_BIAS: Final = 9
SAVED_PAGE_FAULT_ERROR: Final = 19
"""Indices of r15, rdi and rsi: where handlers keep entry, next and bias (`ARGUMENT_REGISTERS`)."""

CONSTANTS: Final = "fault_constants"
_CONSTANT_NAMES: Final = (
    "pthread_getspecific",
    "key",
    "longjmp",
    "sigaction",
    "old_actions",
    "mprotect",
    "memset",
    "precise_start",
)


def _constant(name: str) -> str:
    at = f"getelementptr (i8, ptr @{CONSTANTS}, i64 {8 * _CONSTANT_NAMES.index(name)})"
    return f"load ptr, ptr {at}"


def _copies(field: str, source: str, step: int, count: int) -> str:
    lines = []
    for n in range(count):
        lines.append(f"  %{field}.from.{n} = getelementptr i8, ptr {source}, i64 {step * n}")
        lines.append(f"  %{field}.{n} = load i64, ptr %{field}.from.{n}")
        lines.append(f"  %{field}.to.{n} = getelementptr i8, ptr %state, i64 {OFFSET[field] + 8 * n}")
        lines.append(f"  store i64 %{field}.{n}, ptr %{field}.to.{n}")
    return "\n".join(lines)


FAULT_HANDLER_IR: Final = f"""\
@{CONSTANTS} = dso_local global [{len(_CONSTANT_NAMES)} x i64] zeroinitializer

define void @host_fault(i32 %signal, ptr %info, ptr %context) nounwind {{
  %getspecific = {_constant("pthread_getspecific")}
  %key.pointer = {_constant("key")}
  %key.wide = ptrtoint ptr %key.pointer to i64
  %key = trunc i64 %key.wide to i32
  %state = call ptr %getspecific(i32 %key)
  %none = icmp eq ptr %state, null
  br i1 %none, label %foreign, label %ours
ours:
  %registers = getelementptr i8, ptr %context, i64 {_UC_REGISTERS}
  %address.at = getelementptr i8, ptr %info, i64 {_SIGINFO_ADDRESS}
  %address = load i64, ptr %address.at
  %error.at = getelementptr i8, ptr %registers, i64 {8 * _UC_ERROR}
  %error = load i64, ptr %error.at
  %error.write = and i64 %error, 2
  %is_write = icmp ne i64 %error.write, 0
  %rip.at = getelementptr i8, ptr %registers, i64 {8 * _UC_RIP}
  %rip = load i64, ptr %rip.at
  %access_fault.at = getelementptr i8, ptr %state, i64 {OFFSET["access_fault"]}
  %access_fault = load ptr, ptr %access_fault.at
  %has_windows = icmp ne ptr %access_fault, null
  %is_segv = icmp eq i32 %signal, {int(signal.SIGSEGV)}  ; after SIGBUS, the access would fault again
  %may_be_window = and i1 %has_windows, %is_segv
  br i1 %may_be_window, label %window, label %no_window
window:
  %is_store = zext i1 %is_write to i32
  %go_on = call i64 %access_fault(ptr %state, i64 %rip, i64 %address, i32 %is_store)
  %is_not_ours = icmp eq i64 %go_on, {int(FaultAnswer.NOT_OURS)}
  br i1 %is_not_ours, label %no_window, label %fixed
fixed:
  %is_again = icmp eq i64 %go_on, {int(FaultAnswer.AGAIN)}
  %rip.new = select i1 %is_again, i64 %rip, i64 %go_on
  store i64 %rip.new, ptr %rip.at
  ret void
no_window:
  %in_native.at = getelementptr i8, ptr %state, i64 {OFFSET["in_native"]}
  %in_native = load volatile i32, ptr %in_native.at
  %outside = icmp eq i32 %in_native, 0
  br i1 %outside, label %foreign, label %native
native:
  %exact.at = getelementptr i8, ptr %state, i64 {OFFSET["exact_stores"]}
  %exact = load i32, ptr %exact.at
  %is_free = icmp eq i32 %exact, 0
  %precise.pointer = {_constant("precise_start")}
  %precise = ptrtoint ptr %precise.pointer to i64
  %is_imprecise = icmp ult i64 %rip, %precise
  %memory.at = getelementptr i8, ptr %state, i64 {OFFSET["memory_base"]}
  %memory = load i64, ptr %memory.at
  %guest_address = sub i64 %address, %memory
  %in_window = icmp ult i64 %guest_address, 4294967296
  %may.1 = and i1 %is_write, %is_free
  %may.2 = and i1 %may.1, %is_imprecise
  %may = and i1 %may.2, %in_window
  br i1 %may, label %store, label %guest
store:
  %page = lshr i64 %guest_address, 12
  %flags.base.at = getelementptr i8, ptr %state, i64 {OFFSET["page_flags"]}
  %flags.base = load ptr, ptr %flags.base.at
  %flags.at = getelementptr i8, ptr %flags.base, i64 %page
  %flags = load i8, ptr %flags.at
  %flags.code = and i8 %flags, {CODE | WRITE}
  %is_code = icmp eq i8 %flags.code, {CODE | WRITE}
  br i1 %is_code, label %store_to_code, label %guest
store_to_code:
  %flags.new = and i8 %flags, {~CODE & 0xFF}
  store i8 %flags.new, ptr %flags.at
  %page.address = shl i64 %page, 12
  %page.host = add i64 %memory, %page.address
  %mprotect = {_constant("mprotect")}
  %protected = call i32 %mprotect(i64 %page.host, i64 4096, i32 3)
  %entries.at = getelementptr i8, ptr %state, i64 {OFFSET["entries_base"]}
  %entries = load i64, ptr %entries.at
  %page.entries = shl i64 %page, 14
  %entries.host = add i64 %entries, %page.entries
  %memset = {_constant("memset")}
  %cleared = call ptr %memset(i64 %entries.host, i32 0, i64 16384)
  %count.at = getelementptr i8, ptr %state, i64 {OFFSET["dirty_count"]}
  %count = load i32, ptr %count.at
  %count.wide = zext i32 %count to i64
  %dirty = getelementptr i8, ptr %state, i64 {OFFSET["dirty_pages"]}
  %dirty.at = getelementptr i32, ptr %dirty, i64 %count.wide
  %page.number = trunc i64 %page to i32
  store i32 %page.number, ptr %dirty.at
  %count.new = add i32 %count, 1
  store i32 %count.new, ptr %count.at
  %limit.at = getelementptr i8, ptr %state, i64 {OFFSET["limit"]}
  store atomic i64 0, ptr %limit.at seq_cst, align 8
  ret void
foreign:
  %sigaction = {_constant("sigaction")}
  %old = {_constant("old_actions")}
  %distance = mul i32 %signal, {ACTION_SIZE}
  %old.at = getelementptr i8, ptr %old, i32 %distance
  %restored = call i32 %sigaction(i32 %signal, ptr %old.at, ptr null)
  ret void
guest:
{_copies("fault_registers", "%registers", 8, _UC_REGISTER_COUNT)}
  %pc.to = getelementptr i8, ptr %state, i64 {OFFSET["fault_host_pc"]}
  store i64 %fault_registers.{_UC_RIP}, ptr %pc.to
  %address.to = getelementptr i8, ptr %state, i64 {OFFSET["fault_address"]}
  store i64 %address, ptr %address.to
  %float.at = getelementptr i8, ptr %context, i64 {_UC_FLOAT_STATE}
  %float = load ptr, ptr %float.at
  %mxcsr.at = getelementptr i8, ptr %float, i64 {_FLOAT_MXCSR}
  %mxcsr = load i32, ptr %mxcsr.at
  %mxcsr.to = getelementptr i8, ptr %state, i64 {OFFSET["guest_mxcsr"]}
  store i32 %mxcsr, ptr %mxcsr.to
  %longjmp = {_constant("longjmp")}
  %buffer = getelementptr i8, ptr %state, i64 {OFFSET["jump_buffer"]}
  call void %longjmp(ptr %buffer, i32 1) noreturn
  unreachable
}}
"""


_libc = ctypes.CDLL(None, use_errno=True)
_libc.pthread_setspecific.argtypes = [ctypes.c_uint, ctypes.c_void_p]


def function_address(name: str) -> int:
    """Host address of a C library function."""
    return int(ctypes.cast(getattr(_libc, name), ctypes.c_void_p).value or 0)


@cache
def _key() -> int:
    """The process's: whichever handler is installed, it finds the state of any thread's vCPU."""
    key = ctypes.c_uint()
    if _libc.pthread_key_create(ctypes.byref(key), None):
        raise OSError("no thread-specific key is left")
    return key.value


class HostFaults:
    """The handler of both signals, given its host address in the code arena."""

    def __init__(self, handler: int) -> None:
        if platform.machine() != "x86_64":
            raise OSError(f"host faults on {platform.machine()} are not known; only x86_64 is")
        self._handler = handler
        self._actions: Final = SignalActions()
        self.key: Final = _key()
        """Of the thread-specific data that `bind` sets."""

    def constants(self, precise_start: int) -> bytes:
        """The contents of the handler's table of constants."""
        values = {
            "pthread_getspecific": function_address("pthread_getspecific"),
            "key": self.key,
            "longjmp": function_address("_longjmp"),
            "sigaction": function_address("sigaction"),
            "old_actions": ctypes.addressof(self._actions.old),
            "mprotect": function_address("mprotect"),
            "memset": function_address("memset"),
            "precise_start": precise_start,
        }
        return b"".join(values[name].to_bytes(8, "little") for name in _CONSTANT_NAMES)

    def install(self) -> None:
        """Catch faults from now on, in every thread that has been `bind` to a state."""
        for number in (signal.SIGSEGV, signal.SIGBUS):
            self._actions.set(number, self._handler)

    def bind(self, state: CpuState) -> None:
        """The calling thread runs the vCPU of `state`."""
        _libc.pthread_setspecific(self.key, ctypes.addressof(state))
