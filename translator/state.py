"""The state of one vCPU: a single table that gives the ctypes structure and the IR offsets.

Every field the engines, the runtime or generated code touch stands in `FIELDS`, once. Python sees it as
`CpuState` (a ctypes structure); generated code reaches it by `OFFSET[name]` from the state pointer, which is
the only address that generated code ever knows.
"""

from __future__ import annotations

import ctypes
from enum import IntEnum
from typing import Any, Final

GPR_SINK: Final = 32
"""Register number that stands for `$zero` as a destination: writes to it are never read."""


class ExceptionCode(IntEnum):
    """Cause.ExcCode (MIPS32 PRA vol. III, table 9.31)."""

    INT = 0
    MOD = 1
    TLBL = 2
    TLBS = 3
    ADEL = 4
    ADES = 5
    SYS = 8
    BP = 9
    RI = 10
    CPU = 11
    OV = 12
    TR = 13
    FPE = 15


class Stop(IntEnum):
    """Why native code (or the reference engine) returned to its caller; `CpuState.stop`."""

    NONE = 0
    EXCEPTION = 1
    """The instruction at pc raised `exception_code`; nothing of it has been done."""
    LIMIT = 2
    """The retired-instruction limit was reached, or another thread or a signal asked for a stop."""
    UNDECODED = 3
    """Control reached an instruction whose predecoded entry is empty and whose word is not in the cache."""
    HOT = 4
    """The branch at pc is about to enter the block at `hot_target` for the HOT_THRESHOLD-th time."""
    MEMORY_FAULT = 5
    """The access of the instruction at pc touched host memory that is not mapped or protected."""
    BREAKPOINT = 6
    """Control reached an address planted by `run(until=...)`, or single-stepping finished."""
    FPU_MODE = 7
    """A ctc1 changed the bits of FCSR that translations depend on (enables, FS, rounding mode)."""


# name, ctypes type, meaning
FIELDS: Final[tuple[tuple[str, Any, str], ...]] = (
    ("gpr", ctypes.c_uint32 * 33, "general registers; [32] is the sink of writes to $zero"),
    ("pc", ctypes.c_uint32, "address of the next instruction (of the faulting one after an exception)"),
    ("accumulator", ctypes.c_uint64, "HI in the upper, LO in the lower half"),
    ("fpr", ctypes.c_uint64 * 32, "FR=1: 64-bit registers. FR=0: fpr[k] holds f(2k) low, f(2k+1) high, k<16"),
    ("fcsr", ctypes.c_uint32, "FCSR without condition codes; read it by translator.float_unit.read_fcsr"),
    ("fir", ctypes.c_uint32, "FIR, read only"),
    ("fcc", ctypes.c_uint8 * 8, "FPU condition codes, one byte each, 0 or 1"),
    ("user_local", ctypes.c_uint32, "UserLocal: rdhwr $29, the thread pointer"),
    ("hwr_enable", ctypes.c_uint32, "HWREna"),
    ("link_address", ctypes.c_uint32, "virtual address of the last ll"),
    ("link_valid", ctypes.c_uint32, "LLbit"),
    ("link_value", ctypes.c_uint32, "the word ll read: sc succeeds by compare-exchange against it"),
    # The last FPU arithmetic operation, for FCSR.Cause on demand.
    ("last_fp_operation", ctypes.c_uint32, "its number; 0: fcsr holds Cause"),
    ("last_fp_operand0", ctypes.c_uint64, "bits of its first operand, in the low bits"),
    ("last_fp_operand1", ctypes.c_uint64, "bits of its second operand, if it has one"),
    ("last_fp_operand2", ctypes.c_uint64, "bits of its third operand, if it has one"),
    ("float_checked", ctypes.c_uint32, "1: FCSR enables exceptions or flushing; operations must be exact"),
    # Delay slots.
    ("branch_target", ctypes.c_uint32, "where control goes after the delay slot at pc, if in_delay_slot"),
    ("in_delay_slot", ctypes.c_uint32, "1: pc is a delay slot whose branch has been executed"),
    ("last_branch", ctypes.c_uint64, "tier 0: host address of the entry of the last branch executed"),
    # Stops.
    ("stop", ctypes.c_uint32, "a Stop"),
    ("exception_code", ctypes.c_uint32, "an ExceptionCode"),
    ("coprocessor", ctypes.c_uint32, "Cause.CE of a coprocessor-unusable exception"),
    ("bad_virtual_address", ctypes.c_uint32, "BadVAddr"),
    ("hot_target", ctypes.c_uint32, "Stop.HOT: the address of the block that became hot"),
    ("address_error_entry", ctypes.c_uint32 * 4, "predecoded entry that raises AdEL for bad_virtual_address"),
    ("step_entry", ctypes.c_uint32 * 4, "predecoded entry that stops after a delay slot"),
    # Accounting: see ARCHITECTURE.md, "Counting instructions".
    ("limit", ctypes.c_uint64, "native code stops at a branch if clock >= limit; 0 asks for a stop at once"),
    ("clock", ctypes.c_uint64, "16 x retired instructions, when outside native code"),
    ("translated_clock", ctypes.c_uint64, "16 x instructions retired in regions, if they count"),
    ("counts_instructions", ctypes.c_uint32, "1: Count follows the clock, else the host's cycle counter"),
    ("pending_signals", ctypes.c_uint64, "host signals received, bit per number, set by the native handler"),
    # Bases.
    ("memory_base", ctypes.c_uint64, "host address of guest address 0 (window)"),
    ("entries_base", ctypes.c_uint64, "host address of the predecoded entry of guest address 0"),
    ("handlers_base", ctypes.c_uint64, "host address that handler offsets are relative to"),
    ("interpreter_end", ctypes.c_uint32, "handler offsets below this belong to tier 0"),
    ("page_flags", ctypes.c_uint64, "host address of the byte per guest page (AddressSpace.page_flags)"),
    ("decode_cache", ctypes.c_uint64, "host address of the word -> predecoded entry hash"),
    ("setjmp", ctypes.c_uint64, "host address of the C library's _setjmp"),
    ("jump_buffer", ctypes.c_uint8 * 512, "setjmp buffer of the running native call"),
    ("in_native", ctypes.c_uint32, "1 between setjmp and return of the native call"),
    ("fault_host_pc", ctypes.c_uint64, "host pc of the last caught host fault"),
    ("fault_address", ctypes.c_uint64, "host address of the last caught host fault"),
    ("fault_registers", ctypes.c_uint64 * 32, "host general registers at the last caught host fault"),
    ("access_point", ctypes.c_uint32, "number of the last memory access of a precise region"),
    ("dirty_count", ctypes.c_uint32, "pages in dirty_pages"),
    ("dirty_pages", ctypes.c_uint32 * 2048, "code pages that stores have hit; not yet dropped in Python"),
    ("exact_stores", ctypes.c_uint32, "1: a store to a code page ends the native call instead"),
    ("host_mxcsr", ctypes.c_uint32, "host floating-point control register saved around native code"),
    ("guest_mxcsr", ctypes.c_uint32, "the guest's, loaded while native code runs"),
)


class CpuState(ctypes.Structure):
    """One vCPU's registers and run control, shared with generated code."""

    _fields_ = [(name, kind) for name, kind, _ in FIELDS]

    @property
    def hi(self) -> int:
        return int(self.accumulator) >> 32

    @hi.setter
    def hi(self, value: int) -> None:
        self.accumulator = (value & 0xFFFF_FFFF) << 32 | self.lo

    @property
    def lo(self) -> int:
        return int(self.accumulator) & 0xFFFF_FFFF

    @lo.setter
    def lo(self, value: int) -> None:
        self.accumulator = self.hi << 32 | (value & 0xFFFF_FFFF)


OFFSET: Final[dict[str, int]] = {name: getattr(CpuState, name).offset for name, _, _ in FIELDS}
"""Byte offset of each field from the state pointer."""
