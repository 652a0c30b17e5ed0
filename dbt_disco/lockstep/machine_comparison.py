"""Comparing the processors and the memories of two virtual machines under the instruction clock."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from typing import Final

from dbt_disco.registers import GENERAL_NAMES
from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.reference.timer import InstructionTimer
from translator.cp0_registers import CP0_REGISTERS
from translator.float_unit import read_fcsr
from translator.state import (
    OFFSET,
    SECOND_LEVEL_EMPTY,
    SECOND_LEVEL_RINGS,
    SECOND_LEVEL_SIZE,
    TLB_SIZE,
    CpuState,
)

_CP0_FIELDS: Final = tuple(register.field for register in CP0_REGISTERS)
_SCALARS: Final = (
    *("pc", "hi", "lo", "fir", "in_delay_slot", "clock"),
    *("link_address", "link_valid", "link_value"),
    *_CP0_FIELDS,
    *("tlb_last", "random_read", "tlb_known", "tlb_observed", "wired_most"),
    *("compare_ticks", "stopped_count", "wide_registers", "refills"),
)
_TLB: Final = ("tlb_hi", "tlb_compared", "tlb_lo0", "tlb_lo1")
_SECOND_LEVEL: Final = ("second_hi", "second_lo0", "second_lo1")
_RINGS: Final = ("second_next", "second_previous")
REGISTERS_AND_TRANSLATIONS: Final = (*_SCALARS, "gpr", "fpr", *_TLB, *_SECOND_LEVEL, *_RINGS)
"""Fields of the state that must be equal, FCSR and the target of a delay slot's branch apart."""
_GPR_SIZE: Final = 32 * 4
"""Without the sink of writes to $zero."""

_libc = ctypes.CDLL(None)
_libc.memcmp.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_size_t]


def _ranges() -> list[tuple[int, int]]:
    """Offset and size of what must be equal byte by byte, neighbours joined."""
    joined: list[tuple[int, int]] = []
    places = [
        (OFFSET[name], getattr(CpuState, name).size) for name in {*REGISTERS_AND_TRANSLATIONS} - {"gpr"}
    ]
    for start, size in sorted([*places, (OFFSET["gpr"], _GPR_SIZE)]):
        if joined and sum(joined[-1]) == start:
            joined[-1] = (joined[-1][0], joined[-1][1] + size)
        else:
            joined.append((start, size))
    return joined


_RANGES: Final = _ranges()


def settle(state: CpuState) -> None:
    """Bring up to date what engines are free to put off: Cause.TI."""
    InstructionTimer(state).update()


def are_equal(first: CpuState, second: CpuState) -> bool:
    """Whether two settled states are the same to a guest, and will go on being so."""
    left, right = ctypes.addressof(first), ctypes.addressof(second)
    if any(_libc.memcmp(left + start, right + start, size) for start, size in _RANGES):
        return False
    if first.in_delay_slot and first.branch_target != second.branch_target:
        return False
    return read_fcsr(first) == read_fcsr(second)


def registers_by_name(state: CpuState) -> dict[str, int]:
    """Everything but the TLBs."""
    values = dict(zip(GENERAL_NAMES, state.gpr, strict=False))
    values |= {f"fpr[{number}]": state.fpr[number] for number in range(32)}
    values |= {name: getattr(state, name) for name in _SCALARS}
    values["fcsr"] = read_fcsr(state)
    values["branch_target"] = state.branch_target if state.in_delay_slot else 0
    values["instructions"] = state.clock // 16
    return values


def translations_by_name(state: CpuState) -> dict[str, int]:
    """The TLB's entries, and those of the second level that are used."""
    values = {f"{name}[{index}]": getattr(state, name)[index] for index in range(TLB_SIZE) for name in _TLB}
    for number, key in enumerate(state.second_hi):
        if key != SECOND_LEVEL_EMPTY:
            names = (*_SECOND_LEVEL, *_RINGS)
            values |= {f"{name}[{number}]": getattr(state, name)[number] for name in names}
    for number in range(SECOND_LEVEL_SIZE, SECOND_LEVEL_SIZE + SECOND_LEVEL_RINGS):
        values |= {f"{name}[{number}]": getattr(state, name)[number] for name in _RINGS}
    return values


def differing_frames(first: PhysicalMemory, second: PhysicalMemory) -> Iterator[int]:
    """Numbers of the physical pages whose contents differ; a page that nobody has touched holds zeros."""
    zeros = bytes(MACHINE_PAGE_SIZE)
    left, right = (memoryview(memory.pmap).cast("B").cast("Q").tolist() for memory in (first, second))
    mask = ~(MACHINE_PAGE_SIZE - 1)
    for frame, (one, other) in enumerate(zip(left, right, strict=True)):
        if not one and not other:
            continue
        if one and other:
            if _libc.memcmp(one & mask, other & mask, MACHINE_PAGE_SIZE):
                yield frame
        elif ctypes.string_at((one or other) & mask, MACHINE_PAGE_SIZE) != zeros:
            yield frame
