"""A virtual machine as the person at the monitor's prompt sees it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from dbt_disco.devices.virtio.transport import VirtioMmio
from dbt_disco.statistics import as_text
from dbt_disco.virtual_machine.statistics import measure, titles
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
from runtime.addresses import MACHINE_PAGE_SHIFT
from translator.cp0_registers import CP0_REGISTERS, EntryLo
from translator.decode import REGISTER_NAMES
from translator.state import SECOND_LEVEL_EMPTY, CpuState

_IN_A_ROW: Final = 4
_NEVER_MATCHES: Final = 0xFFFF_FFFF
_VPN_PAIR: Final = 0xFFFF_E000
_ADDRESS_MASK: Final = 0xFFFF_FFFF
_SHOWN: Final = 60
"""Characters of a device's state value."""


def registers_text(virtual_machine: VirtualMachine) -> str:
    """General registers, HI and LO, and coprocessor 0."""
    vcpu = virtual_machine.vcpu
    state = vcpu.state
    place = " (delay slot)" if state.in_delay_slot else ""
    values = {name: int(state.gpr[number]) for number, name in enumerate(REGISTER_NAMES)}
    values |= {"hi": state.hi, "lo": state.lo}
    privileged = {register.name: int(getattr(state, register.field)) for register in CP0_REGISTERS}
    privileged["count"] = vcpu.count()
    return f"pc {state.pc:08x}{place}\n{_rows(values, 4)}{_rows(privileged, 19)}"


def _rows(values: dict[str, int], width: int) -> str:
    cells = [f"{name:{width}} {value:08x}" for name, value in values.items()]
    rows = (cells[at : at + _IN_A_ROW] for at in range(0, len(cells), _IN_A_ROW))
    return "".join("  ".join(row).rstrip() + "\n" for row in rows)


def tlb_text(virtual_machine: VirtualMachine) -> str:
    """The entries that can match, and how many the second level holds."""
    state = virtual_machine.vcpu.state
    lines = list(_tlb_lines(state)) or ["no entry is in use"]
    second = sum(1 for key in state.second_hi if key != SECOND_LEVEL_EMPTY)
    return "\n".join([*lines, f"wired {state.wired}; in the second level: {second} entries"]) + "\n"


def _tlb_lines(state: CpuState) -> Iterator[str]:
    for index in range(state.tlb_last + 1):
        key, compared = state.tlb_hi[index], state.tlb_compared[index]
        if key == compared == _NEVER_MATCHES:
            continue
        page_size = ((~compared & 0x1FFF_FFFF | 0x1FFF) + 1) // 2
        is_global = not compared & 0xFF
        space = "global " if is_global else f"asid {key & 0xFF:02x}"
        pages = "  ".join(_page(low[index], page_size) for low in (state.tlb_lo0, state.tlb_lo1))
        yield f"{index:2}  {key & compared & _VPN_PAIR:08x} {page_size >> 10:6}K {space}  {pages}"


def _page(low: int, page_size: int) -> str:
    if not low & EntryLo.V:
        return "-- invalid --"
    frame = low >> EntryLo.PFN_SHIFT << MACHINE_PAGE_SHIFT & _ADDRESS_MASK & -page_size
    return f"{frame:08x} c{low >> 3 & 7} {'w' if low & EntryLo.D else 'r'}"


def devices_text(virtual_machine: VirtualMachine) -> str:
    """Where each device is, and its state."""
    lines = []
    for place, device in virtual_machine.bus.devices():
        interrupt = "" if place.interrupt is None else f" IP{place.interrupt}"
        what = type(device.device if isinstance(device, VirtioMmio) else device).__name__
        lines.append(f"{place.start:08x} {place.name}{interrupt}: {what}")
        if isinstance(device, VirtioMmio) and device.failure is not None:
            lines.append(f"    needs a reset: {device.failure}")
        lines += [f"    {name} {_shown(value)}" for name, value in device.state().items()]
    lines.append(f"interrupt lines raised: {virtual_machine.interrupts.levels >> 2:05b} (IP6 to IP2)")
    return "\n".join(lines) + "\n"


def _shown(value: Any) -> str:
    text = f"{value:#x}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
    return text if len(text) <= _SHOWN else text[:_SHOWN] + "…"


def virtual_machine_text(virtual_machine: VirtualMachine) -> str:
    """What it is made of, and its statistics."""
    configuration = virtual_machine.configuration
    order = "big" if virtual_machine.big_endian else "little"
    lines = [
        f"kernel {configuration.kernel}",
        f"initrd {configuration.initrd}",
        f"append {configuration.command_line}",
        f"cpu {configuration.cpu}, {order}-endian; clock {configuration.clock}",
        *(f"drive {drive.file}, mode {drive.mode.value}" for drive in configuration.drives),
    ]
    statistics = measure(virtual_machine)
    return "\n".join(lines) + "\n" + as_text(statistics, titles(statistics))
