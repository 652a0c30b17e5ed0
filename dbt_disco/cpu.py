"""A bare processor with memory: the part of the API that knows no operating system."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Self

from dbt_disco.engine import EngineName, make_vcpu
from dbt_disco.interruption import TimeLimit, keyboard_interrupts, raise_interrupt
from dbt_disco.registers import Registers
from dbt_disco.run_result import RunResult, StopReason
from runtime.address_space import (
    EXEC,
    PAGE_SHIFT,
    PAGE_SIZE,
    READ,
    WRITE,
    AddressSpace,
    GuestFault,
    page_end,
    page_start,
)
from translator.state import ExceptionCode, Stop

if TYPE_CHECKING:
    from dbt_disco.engine import AnyVcpu

_CLOCK_PER_INSTRUCTION: Final = 16
_NO_LIMIT: Final = 1 << 62
_PROTECTION: Final = {"r": READ, "w": WRITE, "x": EXEC, "-": 0}


class Cpu:
    """A MIPS32r2 processor in user mode with an address space of its own, 2 GiB from address 0.

    `wide_fpu` is Status.FR: 32 FPU registers of 64 bits, else 16 pairs of 32 bits. With
    `count_instructions` off, translated code runs faster, but `run` takes no count and results tell none.
    Results and registers are exact at every stop on every engine. Not to be used by several threads at
    once. A context manager: `close` gives the memory back.
    """

    def __init__(
        self,
        *,
        engine: EngineName = "auto",
        big_endian: bool = False,
        wide_fpu: bool = False,
        use_cache: bool = True,
        count_instructions: bool = True,
    ) -> None:
        space = AddressSpace()
        vcpu = make_vcpu(
            space,
            engine,
            big_endian=big_endian,
            wide_fpu=wide_fpu,
            use_cache=use_cache,
            count_instructions=count_instructions,
            precise_faults=True,
        )
        self._take(space, vcpu, counts=count_instructions or engine in ("reference", "interpreter"))

    @classmethod
    def _of(cls, space: AddressSpace, vcpu: AnyVcpu) -> Self:
        """Wrap what exists; it must count instructions and be precise."""
        cpu = cls.__new__(cls)
        cpu._take(space, vcpu, counts=True)
        return cpu

    def _take(self, space: AddressSpace, vcpu: AnyVcpu, *, counts: bool) -> None:
        self._space = space
        self._counts = counts
        self._stop_requested = False
        self.vcpu = vcpu
        """The engine underneath, for those who instrument it."""
        self.registers = Registers(vcpu)
        """Registers by name: `cpu.registers["a0"] = 1`."""

    def close(self) -> None:
        """Give memory and engine back to the host; the object is unusable afterwards."""
        self.vcpu.close()
        self._space.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def big_endian(self) -> bool:
        """The byte order of data and instructions."""
        return self.vcpu.big_endian

    @property
    def pc(self) -> int:
        """Address of the next instruction. Setting it also leaves a delay slot."""
        return self.registers["pc"]

    @pc.setter
    def pc(self, address: int) -> None:
        self.registers["pc"] = address

    # Memory.

    def map(self, address: int, length: int, protection: str = "rwx") -> None:
        """Map zero-filled memory, replacing what was there; the range is widened to whole 4 KiB pages.

        `protection`: any of the letters r, w, x. OSError for a range outside user space.
        """
        start = page_start(address)
        self._space.map_anonymous(start, page_end(address + length) - start, _protection_bits(protection))

    def unmap(self, address: int, length: int) -> None:
        """Remove the pages of a range, mapped or not."""
        start = page_start(address)
        self._space.unmap(start, page_end(address + length) - start)

    def protect(self, address: int, length: int, protection: str) -> None:
        """Change the protection of the pages of a range; OSError unless all are mapped."""
        start = page_start(address)
        self._space.protect(start, page_end(address + length) - start, _protection_bits(protection))

    def read(self, address: int, length: int) -> bytes:
        """The bytes of a range; `runtime.address_space.GuestFault` where the guest could not read."""
        return self._space.read(address, length)

    def write(self, address: int, data: bytes) -> None:
        """Store bytes, code too; pages that the guest may not write are written all the same.

        `runtime.address_space.GuestFault` where nothing is mapped; then nothing is written.
        """
        for page in range(page_start(address), page_end(address + len(data)), PAGE_SIZE):
            flags = self._space.page_flags[page >> PAGE_SHIFT]
            if flags & (READ | EXEC) and not flags & WRITE:
                self._write_protected(page, address, data)
                return
        self._space.write(address, data)

    def _write_protected(self, page: int, address: int, data: bytes) -> None:
        """Write with one page of the range made writable meanwhile."""
        protection = self._space.page_flags[page >> PAGE_SHIFT] & (READ | WRITE | EXEC)
        self._space.protect(page, PAGE_SIZE, protection | WRITE)
        try:
            self.write(address, data)
        finally:
            self._space.protect(page, PAGE_SIZE, protection)

    def read_word(self, address: int) -> int:
        """The 32-bit word at `address`, in the processor's byte order."""
        return int.from_bytes(self.read(address, 4), "big" if self.big_endian else "little")

    def write_word(self, address: int, value: int) -> None:
        """Store a 32-bit word in the processor's byte order."""
        self.write(address, (value & 0xFFFF_FFFF).to_bytes(4, "big" if self.big_endian else "little"))

    # Running.

    def run(
        self, *, until: int | None = None, count: int | None = None, timeout: float | None = None
    ) -> RunResult:
        """Execute from the pc until address `until`, `count` instructions, `timeout` seconds, or something
        else.

        The first of these that happens counts. A run that starts at `until` goes on to the next time.
        ValueError for a `count` without `count_instructions`. Ctrl-C raises KeyboardInterrupt; the run can
        be resumed.
        """
        before = self.vcpu.state.clock
        self._set_limits(until, count)
        with keyboard_interrupts(self.vcpu), TimeLimit(self.vcpu, timeout) as limit:
            while True:
                stop = self.vcpu.run()
                raise_interrupt(self.vcpu)
                reason = self._reason(stop, limit)
                if reason is not None:
                    return self._result(reason, before)

    def step(self) -> RunResult:
        """Execute one instruction."""
        return self.run(count=1)

    def stop(self) -> None:
        """Make a run in progress, in another thread, end soon; else the next one."""
        self._stop_requested = True
        self.vcpu.request_stop()

    def skip(self) -> None:
        """Go past the instruction at the pc without executing it; from a delay slot, to where the branch
        goes."""
        state = self.vcpu.state
        self.pc = state.branch_target if state.in_delay_slot else state.pc + 4

    def _set_limits(self, until: int | None, count: int | None) -> None:
        if count is not None and not self._counts:
            raise ValueError("count needs count_instructions=True")
        if count is not None and count < 0:
            raise ValueError("count is negative")
        clock = self.vcpu.state.clock
        self.vcpu.clock_limit = _NO_LIMIT if count is None else clock + _CLOCK_PER_INSTRUCTION * count
        self.vcpu.breakpoints = frozenset(() if until is None else (until & 0xFFFF_FFFF,))

    def _reason(self, stop: Stop, limit: TimeLimit) -> StopReason | None:
        """The reason why a run is over; None if it is not."""
        if stop is Stop.BREAKPOINT:
            return StopReason.UNTIL
        if stop is Stop.EXCEPTION and self.vcpu.state.exception_code == ExceptionCode.SYS:
            return StopReason.SYSTEM_CALL
        if stop is not Stop.LIMIT:
            return StopReason.EXCEPTION
        if self.vcpu.state.clock >= self.vcpu.clock_limit:
            return StopReason.COUNT
        if self._stop_requested:
            self._stop_requested = False
            return StopReason.STOPPED
        return StopReason.TIMEOUT if limit.expired else None

    def _result(self, reason: StopReason, clock_before: int, **others: Any) -> RunResult:
        state = self.vcpu.state
        details: dict[str, Any] = {}
        if reason is StopReason.EXCEPTION:
            details = _exception(self)
        return RunResult(
            reason=reason,
            pc=state.pc,
            instructions=(state.clock - clock_before) // _CLOCK_PER_INSTRUCTION if self._counts else 0,
            in_delay_slot=bool(state.in_delay_slot),
            **details,
            **others,
        )


def _protection_bits(letters: str) -> int:
    try:
        bits = [_PROTECTION[letter] for letter in letters]
    except KeyError as error:
        raise ValueError(f"{error.args[0]!r} is no protection; r, w and x are") from None
    return sum(set(bits))


def _exception(cpu: Cpu) -> dict[str, Any]:
    """Exception code and bad address of the instruction at the pc."""
    state = cpu.vcpu.state
    if state.stop != Stop.MEMORY_FAULT:
        code = ExceptionCode(state.exception_code)
        is_address_error = code in (ExceptionCode.ADEL, ExceptionCode.ADES)
        return {"exception": code, "bad_address": state.bad_virtual_address if is_address_error else None}
    return {"exception": _fault_code(cpu), "bad_address": state.bad_virtual_address}


def _fault_code(cpu: Cpu) -> ExceptionCode:
    """TLBL for a fetch or load, TLBS for a store, MOD for a store to memory that may only be read."""
    from translator.dataflow import dataflow
    from translator.decode import decode

    state = cpu.vcpu.state
    try:
        instruction = decode(cpu.read_word(state.pc))
    except GuestFault:
        return ExceptionCode.TLBL
    if instruction is None or not dataflow(instruction.encoding).stores:
        return ExceptionCode.TLBL
    mapped = cpu.vcpu.address_space.page_flags[state.bad_virtual_address >> PAGE_SHIFT] & (READ | EXEC)
    return ExceptionCode.MOD if mapped else ExceptionCode.TLBS
