"""A virtual machine: one vCPU, memory, the platform's devices, and the loop that runs them."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns
from typing import TYPE_CHECKING, Final, cast

from dbt_disco.command_error import CommandError
from dbt_disco.devices.character_backend import CharacterBackend
from dbt_disco.devices.goldfish_rtc import GoldfishRtc
from dbt_disco.devices.reset import ResetRegister
from dbt_disco.devices.uart import Uart
from dbt_disco.devices.virtio.transport import VirtioMmio
from dbt_disco.devices.virtio.virtio_device import VirtioDevice
from dbt_disco.disks.drive import Disk
from dbt_disco.virtual_machine import platform
from dbt_disco.virtual_machine.boot_loader import BootMemory, load
from dbt_disco.virtual_machine.bus import Bus
from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.device_tree import Boot, device_tree
from dbt_disco.virtual_machine.interrupt_controller import InterruptController
from dbt_disco.virtual_machine.machine import Machine
from dbt_disco.virtual_machine.monitor_calls import answer_monitor_call
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.processor import make_vcpu
from dbt_disco.virtual_machine.run_surroundings import RunSurroundings
from runtime.system.machine_memory import OutOfMachineMemory
from runtime.system.physical_memory import PhysicalMemory
from translator.cp0_registers import Cause
from translator.state import Stop

if TYPE_CHECKING:
    from runtime.system.vcpu import SystemVcpu

_UHI_BOOT: Final = 0xFFFF_FFFE
"""a0 of the UHI boot protocol: a1 is a device tree."""
_KSEG0: Final = 0x8000_0000
_SEED_SIZE: Final = 32
_SLOTS_IN_TURN: Final = sorted(
    platform.VIRTIO_SLOTS, key=lambda slot: slot.interrupt == platform.REAL_TIME_CLOCK.interrupt
)
"""Those that share the real-time clock's interrupt are taken last: Linux's driver of that clock shares with nobody."""
_TIMER_MASK: Final = 1 << 8 + platform.TIMER_INTERRUPT
_LINES_MASK: Final = sum(1 << 8 + line for line in platform.HARDWARE_INTERRUPTS) & ~_TIMER_MASK


class TooManyDevices(CommandError):
    """The platform has no slot left for a virtio device."""


class VirtualMachine:
    """Built from a configuration, ready to run.

    It is for one thread at a time, `stop` excepted.
    """

    def __init__(
        self,
        configuration: Configuration,
        console: CharacterBackend,
        *,
        virtio_console: CharacterBackend | None = None,
        machine: Machine | None = None,
        memory_node: int = 0,
    ) -> None:
        """`console` is at the other end of the serial line; with `virtio_console` there is a virtio console, too.

        `machine` is where memory is taken from, and may be shared with other virtual machines; None: one of its own.
        `memory_node` is the node that memory is taken from, as long as there is some.
        Raises CommandError (a file is missing or damaged, memory too small), DiskError and OSError.
        """
        self.configuration: Final = configuration
        boot = load(configuration.kernel, configuration.memory_size, configuration.initrd)
        big_endian = configuration.big_endian
        self.big_endian: Final = bool(boot.big_endian if big_endian is None else big_endian)
        self.console: Final = console
        self.monitor_calls: Final[dict[str, int]] = {}
        """How many the guest has made, by their names."""
        self.disks: Final[list[Disk]] = []
        self.virtio: Final[list[VirtioMmio]] = []
        self.started = monotonic_ns()
        """When `run` was called, in terms of `time.monotonic_ns`."""
        self._stood_still = 0
        self._still_since: int | None = None
        self.is_waiting = False
        """Whether the guest executes a `wait`."""
        self.waits_for_timer = False
        """Whether that wait ends when Compare matches."""
        self._left: int | None = None
        """See `goes_on`."""
        self._outcome: Outcome | None = None
        self._closers: list[Callable[[], None]] = []
        """Of what devices stand for."""
        ranges = [*platform.memory_ranges(configuration.memory_size), platform.BOOT_MEMORY]
        self._own_machine = None
        if machine is None:
            size = sum(part.size for part in ranges)
            machine = self._own_machine = Machine(
                size, shares_images=False, use_cache=configuration.use_cache
            )
        self.machine: Final = machine
        self.memory: Final = PhysicalMemory(
            machine.memory, [(part.start, part.size) for part in ranges], memory_node
        )
        self.bus: Final = Bus("big" if self.big_endian else "little")
        self.vcpu: Final = make_vcpu(
            configuration,
            self.memory,
            self.bus,
            big_endian=self.big_endian,
            compile_service=machine.compile_service if self._own_machine is None else None,
        )
        self.surroundings: Final[RunSurroundings] = self._make_surroundings()
        self.interrupts: Final = InterruptController(self.vcpu.set_interrupts)
        try:
            self._attach_devices(virtio_console)
            self._enter_boot_state(boot)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Give everything back; disks keep what their modes say. The console stays the caller's."""
        while self._closers:
            self._closers.pop()()
        self.surroundings.close()
        self.vcpu.close()
        self.memory.close(machine_closes=self._own_machine is not None)
        if self._own_machine is not None:
            self._own_machine.close()

    # Building.

    def _make_surroundings(self) -> RunSurroundings:
        if self.configuration.clock == "instructions":
            from dbt_disco.virtual_machine.instruction_surroundings import InstructionSurroundings

            return InstructionSurroundings(self.vcpu, self.configuration.seed)
        from dbt_disco.virtual_machine.host_surroundings import HostSurroundings
        from runtime.system.vcpu import SystemVcpu

        assert isinstance(self.vcpu, SystemVcpu)  # the other one has been refused
        return HostSurroundings(self.vcpu)

    def _attach_devices(self, virtio_console: CharacterBackend | None) -> None:
        line = self.interrupts.line
        uart, clock = platform.UART, platform.REAL_TIME_CLOCK
        assert uart.interrupt is not None and clock.interrupt is not None
        direct = self.vcpu.direct_registers
        if direct is not None:
            direct.start = uart.start
        self.bus.attach(uart, Uart(self.surroundings, line(uart.interrupt), self.console, direct))
        self.bus.attach(clock, GoldfishRtc(self.surroundings, line(clock.interrupt)))
        self.bus.attach(platform.RESET, ResetRegister(lambda: self.end(Outcome(Ending.RESET))))
        configuration = self.configuration
        for drive in configuration.drives:
            from dbt_disco.devices.virtio.block import BlockDevice

            disk = drive.open(configuration.name, self.machine.cache)
            self.disks.append(disk)
            self._closers.append(disk.close)
            self._plug(BlockDevice(disk, disk.delivery(self.memory)))
        if configuration.network is not None:
            from dbt_disco.devices.virtio.net import NetworkDevice

            network = configuration.network.open(self.surroundings)
            self._closers.append(network.close)
            self._plug(NetworkDevice(network, configuration.mac))
        if configuration.entropy:
            from dbt_disco.devices.virtio.entropy import EntropyDevice

            self._plug(EntropyDevice(self.surroundings))
        if configuration.balloon:
            from dbt_disco.devices.virtio.balloon import BalloonDevice

            self._plug(BalloonDevice())
        if virtio_console is not None:
            from dbt_disco.devices.virtio.console import ConsoleDevice

            self._plug(ConsoleDevice(virtio_console))

    def _plug(self, device: VirtioDevice) -> None:
        slots = _SLOTS_IN_TURN
        if len(self.virtio) == len(slots):
            raise TooManyDevices(
                f"the platform has room for {len(slots)} virtio devices; leave out some drives"
            )
        slot = slots[len(self.virtio)]
        assert slot.interrupt is not None
        line = self.interrupts.line(slot.interrupt)
        transport = VirtioMmio(device, self.memory, line, self.surroundings, "little")  # the bus swaps
        self.virtio.append(transport)
        self.bus.attach(slot, transport)

    def _enter_boot_state(self, boot: BootMemory) -> None:
        """DESIGN section 6, entry state; the rest is the vCPU's state after reset."""
        for piece in boot.pieces:
            self.machine.place(piece, self.memory)
        tree = device_tree(
            Boot(
                memory_size=self.configuration.memory_size,
                command_line=self.configuration.command_line,
                initrd=boot.initrd,
                occupied_slots=_SLOTS_IN_TURN[: len(self.virtio)],
                random_seed=self.surroundings.random(_SEED_SIZE),
            )
        )
        self.memory.write(boot.device_tree.start, tree)
        state = self.vcpu.state
        state.pc = boot.entry
        state.gpr[4] = _UHI_BOOT
        state.gpr[5] = _KSEG0 | boot.device_tree.start

    # Running.

    def end(self, outcome: Outcome) -> None:
        """The guest has come to its end: `run` is to return soon. The first outcome counts."""
        if self._outcome is None:
            self._outcome = outcome
        self.vcpu.request_stop()
        self.surroundings.descriptors.wake()

    def stop(self, outcome: Outcome) -> None:
        """End the virtual machine from outside, whatever it is doing; on any thread, and in signal handlers."""
        self.end(outcome)
        self.surroundings.descriptors.interrupt()

    def run(self) -> Outcome:
        """Run until the guest or somebody else ends it."""
        self.started = monotonic_ns()
        while True:
            outcome = self.turn()
            if outcome is not None:
                return outcome

    def turn(self, limit: int | None = None) -> Outcome | None:
        """Run the vCPU until it stops for something, and deal with that; the outcome if that was the end.

        Under the instruction clock it stops at `limit`, too, unless the guest is idle then.
        """
        outcome = self.proceed(limit)
        while self.is_waiting and outcome is None:
            for_timer = self.waits_for_timer
            match = self.vcpu.state.compare_ticks if for_timer else None
            try:
                left = self.surroundings.idle(match, goes_on=for_timer)
            except OutOfMachineMemory as error:  # in a device's callback
                self._fail(str(error.strerror))
                return self._outcome
            if left is not None:
                self.goes_on(left)
            elif self._outcome is None:
                self._end_wait()
            outcome = self._outcome
        return outcome

    def proceed(self, limit: int | None = None) -> Outcome | None:
        """As `turn`, but never sleeps: where `is_waiting` is true then, the guest has nothing to do.

        To be called again when Compare matches, if `waits_for_timer`, or when the vCPU has been asked to stop.
        """
        if self._outcome is None:
            try:
                self._proceed(limit)
            except OutOfMachineMemory as error:
                self._fail(str(error.strerror))
        return self._outcome

    def _proceed(self, limit: int | None) -> None:
        vcpu, surroundings = self.vcpu, self.surroundings
        if self.is_waiting:
            if vcpu.state.stop_requested:
                vcpu.state.stop_requested = 0
                surroundings.run_callbacks()
            if not self._end_wait() or self._outcome is not None:
                return
        surroundings.plan()
        if limit is not None:
            vcpu.stop_at(min(limit, vcpu.clock_limit))
        stop = self._run()
        if stop is Stop.WAIT:
            self._begin_wait()
        elif stop is Stop.LIMIT:
            surroundings.run_callbacks()
        elif stop is Stop.MONITOR_CALL:
            answer_monitor_call(self)
        else:
            self._fail(self._describe(stop))

    def goes_on(self, left: int) -> None:
        """Native code has been entered behind the `wait`, and has returned `left`: `proceed` takes it from there."""
        self.is_waiting = False
        self._left = left

    def _run(self) -> Stop:
        left, self._left = self._left, None
        if left is None:
            return self.vcpu.run()
        return cast("SystemVcpu", self.vcpu).run(left)

    def pause(self, meanwhile: Callable[[], None]) -> None:
        """Do something while the guest's time stands still; on the vCPU's thread, outside `SystemVcpu.run`."""
        before = self._still_since = monotonic_ns()
        meanwhile()
        duration = monotonic_ns() - before
        self._stood_still += duration
        self._still_since = None
        self.surroundings.paused(duration)

    @property
    def run_time(self) -> int:
        """Nanoseconds since `run` was called, without those of `pause`."""
        until = monotonic_ns() if self._still_since is None else self._still_since
        return until - self.started - self._stood_still

    def _begin_wait(self) -> None:
        """The `wait` at pc lasts until an unmasked interrupt is pending."""
        state = self.vcpu.state
        self.waits_for_timer = bool(state.status & _TIMER_MASK and not state.cause & Cause.DC)
        if not self.waits_for_timer and not state.status & _LINES_MASK:
            # The rest of Status.IM is for software, which does not run any more.
            self.end(Outcome(Ending.HALT))
            return
        self.console.flush()
        self.is_waiting = True

    def _end_wait(self) -> bool:
        """Whether an interrupt is pending by now: then the guest goes on behind the `wait`."""
        if not self.vcpu.interrupt_is_pending():
            return False
        self.is_waiting = False
        self.vcpu.advance()
        return True

    def _fail(self, reason: str) -> None:
        self.end(Outcome(Ending.FAILED, reason=f"{reason} (pc {self.vcpu.state.pc:#010x})"))

    def _describe(self, stop: Stop) -> str:
        state = self.vcpu.state
        if stop is Stop.FETCH_ELSEWHERE:
            return f"the guest executes what is no memory, at physical {state.access_physical:#010x}"
        return f"the vCPU has stopped for {stop.name.lower().replace('_', ' ')}"
