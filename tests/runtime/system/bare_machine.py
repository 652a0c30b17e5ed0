"""A small virtual machine for tests of vCPUs: memory, a UART that only sends, and the reset register."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Literal

from dbt_disco.devices.reset import ResetRegister
from dbt_disco.devices.uart import Uart
from dbt_disco.virtual_machine import platform
from dbt_disco.virtual_machine.boot_loader import load
from dbt_disco.virtual_machine.bus import Bus
from dbt_disco.virtual_machine.interrupt_controller import InterruptController
from runtime.reference_cpu import NO_LIMIT
from runtime.system.cpu_model import CPU_MODELS
from runtime.system.machine_memory import MachineMemory
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.reference.vcpu import ReferenceVcpu
from runtime.system.vcpu import SystemVcpu
from tests.dbt_disco.devices.surroundings import ManualSurroundings
from tests.dbt_disco.virtual_machine.bare_programs import HALT, raw_image
from translator.cp0_registers import Cause, Status
from translator.predecode import CLOCK_PER_COUNT
from translator.state import Stop

Engine = Literal["reference", "interpreter", "translator", "auto"]
MEMORY_SIZE: Final = 16 << 20
CODE: Final = 0x10_0000
"""Physical address of programs."""
_GENERAL_VECTOR: Final = 0x180
_KSEG0: Final = 0x8000_0000
_TIMER_MASK: Final = 1 << 15
"""IP7 in Status."""


class Console:
    """A backend that remembers what it is sent."""

    def __init__(self) -> None:
        self.output = bytearray()

    def connect(self, receiver: object) -> None:
        """Nothing is received."""

    def write(self, data: bytes) -> None:
        self.output += data

    def flush(self) -> None: ...
    def input_wanted(self) -> None: ...


class BareMachine:
    """Time is instructions."""

    reference_vcpu: type[ReferenceVcpu] = ReferenceVcpu

    def __init__(
        self,
        engine: Engine,
        *,
        big_endian: bool = False,
        memory_size: int = MEMORY_SIZE,
        cpu: str = "24Kf",
        has_privileged_page: bool = True,
        nodes: int = 1,
    ) -> None:
        ranges = [*platform.memory_ranges(memory_size), platform.BOOT_MEMORY]
        size = sum(part.size for part in ranges) + (1 << 20)
        self.machine: Final = MachineMemory(size * nodes, nodes)
        self.memory: Final = PhysicalMemory(self.machine, [(part.start, part.size) for part in ranges])
        self.bus: Final = Bus("big" if big_endian else "little")
        self.console: Final = Console()
        self.big_endian: Final = big_endian
        self.has_ended = False
        self.planned: list[tuple[int, int]] = []
        """Clock and levels of IP2 to IP6, in this order."""
        model = CPU_MODELS[cpu]
        self.vcpu: ReferenceVcpu | SystemVcpu
        if engine == "reference":
            self.vcpu = self.reference_vcpu(
                self.memory,
                self.bus,  # type: ignore[arg-type]
                model,
                big_endian=big_endian,
                has_privileged_page=has_privileged_page,
            )
        else:
            self.vcpu = SystemVcpu(
                self.memory,
                self.bus,  # type: ignore[arg-type]
                model,
                big_endian=big_endian,
                engine=engine,
                instruction_clock=True,
                has_privileged_page=has_privileged_page,
            )
        self.interrupts: Final = InterruptController(self.vcpu.set_interrupts)
        surroundings = ManualSurroundings()
        assert platform.UART.interrupt is not None
        line = self.interrupts.line(platform.UART.interrupt)
        direct = self.vcpu.direct_registers
        if direct is not None:
            direct.start = platform.UART.start
        self.bus.attach(platform.UART, Uart(surroundings, line, self.console, direct))
        self.bus.attach(platform.RESET, ResetRegister(self._end))

    def _end(self) -> None:
        self.has_ended = True
        self.vcpu.request_stop()

    def close(self) -> None:
        self.vcpu.close()
        self.memory.close()
        self.machine.close()

    def load(self, image: Path) -> None:
        """Put an image into memory and start at its entry."""
        boot = load(image, MEMORY_SIZE)
        for piece in boot.pieces:
            self.memory.write(piece.address, piece.bytes())
        state = self.vcpu.state
        state.pc = boot.entry
        state.gpr[4], state.gpr[5] = 0xFFFF_FFFE, 0x8000_0000 | boot.device_tree.start

    def start(self, *program: str) -> None:
        """Put a program (see `raw_image`) at CODE and start there; it halts at its end, or with an exception."""
        for address, lines in ((CODE, (*program, *HALT)), (_GENERAL_VECTOR, HALT)):
            self.memory.write(address, raw_image(*lines, big_endian=self.big_endian))
        self.vcpu.state.status = 0  # vectors in memory
        self.vcpu.state.pc = _KSEG0 | CODE

    def run(self, clock: int = NO_LIMIT) -> str | None:
        """Run until the machine ends, which is the result, or the clock gets to a value."""
        ending = None
        while ending is None and self.vcpu.state.clock < clock:
            ending = self.turn(clock)
        return ending

    def turn(self, limit: int) -> str | None:
        """As `dbt_disco.lockstep.machine_lockstep.SteppedMachine` has it."""
        vcpu = self.vcpu
        planned = self.planned[0][0] if self.planned else NO_LIMIT
        vcpu.stop_at(min(limit, planned))
        stop = vcpu.run()
        if stop is Stop.WAIT and vcpu.state.status & Status.IM:
            state = vcpu.state
            has_timer = state.status & _TIMER_MASK and not state.cause & Cause.DC
            match = state.compare_ticks * CLOCK_PER_COUNT if has_timer else NO_LIMIT
            state.clock = max(state.clock, min(match, planned, limit))
        elif stop is not Stop.LIMIT:
            ending = self.end_for(stop)
            if ending is not None:
                return ending
        while self.planned and self.planned[0][0] <= vcpu.state.clock:
            vcpu.set_interrupts(self.planned.pop(0)[1])
        return "reset" if self.has_ended else None

    def end_for(self, stop: Stop) -> str | None:
        """How the machine ends, now that the vCPU has stopped for something; None if it goes on."""
        return f"stop {stop.name}"
