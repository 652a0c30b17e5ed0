"""A vCPU that runs guest code natively: the threaded interpreter, and translations of what is hot.

`run` enters native code and deals with the stops that are the engine's own affair – words to decode, hot blocks,
stores to pages that hold decoded code –, until something needs the caller.
"""

from __future__ import annotations

import ctypes
import threading
from time import perf_counter
from typing import Final, Literal

from runtime.address_space import (
    CODE,
    CODE_BYTES,
    EXEC,
    PAGE_SHIFT,
    PAGE_SIZE,
    WRITE,
    AddressSpace,
    GuestFault,
)
from runtime.breakpoints import Breakpoints
from runtime.disk_cache import DiskCache
from runtime.entry_table import EntryTable
from runtime.exact_stepping import CLOCK_PER_INSTRUCTION, NO_LIMIT, ExactStepping
from runtime.fault_address import reported_address
from runtime.float_register_mode import change_float_layout
from runtime.host_faults import SAVED_BIAS, SAVED_ENTRY, SAVED_NEXT, SAVED_PAGE_FAULT_ERROR, function_address
from runtime.native_code import native_code
from runtime.translations import Translations
from translator.decode import lookup
from translator.encoding import Flow
from translator.fcsr import FIR_24KF
from translator.host_float import CONTROL_DEFAULT
from translator.predecode import ENTRY_SIZE
from translator.state import CpuState, ExceptionCode, Stop

Engine = Literal["interpreter", "translator", "auto"]

_MARGIN: Final = 4096 * CLOCK_PER_INSTRUCTION
"""Native code looks at the limit at taken branches only; so close to it, instructions are counted out."""
_DECODED_AHEAD: Final = 32
"""Instructions decoded at one stop."""
_WRITE_FAULT: Final = 2
"""Bit of the x86 page-fault error code."""

_thread: Final = threading.local()
"""`vcpu`: the one that the thread has attached last."""


class Vcpu:
    """One processor executing user-mode code in a window address space."""

    def __init__(
        self,
        address_space: AddressSpace,
        *,
        big_endian: bool = False,
        engine: Engine = "auto",
        wide_fpu: bool = False,
        use_cache: bool = True,
        count_instructions: bool = False,
        precise_faults: bool = False,
        program_key: str = "",
        profiles: bool = False,
    ) -> None:
        """`program_key` names what will run: words decoded by earlier runs of it are taken from the disk cache.

        `profiles`, for the interpreter alone: `entries.counter` tells how often each instruction was executed.
        """
        self.address_space = address_space
        self.big_endian = big_endian
        self._byte_order: Final[Literal["big", "little"]] = "big" if big_endian else "little"
        self.state = CpuState()
        self.native: Final = native_code(big_endian, use_cache, profiles)
        cache = DiskCache(enabled=use_cache)
        self.entries: Final = EntryTable(
            self.native.handlers,
            wide_fpu=wide_fpu,
            cache=cache,
            program_key=program_key,
            decodes_natively=engine != "translator",
        )
        self._precise_faults = precise_faults or address_space.maps_bottom
        self.clock_limit = NO_LIMIT
        """`run` stops before `state.clock` would exceed this: 16 for each retired instruction."""
        self._float_checked = 0
        """`state.float_checked` that the installed translations were made for."""
        self.stop_requested = False
        """`run` is to return, as soon as it can be."""
        self._enter_native = self.native.enter
        self.native_seconds = 0.0
        """Time spent in native code since `measure_native_time`."""
        self._set_up_state()
        self.state.counts_instructions = count_instructions
        self.translations: Final = Translations(self, engine, cache, count_instructions=count_instructions)
        self._breakpoints: Final = Breakpoints(
            self.entries, self.translations, self.native.handlers["breakpoint"]
        )
        self._stepping: Final = ExactStepping(self, self._breakpoints)
        address_space.code_changed = self._code_changed
        address_space.bottom_mapped = self._bottom_mapped

    def _set_up_state(self) -> None:
        state = self.state
        state.memory_base = self.address_space.base
        state.page_flags = ctypes.addressof(self.address_space.page_flags)
        state.entries_base = self.entries.base
        state.decode_cache = self.entries.words.address
        state.handlers_base = self.native.arena.base
        state.tier_0_end = self.native.interpreter.offset + self.native.interpreter.size
        state.setjmp = function_address("_setjmp")
        state.guest_mxcsr = CONTROL_DEFAULT
        state.fir = FIR_24KF
        state.address_error_entry[0] = self.native.handlers["address_error"]
        state.step_entry[0] = self.native.handlers["breakpoint"]

    @property
    def wide_fpu(self) -> bool:
        """Status.FR: 32 FPU registers of 64 bits, else 16 pairs of 32 bits. May be set between runs."""
        return self.entries.wide_fpu

    @wide_fpu.setter
    def wide_fpu(self, wide: bool) -> None:
        if wide == self.entries.wide_fpu:
            return
        change_float_layout(self.state, wide)
        self.entries.wide_fpu = wide
        self.forget_code()

    @property
    def precise_faults(self) -> bool:
        """Whether the state is exact at memory faults in translated code too; costs speed.

        Without it, pc and registers after Stop.MEMORY_FAULT are some earlier ones of the same region: good enough
        for a guest that the fault kills, if it maps nothing below GUARD_SIZE. To be set before a guest gets to handle
        its faults itself.
        """
        return self._precise_faults

    @precise_faults.setter
    def precise_faults(self, precise: bool) -> None:
        if precise != self._precise_faults:
            self._precise_faults = precise
            self.translations.mode_changed()

    @property
    def breakpoints(self) -> frozenset[int]:
        """`run` returns Stop.BREAKPOINT at these addresses, before executing what is there.

        A run that starts at one of them executes it. To be set between runs; ValueError without `precise_faults`,
        as a store that empties the entry of a breakpoint could not be told from any other.
        """
        return self._breakpoints.addresses

    @breakpoints.setter
    def breakpoints(self, addresses: frozenset[int]) -> None:
        if addresses and not self.precise_faults:
            raise ValueError("breakpoints need precise_faults")
        self._breakpoints.stop_at(addresses)
        self.state.exact_stores = bool(addresses)

    def forget_code(self) -> None:
        """Drop everything decoded and translated; called when the FPU mode that it depends on changes."""
        page_flags = bytes(self.address_space.page_flags)
        if CODE_BYTES.isdisjoint(page_flags):
            return
        for page, flags in enumerate(page_flags):
            if flags & CODE:
                self._code_changed(page, page)

    def close(self) -> None:
        """Give everything back to the host."""
        if getattr(_thread, "vcpu", None) is self:
            _thread.vcpu = None
        self.translations.close()
        self.entries.close()

    def attach(self) -> None:
        """Bind the calling thread's host faults, and the signals this process catches, to this vCPU."""
        if getattr(_thread, "vcpu", None) is not self:
            self.native.attach(self.state)
            _thread.vcpu = self

    def measure_native_time(self) -> None:
        """From now on count `native_seconds`, for about 0.2 µs per entry into native code."""
        enter = self._enter_native

        def timed(*arguments: int) -> int:
            start = perf_counter()
            try:
                return enter(*arguments)
            finally:
                self.native_seconds += perf_counter() - start

        self._enter_native = timed

    def request_stop(self) -> None:
        """Make a `run` in progress, or else the next one, return soon with Stop.LIMIT; async-signal-safe."""
        self.stop_requested = True
        self.state.limit = 0

    def run(self) -> Stop:
        """Execute from `state.pc` until something needs attention; the state says what and where."""
        self.attach()
        state = self.state
        if state.pc in self.breakpoints:
            stop = self._stepping.leave_breakpoint()
            if stop is not Stop.NONE:
                return stop
        while True:
            if state.clock + _MARGIN >= self.clock_limit:
                return self._stepping.run_counted_out()
            stop = self.run_native(self.clock_limit - _MARGIN + CLOCK_PER_INSTRUCTION)
            if stop is Stop.NONE:
                continue
            if stop is not Stop.LIMIT or self.stop_requested or state.pending_signals:
                return self.external(stop)

    def run_to_branch(self) -> Stop:
        """Run a little: Stop.LIMIT at a branch in tier 0, at the end of a cycle in a region.

        A branch it has stopped at may have written its link register, which doing it again does not change.
        """
        self.attach()
        return self.external(self.run_native(self.state.clock + CLOCK_PER_INSTRUCTION + 1))

    def external(self, stop: Stop) -> Stop:
        """`run` ends with this stop."""
        if stop is Stop.LIMIT:
            self.stop_requested = False
        return stop

    def run_native(self, limit: int) -> Stop:
        """Enter native code until a stop that is not the engine's own affair.

        NONE: after a store to a code page while stores are exact, since it may have emptied planted entries.
        """
        state = self.state
        while True:
            if (
                state.float_checked != self._float_checked
            ):  # by ctc1, or by the caller (sigreturn, a debugger)
                self._float_checked = state.float_checked
                self.translations.mode_changed()
            state.limit = limit
            self.translations.install_ready()
            if self.stop_requested or state.pending_signals:
                state.stop = Stop.LIMIT
                return Stop.LIMIT
            if state.pc & 3:
                return self._address_error()
            entry = self.entries.address(state.pc)
            in_slot = state.in_delay_slot
            following = self.entries.address(state.branch_target) if in_slot else entry + ENTRY_SIZE
            stop = self.enter(entry, following)
            if stop is Stop.UNDECODED:
                outcome = self._meet_undecoded()
                if outcome is not None:
                    return outcome
            elif stop is Stop.MEMORY_FAULT:
                if self.is_store_to_code():
                    # Translating again, or decoding, would protect the page again before the store is done.
                    self.translations.counts.stepped += self.translations.translates_all
                    stop = self._stepping.run_alone()
                if stop is not Stop.NONE or state.exact_stores:
                    return stop
            elif stop is Stop.HOT:
                self.translations.hot(state.hot_target)
            elif stop is Stop.FPU_MODE:
                continue
            elif stop is not Stop.LIMIT or self._due(limit):
                return stop

    def _due(self, limit: int) -> bool:
        # Tier 0 looks when it is about to execute a branch, and counts that in.
        is_over = self.state.clock + CLOCK_PER_INSTRUCTION >= limit
        return self.stop_requested or self.state.pending_signals != 0 or is_over

    def enter(self, entry: int, following: int) -> Stop:
        """Enter native code at an entry, the one of pc, and with the one to run after it; why it came back."""
        state = self.state
        state.last_branch = entry - ENTRY_SIZE if state.in_delay_slot else 0
        bias = state.clock + ENTRY_SIZE - following & 0xFFFF_FFFF_FFFF_FFFF
        if self._enter_native(ctypes.addressof(state), entry, following, bias):
            state.stop = Stop.MEMORY_FAULT
            self._recover_state()
        if state.dirty_count:
            self._drop_dirty_pages()
        return Stop(state.stop)

    def _address_error(self) -> Stop:
        state = self.state
        state.stop = Stop.EXCEPTION
        state.exception_code = ExceptionCode.ADEL
        state.bad_virtual_address = state.pc
        return Stop.EXCEPTION

    def _meet_undecoded(self) -> Stop | None:
        """Decode or translate the instruction at pc; a Stop if that ends the run."""
        state = self.state
        fault = self.fetch_faults()
        if fault is not None:
            return fault
        self.address_space.mark_code(state.pc >> PAGE_SHIFT)
        translates = self.translations.translates_all and not self.translations.is_set_aside(state.pc)
        if self._stepping.is_stepping:
            self._decode(1)
        elif not translates:
            self._decode(1 if state.in_delay_slot else _DECODED_AHEAD)
        elif state.in_delay_slot or not self.translations.translate_now(state.pc):
            return self._stepping.step_untranslated()
        return None

    def fetch_faults(self) -> Stop | None:
        """MEMORY_FAULT if the instruction at pc cannot be fetched: not executable, or beyond its file's end."""
        state = self.state
        try:
            if self.address_space.page_flags[state.pc >> PAGE_SHIFT] & EXEC:
                self.word(state.pc)
                return None
        except GuestFault:
            pass
        state.stop = Stop.MEMORY_FAULT
        state.bad_virtual_address = state.pc
        return Stop.MEMORY_FAULT

    def word(self, pc: int) -> int:
        """The instruction at an address; GuestFault if that cannot be read."""
        return int.from_bytes(self.address_space.read(pc, 4), self._byte_order)

    def _decode(self, count: int) -> None:
        """Fill the entry of pc, and up to `count` in all as far as straight-line code goes on its page."""
        pc = self.state.pc
        code = self.address_space.read(pc, min(4 * count, (pc | PAGE_SIZE - 1) + 1 - pc))
        is_slot = False
        for at in range(0, len(code), 4):
            if at and self.entries.handler(pc + at):
                break
            word = int.from_bytes(code[at : at + 4], self._byte_order)
            self.entries.fill(pc + at, word)
            encoding = lookup(word)
            if is_slot or encoding is None or encoding.flow is Flow.EXCEPTION:
                break
            is_slot = encoding.flow.has_delay_slot

    def _recover_state(self) -> None:
        """Make the state precise at the instruction whose access the host refused."""
        state = self.state
        address = state.fault_address - state.memory_base
        if not -(1 << 16) <= address < (1 << 32) + (1 << 16):
            raise RuntimeError(
                f"host fault at {state.fault_host_pc:#x} on {state.fault_address:#x}, which is not guest memory"
            )
        state.bad_virtual_address = address & 0xFFFF_FFFF
        registers = state.fault_registers
        if self.native.is_interpreter(state.fault_host_pc):
            entry, following = registers[SAVED_ENTRY], registers[SAVED_NEXT]
            state.pc = self.entries.pc_of(entry)
            state.branch_target = self.entries.pc_of(following)
            state.in_delay_slot = state.last_branch == entry - ENTRY_SIZE
            state.clock = following + registers[SAVED_BIAS] - ENTRY_SIZE & 0xFFFF_FFFF_FFFF_FFFF
        elif not self.translations.recover_state(state.fault_host_pc):
            return
        if not registers[SAVED_PAGE_FAULT_ERROR] & _WRITE_FAULT and self.fetch_faults() is None:
            state.bad_virtual_address = reported_address(state, self.word(state.pc), address & 0xFFFF_FFFF)

    def is_store_to_code(self) -> bool:
        """A store that was only refused because its page holds decoded code: drop that, let it be repeated."""
        state = self.state
        page = state.bad_virtual_address >> PAGE_SHIFT
        flags = self.address_space.page_flags[page]
        if not (
            state.fault_registers[SAVED_PAGE_FAULT_ERROR] & _WRITE_FAULT and flags & CODE and flags & WRITE
        ):
            return False
        self.address_space.unmark_code(page, page)
        return True

    def _drop_dirty_pages(self) -> None:
        """Drop the code of pages that stores have hit; the fault handler has made them writable already."""
        state = self.state
        pages = sorted(set(state.dirty_pages[: state.dirty_count]))
        state.dirty_count = 0
        for page in pages:
            self._code_changed(page, page)
            self.address_space.unmark_aliases(page)

    def _bottom_mapped(self) -> None:
        self.precise_faults = True  # which includes that addresses wrap around

    def _code_changed(self, first_page: int, last_page: int) -> None:
        self.translations.invalidate(first_page, last_page)
        self.entries.forget(first_page, last_page)
        self._breakpoints.replant(first_page, last_page)
