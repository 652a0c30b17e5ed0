"""A virtual machine: one vCPU, memory, the platform's devices, and the loop that runs them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final

from dbt_disco.devices.character_backend import CharacterBackend
from dbt_disco.devices.goldfish_rtc import GoldfishRtc
from dbt_disco.devices.reset import ResetRegister
from dbt_disco.devices.uart import Uart
from dbt_disco.devices.virtio.balloon import BalloonDevice
from dbt_disco.devices.virtio.block import BlockDevice
from dbt_disco.devices.virtio.entropy import EntropyDevice
from dbt_disco.devices.virtio.transport import VirtioMmio
from dbt_disco.devices.virtio.virtio_device import VirtioDevice
from dbt_disco.disks.drive import Disk, Drive
from dbt_disco.virtual_machine import platform
from dbt_disco.virtual_machine.boot_loader import BootMemory, load
from dbt_disco.virtual_machine.bus import Bus
from dbt_disco.virtual_machine.device_tree import Boot, device_tree
from dbt_disco.virtual_machine.host_surroundings import HostSurroundings
from dbt_disco.virtual_machine.interrupt_controller import InterruptController
from runtime.system.cpu_model import CPU_MODELS
from runtime.system.machine_memory import MachineMemory
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.vcpu import Engine, SystemVcpu
from translator.cp0_registers import Status
from translator.state import Stop

_UHI_BOOT: Final = 0xFFFF_FFFE
"""a0 of the UHI boot protocol: a1 is a device tree."""
_KSEG0: Final = 0x8000_0000
_DEFAULT_MEMORY: Final = 256 << 20


@dataclass(frozen=True)
class Configuration:
    """What a virtual machine is made of."""

    kernel: Path
    initrd: Path | None = None
    command_line: str = ""
    memory_size: int = _DEFAULT_MEMORY
    drives: Sequence[Drive] = ()
    with_entropy: bool = False
    with_balloon: bool = False
    cpu: str = "24Kf"
    engine: Engine = "auto"
    counts_instructions: bool = False
    use_cache: bool = True
    has_privileged_page: bool = True
    name: str = field(default="vm")
    big_endian: bool | None = None
    """None: as the kernel says, else little."""


class Ending(Enum):
    """How a virtual machine came to its end."""

    RESET = "the guest reset the machine"
    HALT = "the guest halted"
    POWER_OFF = "the guest powered off by a monitor call"
    STOPPED = "it was stopped"
    FAILED = "it cannot go on"


@dataclass(frozen=True)
class Outcome:
    """The end of a run."""

    ending: Ending
    status: int = 0
    """The guest's exit status, of a power-off by monitor call."""
    reason: str = ""
    """Of FAILED: one line."""


class VirtualMachine:
    """Built from a configuration, ready to run. `machine` is where its pages are taken from."""

    def __init__(
        self, configuration: Configuration, console: CharacterBackend, machine: MachineMemory | None = None
    ) -> None:
        self.configuration: Final = configuration
        boot = load(configuration.kernel, configuration.memory_size, configuration.initrd)
        wanted = configuration.big_endian
        self.big_endian: Final = bool(boot.big_endian if wanted is None else wanted)
        ranges = [*platform.memory_ranges(configuration.memory_size), platform.BOOT_MEMORY]
        self._own_machine = None
        if machine is None:
            machine = self._own_machine = MachineMemory(sum(part.size for part in ranges) + (1 << 20))
        self.memory: Final = PhysicalMemory(machine, [(part.start, part.size) for part in ranges])
        self.bus: Final = Bus("big" if self.big_endian else "little")
        self.vcpu: Final = SystemVcpu(
            self.memory,
            self.bus,  # type: ignore[arg-type]  # physical addresses are plain numbers in the runtime
            CPU_MODELS[configuration.cpu],
            big_endian=self.big_endian,
            engine=configuration.engine,
            use_cache=configuration.use_cache,
            count_instructions=configuration.counts_instructions,
            has_privileged_page=configuration.has_privileged_page,
            program_key=str(configuration.kernel),
        )
        self.surroundings: Final = HostSurroundings(self.vcpu.request_stop)
        self.interrupts: Final = InterruptController(self.vcpu.set_interrupts)
        self.console: Final = console
        self.disks: list[Disk] = []
        self._outcome: Outcome | None = None
        self._attach_devices()
        self._enter_boot_state(boot)

    def close(self) -> None:
        """Give everything back; disks keep what their modes say."""
        for disk in self.disks:
            disk.close()
        self.surroundings.close()
        self.vcpu.close()
        self.memory.close()
        if self._own_machine is not None:
            self._own_machine.close()

    # Building.

    def _attach_devices(self) -> None:
        line = self.interrupts.line
        uart, clock = platform.UART, platform.REAL_TIME_CLOCK
        assert uart.interrupt is not None and clock.interrupt is not None
        self.bus.attach(uart, Uart(self.surroundings, line(uart.interrupt), self.console))
        self.bus.attach(clock, GoldfishRtc(self.surroundings, line(clock.interrupt)))
        self.bus.attach(platform.RESET, ResetRegister(lambda: self.end(Outcome(Ending.RESET))))
        self.virtio: list[VirtioMmio] = []
        for drive in self.configuration.drives:
            disk = drive.open(self.configuration.name)
            self.disks.append(disk)
            self._plug(BlockDevice(disk))
        if self.configuration.with_entropy:
            self._plug(EntropyDevice(self.surroundings))
        if self.configuration.with_balloon:
            self._plug(BalloonDevice())

    def _plug(self, device: VirtioDevice) -> None:
        slot = platform.VIRTIO_SLOTS[len(self.virtio)]
        assert slot.interrupt is not None
        line = self.interrupts.line(slot.interrupt)
        transport = VirtioMmio(device, self.memory, line, self.surroundings, "little")
        self.virtio.append(transport)
        self.bus.attach(slot, transport)

    def _enter_boot_state(self, boot: BootMemory) -> None:
        """DESIGN section 6, entry state."""
        for piece in boot.pieces:
            self.memory.write(piece.address, piece.bytes())
        tree = device_tree(
            Boot(
                memory_size=self.configuration.memory_size,
                command_line=self.configuration.command_line,
                initrd=boot.initrd,
                occupied_slots=platform.VIRTIO_SLOTS[: len(self.virtio)],
                random_seed=self.surroundings.random(32),
            )
        )
        self.memory.write(boot.device_tree.start, tree)
        state = self.vcpu.state
        state.pc = boot.entry
        state.gpr[4] = _UHI_BOOT
        state.gpr[5] = _KSEG0 | boot.device_tree.start

    # Running.

    def end(self, outcome: Outcome) -> None:
        """End `run` soon; called on the vCPU's thread, or in a signal handler."""
        self._outcome = outcome
        self.vcpu.request_stop()
        self.surroundings.wake()

    def run(self) -> Outcome:
        """Run until the guest or somebody else ends it."""
        while self._outcome is None:
            stop = self.vcpu.run()
            if stop is Stop.WAIT:
                self._idle()
            elif stop is Stop.LIMIT:
                self.surroundings.run_callbacks()
            else:
                self._outcome = Outcome(Ending.FAILED, reason=self._describe(stop))
        return self._outcome

    def _idle(self) -> None:
        """`wait` at pc: sleep until an interrupt can come."""
        status = self.vcpu.state.status
        if not status & Status.IM:
            self._outcome = Outcome(Ending.HALT)
            return
        self.console.flush()
        until = self.vcpu.next_compare() if status & 1 << 15 else None
        self.surroundings.wait(until)
        self.surroundings.run_callbacks()

    def _describe(self, stop: Stop) -> str:
        state = self.vcpu.state
        if stop is Stop.FETCH_ELSEWHERE:
            return f"instruction fetch from physical {state.access_physical:#010x}, which is no memory"
        return f"stop {stop.name.lower()} at {state.pc:#010x}"
