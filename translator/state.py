"""The state of one vCPU: a single table that gives the ctypes structure and the IR offsets.

Every field the engines, the runtime or generated code touch stands in `FIELDS`, once. Python sees it as
`CpuState` (a ctypes structure); generated code reaches it by `OFFSET[name]` from the state pointer, which is
the only address that generated code ever knows.
"""

from __future__ import annotations

import ctypes
from enum import IntEnum
from typing import Any, Final

from translator.system.views import SPACES

GPR_SINK: Final = 32
"""Register number that stands for `$zero` as a destination: writes to it are never read."""


class ExceptionCode(IntEnum):
    """Cause.ExcCode (MIPS32 PRA vol. III, table 9.31)."""

    INT = 0
    MOD = 1
    """A store to a page that the TLB does not let be written."""
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


class FaultAnswer(IntEnum):
    """What `CpuState.access_fault` says of a host fault, unless it is where to go on."""

    NOT_OURS = 0
    AGAIN = 1
    """The access can be done now."""


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
    # In system mode only. `access_address` and `access_physical` say what is being accessed.
    DEVICE = 8
    """The access of the instruction at pc goes to no memory: a device, or nothing."""
    NEW_CODE = 9
    """The first instruction is fetched from a page of memory."""
    STORE_TO_CODE = 10
    """The instruction at pc stores to a page that holds decoded code, and too many have done so already."""
    COPY_ON_WRITE = 11
    """The instruction at pc stores to a machine page that is not the virtual machine's own."""
    FETCH_ELSEWHERE = 12
    """An instruction is fetched from physical addresses that are no memory."""
    WAIT = 13
    """The `wait` at pc has nothing to do: no unmasked interrupt is pending."""
    MONITOR_CALL = 14
    """The `hypcall` at pc."""
    REGISTER_MODE = 15
    """Status.FR has been changed by the instruction before pc."""
    BACK_MAP_FULL = 16
    """There is no record left for another translation in the tables."""
    NEW_SPACE = 19
    """EntryHi has an ASID whose views have not been made yet."""
    VISIT = 18
    """Another thread has something for the vCPU's thread, such as a translation."""
    PRIVILEGED_PAGE = 17
    """The access of the instruction at pc goes to the privileged-register page."""


class Access(IntEnum):
    """What an address is translated for; the order of the tables in a view."""

    LOAD = 0
    STORE = 1
    FETCH = 2


TLB_SIZE: Final = 64
"""Entries of the largest TLB."""
SECOND_LEVEL_SIZE: Final = 16384
"""Entries of the second-level TLB: 128 MB."""
SECOND_LEVEL_RINGS: Final = TLB_SIZE + 1
"""One for each TLB entry, and one for what the guest cannot know the entry of."""
SECOND_LEVEL_EMPTY: Final = 0xFFFF_FFFF
"""In `second_hi`, of an entry that holds nothing."""
COLLECTED_SIZE: Final = 256
"""Bytes stored to a device that are delivered together (`translator.system.direct_registers`)."""
FLOAT_PLAN_SIZE: Final = 16
"""FPU operations in a row whose results may wait for one check."""
FLOAT_VALUES: Final = 4 * FLOAT_PLAN_SIZE
"""Their operands and results."""


# name, ctypes type, meaning
FIELDS: Final[tuple[tuple[str, Any, str], ...]] = (
    ("gpr", ctypes.c_uint32 * 33, "general registers; [32] is the sink of writes to $zero"),
    ("pc", ctypes.c_uint32, "address of the next instruction (of the faulting one after an exception)"),
    ("lo", ctypes.c_uint32, "LO"),
    ("hi", ctypes.c_uint32, "HI"),
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
    ("float_values", ctypes.c_uint64 * FLOAT_VALUES, "operands and results of operations that need a repair"),
    ("float_plan", ctypes.c_uint32 * FLOAT_PLAN_SIZE, "these operations (translator.float_repair)"),
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
    (
        "warm_entry",
        ctypes.c_uint64,
        "host address of the entry to which the branch at %entry has gone often enough",
    ),
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
    ("tier_0_end", ctypes.c_uint32, "handler offsets below this belong to tier 0"),
    ("handlers_end", ctypes.c_uint32, "those below this are handlers', and those between stencils'"),
    ("arena_writable", ctypes.c_uint64, "host address where the arena's offset 0 can be written to"),
    (
        "stencil_table",
        ctypes.c_uint64,
        "host address of the table of stencils (translator.system.stencil_table)",
    ),
    ("stencil_pool", ctypes.c_uint64, "host address of {u32 next, u32 end}: free offsets for runs; 0: none"),
    ("page_flags", ctypes.c_uint64, "host address of the byte per guest page (AddressSpace.page_flags)"),
    ("decode_cache", ctypes.c_uint64, "host address of the word -> predecoded entry hash"),
    ("told_word", ctypes.c_uint32, "a word that may have no place there"),
    ("told_handler", ctypes.c_uint32, "offset of its tier-0 handler; 0: there is no such word"),
    ("setjmp", ctypes.c_uint64, "host address of the C library's _setjmp"),
    ("jump_buffer", ctypes.c_uint8 * 512, "setjmp buffer of the running native call"),
    ("in_native", ctypes.c_uint32, "1 between setjmp and return of the native call"),
    ("fault_host_pc", ctypes.c_uint64, "host pc of the last caught host fault"),
    ("fault_address", ctypes.c_uint64, "host address of the last caught host fault"),
    ("fault_registers", ctypes.c_uint64 * 32, "host general registers at the last caught host fault"),
    ("region_seed", ctypes.c_uint32, "guest address that the region entered last was made for"),
    ("access_point", ctypes.c_uint32, "number of the last memory access of a precise region"),
    ("dirty_count", ctypes.c_uint32, "pages in dirty_pages"),
    ("dirty_pages", ctypes.c_uint32 * 2048, "code pages that stores have hit; not yet dropped in Python"),
    ("exact_stores", ctypes.c_uint32, "1: a store to a code page ends the native call instead"),
    ("host_mxcsr", ctypes.c_uint32, "host floating-point control register saved around native code"),
    ("guest_mxcsr", ctypes.c_uint32, "the guest's, loaded while native code runs"),
    # System mode: coprocessor 0 (translator.cp0_registers has numbers and writable bits).
    ("index", ctypes.c_uint32, "Index"),
    ("random", ctypes.c_uint32, "Random"),
    ("entry_lo0", ctypes.c_uint32, "EntryLo0"),
    ("entry_lo1", ctypes.c_uint32, "EntryLo1"),
    ("context", ctypes.c_uint32, "Context"),
    ("page_mask", ctypes.c_uint32, "PageMask"),
    ("wired", ctypes.c_uint32, "Wired"),
    ("entry_hi", ctypes.c_uint32, "EntryHi"),
    ("compare", ctypes.c_uint32, "Compare"),
    ("status", ctypes.c_uint32, "Status"),
    ("int_ctl", ctypes.c_uint32, "IntCtl"),
    ("srs_map", ctypes.c_uint32, "SRSMap"),
    ("cause", ctypes.c_uint32, "Cause; TI and IP7 are set lazily, by the routine update_timer"),
    ("epc", ctypes.c_uint32, "EPC"),
    ("prid", ctypes.c_uint32, "PRId"),
    ("ebase", ctypes.c_uint32, "EBase"),
    ("config0", ctypes.c_uint32, "Config"),
    ("config1", ctypes.c_uint32, "Config1"),
    ("config2", ctypes.c_uint32, "Config2"),
    ("config3", ctypes.c_uint32, "Config3"),
    ("config7", ctypes.c_uint32, "Config7"),
    ("tag_lo", ctypes.c_uint32, "TagLo"),
    ("data_lo", ctypes.c_uint32, "DataLo"),
    ("tag_hi", ctypes.c_uint32, "TagHi"),
    ("data_hi", ctypes.c_uint32, "DataHi"),
    ("error_epc", ctypes.c_uint32, "ErrorEPC"),
    ("desave", ctypes.c_uint32, "DESAVE"),
    ("link_physical", ctypes.c_uint32, "LLAddr"),
    # The TLB. An entry matches if ((VPN2 | ASID) ^ tlb_hi) & tlb_compared is 0.
    ("tlb_hi", ctypes.c_uint32 * TLB_SIZE, "VPN2 and ASID"),
    ("tlb_compared", ctypes.c_uint32 * TLB_SIZE, "the bits of tlb_hi that are compared: PageMask, G"),
    ("tlb_lo0", ctypes.c_uint32 * TLB_SIZE, "EntryLo0 of the even page, with G of the entry"),
    ("tlb_lo1", ctypes.c_uint32 * TLB_SIZE, "EntryLo1 of the odd page, with G of the entry"),
    ("tlb_last", ctypes.c_uint32, "number of the last entry: Config1.MMUSize"),
    (
        "tlb_known",
        ctypes.c_uint64,
        "bit per entry: the guest knows what it held last",
    ),
    (
        "tlb_observed",
        ctypes.c_uint64,
        "bit per entry: the guest has seen it since the ring of unknown origin was emptied",
    ),
    ("wired_most", ctypes.c_uint32, "the largest value that Wired has had since then"),
    ("random_read", ctypes.c_uint32, "1: the guest knows which entry the next tlbwr overwrites"),
    # The second-level TLB: what tlbwr has evicted, 4 KiB pages only (translator.system.second_level).
    ("second_hi", ctypes.c_uint32 * SECOND_LEVEL_SIZE, "VPN2 and ASID, or VPN2 and bit 8 if global"),
    ("second_lo0", ctypes.c_uint32 * SECOND_LEVEL_SIZE, "EntryLo0"),
    ("second_lo1", ctypes.c_uint32 * SECOND_LEVEL_SIZE, "EntryLo1"),
    (
        "second_next",
        ctypes.c_uint16 * (SECOND_LEVEL_SIZE + SECOND_LEVEL_RINGS),
        "ring of those with the same origin",
    ),
    (
        "second_previous",
        ctypes.c_uint16 * (SECOND_LEVEL_SIZE + SECOND_LEVEL_RINGS),
        "the same ring, backwards",
    ),
    ("second_hits", ctypes.c_uint64, "TLB misses that the second level has answered"),
    ("refills", ctypes.c_uint64, "TLB refill exceptions taken"),
    ("fills", ctypes.c_uint64, "translations entered in the tables"),
    # Address translation.
    ("access_address", ctypes.c_uint32, "virtual address of the access that left the fast path"),
    ("access_kind", ctypes.c_uint32, "Access, and size - 1 in bits 8 and up"),
    (
        "straddles_left",
        ctypes.c_uint32,
        "so many more accesses over the end of a page, and `straddled` is set",
    ),
    ("straddled", ctypes.c_uint32, "address | 1 of one of them, of which there are many; 0: of none"),
    ("access_physical", ctypes.c_uint32, "its physical address, where it has one"),
    ("is_refill", ctypes.c_uint32, "1: the exception being raised goes to the TLB refill vector"),
    ("views_base", ctypes.c_uint64, "host address of the first view (translator.system.views)"),
    ("slots_base", ctypes.c_uint64, "host address of the linear mapping of all table slots"),
    (
        "slot_blocks",
        ctypes.c_uint64,
        "host address of the byte per block of slots (translator.system.views)",
    ),
    ("windows_base", ctypes.c_uint64, "host address of the first window (translator.system.windows)"),
    ("window_places", ctypes.c_uint64, "host address of the word per user page: what its window has there"),
    ("windows_most", ctypes.c_uint64, "so many pages may be in windows"),
    ("window_wanted", ctypes.c_uint32, "user page that an access through a window has not found; or 0"),
    ("window_faults", ctypes.c_uint64, "host faults of accesses through windows"),
    ("window_fills", ctypes.c_uint64, "those after which a page has been mapped in a window"),
    ("memory_descriptor", ctypes.c_uint32, "file descriptor of the object that machine memory is"),
    ("access_fault", ctypes.c_uint64, "host address of the routine that is asked about host faults; or 0"),
    ("fixups", ctypes.c_uint64, "host address of the i32 per two bytes of the arena: how far the fixup is"),
    ("arena_size", ctypes.c_uint64, "bytes of the code arena, which handlers_base is the address of"),
    ("pmap", ctypes.c_uint64, "host address of the word per physical page (translator.system.views)"),
    ("back_map_heads", ctypes.c_uint64, "host address of the u32 per physical page: its first record, or 0"),
    ("back_map_records", ctypes.c_uint64, "host address of the records {u32 next, u32 slot}"),
    ("back_map_used", ctypes.c_uint32, "records in use; number 0 is none"),
    ("back_map_size", ctypes.c_uint32, "records there are"),
    ("machine_base", ctypes.c_uint64, "host address of machine address 0"),
    ("machine_flags", ctypes.c_uint64, "host address of the byte per machine page (translator.system.views)"),
    ("code_pages", ctypes.c_uint64, "host address of the byte per machine page: 1 if it may have entries"),
    ("machine_store_budget", ctypes.c_uint64, "host address of the u16 per machine page: stores to its code"),
    (
        "access_counts",
        ctypes.c_uint64,
        "host address of the counts that fills are counted in, the node's; or 0",
    ),
    ("node_first_page", ctypes.c_uint64, "first machine page of the node that the vCPU runs on"),
    ("node_pages", ctypes.c_uint64, "machine pages of a node"),
    ("samples", ctypes.c_uint64, "fills counted, each a sample of an access"),
    ("local_samples", ctypes.c_uint64, "those of machine pages on the node that the vCPU ran on"),
    ("aged_record", ctypes.c_uint32, "record of the back map whose slot is the next to be emptied"),
    ("lone_slot", ctypes.c_uint64, "host address of the slot that serves one store to a code page"),
    ("lone_contents", ctypes.c_uint64, "what it is filled with"),
    ("lone_next", ctypes.c_uint64, "the entry that runs after that store"),
    ("lone_entries", ctypes.c_uint64, "the entries of the two words that it may change"),
    ("space", ctypes.c_uint32, "address space of the current view"),
    ("space_has_views", ctypes.c_uint8 * SPACES, "1: the views of an address space have been made"),
    ("kernel_half_owner", ctypes.c_uint32, "ASID + 1 that some kernel slots are right for, 0: all ASIDs"),
    ("page_entries_base", ctypes.c_uint64, "host address of the predecoded entries of machine page 0"),
    ("has_privileged_page", ctypes.c_uint32, "1: the privileged-register page exists"),
    ("lb_handler", ctypes.c_uint32, "handler offset of lb"),
    ("lbu_handler", ctypes.c_uint32, "handler offset of lbu"),
    ("sb_handler", ctypes.c_uint32, "handler offset of sb"),
    ("direct_load_at", ctypes.c_uint32, "physical address of the register that native code loads itself"),
    ("direct_load_value", ctypes.c_uint32, "what it gives"),
    ("direct_store_at", ctypes.c_uint32, "physical address of the register to which stores are collected"),
    ("collected_count", ctypes.c_uint32, "bytes in collected"),
    ("collected", ctypes.c_uint8 * COLLECTED_SIZE, "bytes that were stored there, not yet delivered"),
    ("direct_accesses", ctypes.c_uint64, "loads and stores of devices' registers that native code has done"),
    ("lw_handler", ctypes.c_uint32, "handler offset of lw"),
    ("sw_handler", ctypes.c_uint32, "handler offset of sw"),
    ("rewrites_privileged_page", ctypes.c_uint32, "1: native code does accesses to that page, as moves"),
    ("privileged_page_usable", ctypes.c_uint32, "1: it does so in this mode"),
    ("cp0_usable", ctypes.c_uint32, "1: kernel mode, or Status.CU0"),
    ("cp1_usable", ctypes.c_uint32, "1: Status.CU1"),
    ("wide_registers", ctypes.c_uint32, "Status.FR that fpr is in accordance with"),
    ("wide_entries", ctypes.c_uint32, "Status.FR that the entries are in accordance with"),
    ("is_away", ctypes.c_uint32, "1: other entries are to be used when the FPU is not usable"),
    # Control.
    ("jump_entry", ctypes.c_uint32 * 4, "predecoded entry that goes to branch_target by its address"),
    ("stored_entry", ctypes.c_uint32 * 4, "predecoded entry that runs after a store to a code page"),
    ("resume_entry", ctypes.c_uint32 * 4, "predecoded entry that goes on at pc"),
    ("stop_requested", ctypes.c_uint32, "1: leave native code at the next look at the limit"),
    ("decode_table", ctypes.c_uint64, "host address of the decode table (translator.decode_table)"),
    ("visit_requested", ctypes.c_uint32, "1: leave native code for a moment, at the next look at the limit"),
    ("resume_limit", ctypes.c_uint64, "what limit is to be when nothing is pending"),
    # Time. A tick of Count is 6.25 ns, or two instructions.
    ("count_offset", ctypes.c_uint32, "Count - ticks"),
    ("compare_ticks", ctypes.c_uint64, "ticks at which Count reaches Compare next"),
    ("stopped_count", ctypes.c_uint32, "Count while Cause.DC stops it"),
    ("clock_gettime", ctypes.c_uint64, "host address of the C library's clock_gettime"),
    ("time_specification", ctypes.c_uint64 * 4, "struct timespec or itimerspec in the making"),
    ("start_time", ctypes.c_uint64, "host nanoseconds (CLOCK_MONOTONIC) that are tick 0"),
    ("timer_settime", ctypes.c_uint64, "host address of the C library's timer_settime"),
    ("heat", ctypes.c_uint32, "what a taken branch counts for in its target's counter; a power of two"),
    ("host_timer", ctypes.c_uint64, "the POSIX timer that asks for a look at Compare; 0: none"),
)


class CpuState(ctypes.Structure):
    """One vCPU's registers and run control, shared with generated code."""

    _fields_ = [(name, kind) for name, kind, _ in FIELDS]


OFFSET: Final[dict[str, int]] = {name: getattr(CpuState, name).offset for name, _, _ in FIELDS}
"""Byte offset of each field from the state pointer."""
