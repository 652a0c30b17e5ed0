"""A vCPU of a virtual machine: runs native code, and answers the stops that need Python.

What needs more than the vCPU – idling, monitor calls, the console, power-off – ends `run`.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from dataclasses import replace
from threading import get_ident
from time import CLOCK_MONOTONIC, clock_gettime_ns
from typing import Final, Literal, Protocol

from runtime.addresses import MACHINE_PAGE_SHIFT
from runtime.disk_cache import DiskCache
from runtime.host_faults import function_address
from runtime.native_code import system_native_code
from runtime.shared_compile_service import SharedCompileService
from runtime.system.adjacent_pages import AdjacentPages
from runtime.system.code_variant import VariantKey
from runtime.system.cpu_model import CpuModel, reset
from runtime.system.device_access import DeviceAccess
from runtime.system.direct_registers import DirectRegisters
from runtime.system.entry_filling import EntryFiller
from runtime.system.host_timer import HostTimer
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.register_mode import RegisterMode
from runtime.system.translation_tables import TranslationTables
from runtime.system.translations import SystemTranslations
from translator.cp0_registers import Cause, Status
from translator.host_float import CONTROL_DEFAULT
from translator.predecode import CLOCK_PER_COUNT, handler_symbol
from translator.state import CpuState, Stop
from translator.system.views import SPACE_UNMAPPED

Engine = Literal["interpreter", "translator", "auto"]

CLOCK_PER_INSTRUCTION: Final = 16
NO_LIMIT: Final = 1 << 62
_IP_SHIFT: Final = 8
_LINES: Final = 0x7C00
"""IP2 to IP6 in Cause."""
_STOPS: Final = {stop.value: stop for stop in Stop}
"""Faster than asking the enumeration, at every stop."""


class Bus(Protocol):
    """The physical addresses that are no memory."""

    def read(self, address: int, size: int) -> int: ...
    def write(self, address: int, size: int, value: int) -> None: ...


class SystemVcpu:
    """One processor with everything privileged, on the memory and the bus of a virtual machine."""

    def __init__(
        self,
        memory: PhysicalMemory,
        bus: Bus,
        model: CpuModel,
        *,
        big_endian: bool = False,
        engine: Engine = "interpreter",
        use_cache: bool = True,
        count_instructions: bool = False,
        instruction_clock: bool = False,
        has_privileged_page: bool = True,
        rewrites_privileged_page: bool = True,
        program_key: str = "",
        compile_service: SharedCompileService | None = None,
    ) -> None:
        """`count_instructions`: regions count, too; `instruction_clock`: and time is what has been counted.

        `program_key` names what will run: words decoded by earlier runs of it come from the disk cache.
        `compile_service` is one that several virtual machines share: see SystemTranslations.
        """
        self.memory: Final = memory
        self.bus: Final = bus
        self.model: Final = model
        self.big_endian: Final = big_endian
        self.state: Final = CpuState()
        self.native: Final = system_native_code(big_endian, use_cache, instruction_clock)
        self.phase = 0
        """See `Runner`."""
        self.entries: Final = EntryFiller(self.state, memory, self.native, program_key, big_endian=big_endian)
        self._key: Final = VariantKey(
            big_endian, instruction_clock, use_cache, engine, count_instructions or instruction_clock
        )
        self.tables: Final = TranslationTables(self.state, memory.machine.descriptor)
        self.stops: Final[dict[Stop, int]] = dict.fromkeys(Stop, 0)
        """Exits to Python by cause."""
        reset(self.state, model, big_endian=big_endian)
        self._register_mode: Final = RegisterMode(self.state)
        self._set_up_state(instruction_clock)
        self.state.has_privileged_page = has_privileged_page
        self.state.rewrites_privileged_page = rewrites_privileged_page
        self._host_timer: Final = None if instruction_clock else HostTimer(self.native, self.state)
        self._enabled = engine != "interpreter"
        self.translations: Final = SystemTranslations(
            self,
            DiskCache(enabled=use_cache),
            translates_all=engine == "translator",
            service=compile_service,
        )
        if self._enabled:
            self.translations.prepare()
        self._access: Final = DeviceAccess(self)
        self.direct_registers: Final = DirectRegisters(self.state, self.native)
        self.adjacent_pages: Final = AdjacentPages(self.state, memory)
        self.on_visit: Callable[[], None] = lambda: None
        """Called on the vCPU's thread, outside native code, when it has been asked for a visit."""
        self._thread = 0
        """The thread that has run this vCPU last."""
        zap = self.native.function("zap_physical_page", None, ctypes.c_void_p, ctypes.c_uint32)
        self.clock_limit = NO_LIMIT
        """See `stop_at`."""
        self._update_timer: Final = self.native.function(
            "update_timer", None, ctypes.c_void_p, ctypes.c_uint64
        )
        self._read_count: Final = self.native.function(
            "read_count", ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint64
        )
        self._address: Final = ctypes.addressof(self.state)
        self._resume: Final = self._address + CpuState.resume_entry.offset
        self._enter_native: Final = self.native.enter
        memory.attach(self.state)
        memory.zap = lambda frame: zap(self._address, frame)
        memory.machine.decoded.add_runner(self)
        self._answers: Final[dict[Stop, Callable[[], bool]]] = {
            Stop.LIMIT: self._meet_limit,
            Stop.UNDECODED: self._meet_undecoded,
            Stop.HOT: self._meet_hot,
            Stop.FPU_MODE: self._change_variant,
            Stop.VISIT: self._meet_visit,
            Stop.DEVICE: self._meet_device,
            Stop.FETCH_ELSEWHERE: self._meet_fetch_elsewhere,
            Stop.NEW_CODE: self._meet_new_code,
            Stop.NEW_SPACE: self._meet_new_space,
            Stop.STORE_TO_CODE: self._meet_store,
            Stop.COPY_ON_WRITE: self._meet_store,
            Stop.REGISTER_MODE: self._change_register_mode,
            Stop.BACK_MAP_FULL: self._empty_tables,
            Stop.PRIVILEGED_PAGE: self._access.privileged_page,
        }

    def _set_up_state(self, instruction_clock: bool) -> None:
        state, machine = self.state, self.memory.machine
        state.pmap = ctypes.addressof(self.memory.pmap)
        state.machine_base = machine.base
        state.machine_flags = ctypes.addressof(machine.decoded.flags)
        state.machine_store_budget = ctypes.addressof(machine.decoded.store_budgets)
        self._use_variant()
        state.handlers_base = self.native.arena.base
        state.handlers_end, state.tier_0_end = self.native.handlers_end, self.native.tier_0_end
        state.arena_writable = self.native.arena.writable_base
        state.setjmp = function_address("_setjmp")
        state.guest_mxcsr = CONTROL_DEFAULT
        state.lw_handler = self.native.handlers[handler_symbol("lw")]
        state.sw_handler = self.native.handlers[handler_symbol("sw")]
        state.jump_entry[0] = self.native.handlers["jump_to_target"]
        state.resume_entry[0] = self.native.handlers["resume"]
        state.stored_entry[0] = self.native.handlers["stored"]
        state.counts_instructions = instruction_clock
        state.clock_gettime = function_address("clock_gettime")
        state.timer_settime = function_address("timer_settime")
        state.start_time = clock_gettime_ns(CLOCK_MONOTONIC)
        state.access_fault = self.native.arena.base + self.native.handlers["window_fault"]
        state.fixups, state.arena_size = self.native.fixups.address, self.native.arena.capacity
        state.exact_stores = 1
        state.heat = 1
        state.resume_limit = NO_LIMIT

    def _use_variant(self) -> None:
        """Run the entries and regions that are right for the modes of the FPU."""
        state, decoded = self.state, self.memory.machine.decoded
        key = replace(self._key, wide_fpu=bool(state.wide_entries), float_checked=bool(state.float_checked))
        self.variant = variant = decoded.variant(key, self.native)
        self.entries.use(variant)
        state.page_entries_base = variant.entries_base
        state.code_pages = ctypes.addressof(variant.pages)
        state.stencil_table, state.stencil_pool = variant.stencil_table, variant.stencil_pool

    def close(self) -> None:
        """Give everything back to the host; the memory stays the caller's."""
        if self._host_timer is not None:
            self._host_timer.close()
        self.memory.detach()
        self.note_outside()
        self.translations.close()
        self._access.close()
        with self.memory.machine.lock:
            self.memory.machine.decoded.runners.remove(self)
            self.entries.save()
        self.tables.close()

    # Interrupts.

    def set_interrupts(self, levels: int) -> None:
        """The hardware interrupt lines: bit n is IPn, 2 to 6; IP7 is the timer's."""
        self.state.cause = self.state.cause & ~_LINES | levels << _IP_SHIFT & _LINES
        self.state.limit = 0

    def request_stop(self) -> None:
        """Make a `run` in progress, or else the next one, return soon with Stop.LIMIT; async-signal-safe."""
        self.state.stop_requested = 1
        self.state.limit = 0

    def ask_for_visit(self) -> None:
        """Make native code return soon, if only for a moment; on any thread."""
        self.state.visit_requested = 1
        self.state.limit = 0

    # Running.

    def run(self, left: int | None = None) -> Stop:
        """Execute from pc until a stop that is not the vCPU's own affair.

        `left`: native code has been entered already, and has returned that.
        """
        state, answers, stops = self.state, self._answers, self.stops
        self._attach()
        if left is None and bool(state.float_checked) != self.variant.key.float_checked:
            self._change_variant()  # somebody else has set it
        while True:
            self.translations.install_ready()
            stop = self._enter() if left is None else self._left(left)
            left = None
            stops[stop] += 1
            if state.collected_count:
                self.direct_registers.deliver()
            answer = answers.get(stop)
            if answer is None or not answer():
                break
            if state.stop_requested:  # perhaps by a device that has just been written to
                stop = Stop.LIMIT
                break
        if stop is Stop.LIMIT:
            state.stop_requested = 0
        return stop

    def _attach(self) -> None:
        """Catch host faults for this vCPU; what another one on this thread cannot have changed is done once."""
        thread = get_ident()
        if thread != self._thread:
            self.native.attach(self.state)
            if self._host_timer is not None:
                HostTimer.let_through()
            self._thread = thread
        else:
            self.native.host_faults.bind(self.state)

    def _enter(self) -> Stop:
        state = self.state
        if state.counts_instructions:
            self._plan()
        state.limit = 0  # the first look is at what has become pending meanwhile
        self.phase |= 1
        result = self._enter_native(self._address, self._resume, 0, state.clock)
        self.phase += 1
        return self._left(result)

    def note_outside(self) -> None:
        """It is in native code no more, where somebody else had entered it."""
        self.phase = (self.phase | 1) + 1

    def _left(self, result: int) -> Stop:
        """What a result of native code means."""
        state = self.state
        if result:
            raise RuntimeError(
                f"host fault at {state.fault_host_pc:#x} on {state.fault_address:#x} near pc {state.pc:#x}"
            )
        return _STOPS[state.stop]

    def advance(self) -> None:
        """Go on behind the instruction at pc, which has been done in Python and is no branch."""
        state = self.state
        state.pc = state.branch_target if state.in_delay_slot else state.pc + 4 & 0xFFFF_FFFF
        state.in_delay_slot = 0
        state.clock += CLOCK_PER_INSTRUCTION

    def _plan(self) -> None:
        """Instruction clock: native code is to stop where `run` ends, or where Count reaches Compare."""
        state = self.state
        self._update_timer(self._address, state.clock)
        limit = self.clock_limit
        if not state.cause & Cause.DC:
            limit = min(limit, int(state.compare_ticks) * CLOCK_PER_COUNT)
        state.resume_limit = limit

    # Stops.

    def _meet_limit(self) -> bool:
        """Unless somebody has asked for it, it was for the sake of Compare."""
        return not self.state.stop_requested and self.state.clock < self.clock_limit

    def _meet_undecoded(self) -> bool:
        self.entries.fill_current()
        return True

    def _meet_hot(self) -> bool:
        self._see_to_stencils()
        self.meet_hot(self.state.hot_target, self.state.space)
        return True

    def meet_hot(self, address: int, space: int) -> None:
        """Control has gone to an address of an address space so often that it may be worth a region."""
        if self._enabled:
            self.translations.hot(address, space)

    def _meet_visit(self) -> bool:
        self.state.visit_requested = 0
        self._see_to_stencils()
        if self.state.straddled:
            self.adjacent_pages.join_straddled()
        self.on_visit()
        return True

    def _meet_device(self) -> bool:
        if not self.memory.touch(self.state.access_physical >> MACHINE_PAGE_SHIFT):
            self._access.perform()
        return True

    def _meet_fetch_elsewhere(self) -> bool:
        return self.memory.touch(self.state.access_physical >> MACHINE_PAGE_SHIFT)

    def _meet_new_code(self) -> bool:
        memory = self.memory
        with memory.machine.lock:
            page = memory.mark_code(self.state.access_physical >> MACHINE_PAGE_SHIFT)
            memory.decoded.begin(page, self.variant)
        self._see_to_stencils()
        return True

    def _see_to_stencils(self) -> None:
        """See to it that there is memory for runs of stencils."""
        decoded = self.memory.machine.decoded
        with self.memory.machine.lock:
            self.variant.empty_full_pool(decoded.runners)

    def _meet_new_space(self) -> bool:
        state = self.state
        self.tables.make_views(SPACE_UNMAPPED if state.status & Status.ERL else state.entry_hi & 0xFF)
        return True

    def _meet_store(self) -> bool:
        self.memory.make_writable_for_guest(self.state.access_physical >> MACHINE_PAGE_SHIFT)
        return True

    def _change_register_mode(self) -> bool:
        self._register_mode.follow()
        return self._change_variant()

    def _change_variant(self) -> bool:
        """A mode of the FPU is another one: what was decoded and translated for the old one stays for its return."""
        self._use_variant()
        self.tables.clear()
        return True

    def _empty_tables(self) -> bool:
        self.tables.clear()
        return True

    def interrupt_is_pending(self) -> bool:
        """Whether an unmasked interrupt is, enabled or not: what ends a `wait`."""
        state = self.state
        self._update_timer(self._address, state.clock)
        return bool(state.cause & state.status & Status.IM)

    # Time.

    def next_compare(self) -> int:
        """When Count reaches Compare next, in nanoseconds since the start."""
        return -(-int(self.state.compare_ticks) * 25 // 4)

    def count(self) -> int:
        """Count as the guest would read it now."""
        return int(self._read_count(self._address, self.state.clock))

    def postpone(self, nanoseconds: int) -> None:
        """Host clock: time has stood still for so long."""
        self.state.start_time += nanoseconds
        self.expect_compare()

    def expect_compare(self) -> None:
        """Host clock: have native code look at Compare when Count reaches it, whatever the timer was set to."""
        if self._host_timer is not None:
            self._host_timer.set(self.state.start_time + self.next_compare())

    def stop_at(self, clock: int | None) -> None:
        """Instruction clock: `run` returns Stop.LIMIT as soon as the clock gets there (None: nowhere)."""
        self.clock_limit = NO_LIMIT if clock is None else clock
