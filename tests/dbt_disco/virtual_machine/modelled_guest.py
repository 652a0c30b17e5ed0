"""A virtual machine that does one instruction at a time, and what its memory and disk must hold."""

from __future__ import annotations

from typing import Final

from dbt_disco.disks.drive import Drive
from dbt_disco.disks.modified_disk import ModifiedDisk
from dbt_disco.disks.sector_cache import SectorCache
from dbt_disco.virtual_machine.bus import Bus
from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system.access_sampling import AccessSampling
from runtime.system.cpu_model import CPU_MODELS
from runtime.system.machine_memory import MachineMemory
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.vcpu import SystemVcpu
from tests.conformance.assembler import assemble
from translator.cp0_registers import Status
from translator.state import Stop

PAGE: Final = MACHINE_PAGE_SIZE
MEMORY_PAGES: Final = 48
"""Of each virtual machine."""
CODE_AT: Final = 0x40_0000
"""Where a range of memory is that only holds the code of stores and loads."""
KSEG0: Final = 0x8000_0000
SEGMENTS: Final = (KSEG0, 0xA000_0000, 0)
"""KSEG0, KSEG1, and KUSEG, which is physical memory while Status.ERL is set."""
HYPCALL: Final = assemble("hypcall").to_bytes(4, "little")
STORE: Final = 0
LOAD: Final = 8
STORE_HALF: Final = 16
STORE_BYTE: Final = 24
STORE_LEFT: Final = 32
_CODE: Final = ("sw r9, 0(r8)", "lw r10, 0(r8)", "sh r9, 0(r8)", "sb r9, 0(r8)", "swl r9, 0(r8)")
"""At these offsets, a `hypcall` behind each."""


def code(number: int) -> bytes:
    """What sets r10 to a number, and stops."""
    return assemble(f"addiu r10, r0, {number}").to_bytes(4, "little") + HYPCALL


class Guest:
    """A virtual machine and its model."""

    def __init__(
        self, machine: MachineMemory, cache: SectorCache, drive: Drive, node: int, expected_disk: bytearray
    ) -> None:
        size = MEMORY_PAGES * PAGE
        self.memory: Final = PhysicalMemory(machine, [(0, size), (CODE_AT, PAGE)])
        self.memory.node = node
        self.vcpu: Final = SystemVcpu(
            self.memory,
            Bus("little"),  # type: ignore[arg-type]
            CPU_MODELS["24Kf"],
            engine="interpreter",
            instruction_clock=True,
        )
        self.sampling: Final = AccessSampling(self.vcpu)
        self.sampling.runs_on(node)
        disk = drive.open("vm", cache)
        assert isinstance(disk, ModifiedDisk)
        self.disk: Final = disk
        self.deliver: Final = disk.delivery(self.memory)
        self.expected: Final = bytearray(size)
        self.expected_disk: Final = expected_disk

    def start(self) -> None:
        """May raise OutOfMachineMemory, as everything else here."""
        program = b"".join(assemble(line).to_bytes(4, "little") + HYPCALL for line in _CODE)
        self.memory.write(CODE_AT, program)

    def close(self) -> None:
        self.vcpu.close()
        self.disk.close()
        self.memory.close()

    def run(self, pc: int, until: Stop = Stop.MONITOR_CALL) -> None:
        """Until a `hypcall`, or what else is to end it."""
        state = self.vcpu.state
        state.status |= Status.ERL
        state.pc, state.in_delay_slot = pc, 0
        assert self.vcpu.run() is until

    def access(self, kind: int, address: int, segment: int, value: int = 0) -> int:
        """Have the vCPU store or load, by one of the instructions of `_CODE`."""
        registers = self.vcpu.state.gpr
        registers[8], registers[9] = segment | address, value
        self.run(KSEG0 | CODE_AT + kind)
        return registers[10]
