"""The flattened device tree that tells an operating system what the platform has.

Made for Linux's generic MIPS platform (arch/mips/generic): it takes any device tree handed over by the UHI boot
protocol whatever its `compatible`, gets the rate of Count as half that of the first clock of the CPU node
(`plat_time_init`) and the timer's interrupt from CP0 IntCtl.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from dbt_disco.command_error import CommandError
from dbt_disco.devices import reset, uart
from dbt_disco.virtual_machine import platform
from dbt_disco.virtual_machine.platform import DeviceRange, MemoryRange

if TYPE_CHECKING:
    from fdt import FDT, Node

COMPATIBLE: Final = "dbt-disco,virtual-machine"
MODEL: Final = "dbt-disco virtual machine"
"""Linux shows it as the system type."""

COMMAND_LINE_LIMIT: Final = 4095
"""Characters of a command line that Linux keeps (COMMAND_LINE_SIZE of arch/mips, without the final zero)."""

_FORMAT_VERSION: Final = 17
_COMPATIBLE_FORMAT_VERSION: Final = 16
_CONSOLE_SPEED: Final = 115_200

# Handles by which nodes refer to each other.
_CPU_INTERRUPTS: Final = 1
_CPU_CLOCK: Final = 2
_RESET_REGISTERS: Final = 3


class CommandLineError(CommandError):
    """A kernel command line that the kernel could not be given."""


@dataclass(frozen=True)
class Boot:
    """What differs from one start of a virtual machine to the next."""

    memory_size: int
    command_line: str = ""
    initrd: MemoryRange | None = None
    occupied_slots: Sequence[DeviceRange] = ()
    """The `VIRTIO_SLOTS` that a device is attached to; the others are left out, nobody need probe them."""
    random_seed: bytes = b""
    """Seeds the guest's random number generator, if not empty; Linux then need not wait for entropy."""


def device_tree(boot: Boot) -> bytes:
    """The device tree blob. Linux writes to it (it erases the seed).

    Raises `CommandLineError` and `MemorySizeError`.
    """
    return bytes(_tree(boot).to_dtb(version=_FORMAT_VERSION, last_comp_version=_COMPATIBLE_FORMAT_VERSION))


def _tree(boot: Boot) -> FDT:
    from fdt import FDT, Node, PropStrings, PropWords

    tree = FDT()
    tree.root = Node(
        "/",
        PropWords("#address-cells", 1),
        PropWords("#size-cells", 1),
        PropWords("interrupt-parent", _CPU_INTERRUPTS),
        PropStrings("compatible", COMPATIBLE),
        PropStrings("model", MODEL),
        Node("aliases", PropStrings("serial0", "/" + _node_name(platform.UART))),
        _chosen(boot),
        _memory(boot.memory_size),
        *_processor(),
        *_reset(),
        _console(),
        _real_time_clock(),
        *(_virtio_slot(slot) for slot in boot.occupied_slots),
    )
    return tree


def _chosen(boot: Boot) -> Node:
    from fdt import Node, PropBytes, PropStrings, PropWords

    node = Node("chosen", PropStrings("stdout-path", f"serial0:{_CONSOLE_SPEED}n8"))
    if boot.command_line:
        _check_command_line(boot.command_line)
        node.append(PropStrings("bootargs", boot.command_line))
    if boot.initrd is not None:
        node.append(PropWords("linux,initrd-start", boot.initrd.start))
        node.append(PropWords("linux,initrd-end", boot.initrd.end))
    if boot.random_seed:
        node.append(PropBytes("rng-seed", data=boot.random_seed))
    return node


def _check_command_line(text: str) -> None:
    if len(text) > COMMAND_LINE_LIMIT:
        raise CommandLineError(
            f"kernel command line: {len(text)} characters, but the kernel keeps {COMMAND_LINE_LIMIT}; shorten it"
        )
    for position, character in enumerate(text):
        if not " " <= character <= "~":
            raise CommandLineError(
                f"kernel command line: character {position + 1} is {character!a}; use printable ASCII only"
            )


def _memory(size: int) -> Node:
    from fdt import Node, PropStrings, PropWords

    ranges = platform.memory_ranges(size)
    cells = [cell for memory in ranges for cell in (memory.start, memory.size)]
    return Node("memory@0", PropStrings("device_type", "memory"), PropWords("reg", *cells))


def _processor() -> tuple[Node, ...]:
    from fdt import Node, Property, PropStrings, PropWords

    cpu = Node(
        "cpu@0",
        PropStrings("device_type", "cpu"),
        PropStrings("compatible", "mips,mips24Kc"),
        PropWords("reg", 0),
        PropWords("clocks", _CPU_CLOCK),
    )
    return (
        Node("cpus", PropWords("#address-cells", 1), PropWords("#size-cells", 0), cpu),
        Node(
            "interrupt-controller",
            PropStrings("compatible", "mti,cpu-interrupt-controller"),
            Property("interrupt-controller"),
            PropWords("#address-cells", 0),
            PropWords("#interrupt-cells", 1),
            PropWords("phandle", _CPU_INTERRUPTS),
        ),
        Node(
            "cpu-clock",
            PropStrings("compatible", "fixed-clock"),
            PropWords("#clock-cells", 0),
            PropWords("clock-frequency", platform.CPU_FREQUENCY),
            PropWords("phandle", _CPU_CLOCK),
        ),
    )


def _reset() -> tuple[Node, ...]:
    """The register, and the two things that Linux can do with it; for this platform both end the virtual machine."""
    from fdt import Node, Property, PropStrings, PropWords

    return (
        _device_node(
            platform.RESET,
            PropStrings("compatible", "syscon"),
            Property("native-endian"),
            PropWords("phandle", _RESET_REGISTERS),
        ),
        *(
            Node(
                name,
                PropStrings("compatible", f"syscon-{name}"),
                PropWords("regmap", _RESET_REGISTERS),
                PropWords("offset", 0),
                PropWords("value", reset.GO_RESET),
            )
            for name in ("reboot", "poweroff")
        ),
    )


def _console() -> Node:
    from fdt import PropStrings, PropWords

    return _device_node(
        platform.UART,
        PropStrings("compatible", "ns16550a"),
        PropWords("reg-shift", uart.REGISTER_SHIFT),
        PropWords("clock-frequency", uart.CLOCK_FREQUENCY),
    )


def _real_time_clock() -> Node:
    from fdt import PropStrings

    return _device_node(platform.REAL_TIME_CLOCK, PropStrings("compatible", "google,goldfish-rtc"))


def _virtio_slot(slot: DeviceRange) -> Node:
    from fdt import PropStrings

    return _device_node(slot, PropStrings("compatible", "virtio,mmio"))


def _node_name(device: DeviceRange) -> str:
    return f"{device.name}@{device.start:x}"


def _device_node(device: DeviceRange, *properties: object) -> Node:
    from fdt import Node, PropWords

    node = Node(_node_name(device), *properties, PropWords("reg", device.start, device.size))
    if device.interrupt is not None:
        node.append(PropWords("interrupts", device.interrupt))
    return node
