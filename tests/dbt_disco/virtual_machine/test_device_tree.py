"""The device tree as a reader other than its writer finds it: the device tree compiler's tools, and the library's."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import fdt
import pytest

from dbt_disco.virtual_machine import platform
from dbt_disco.virtual_machine.device_tree import Boot, CommandLineError, device_tree
from dbt_disco.virtual_machine.platform import MemoryRange, MemorySizeError
from runtime.addresses import PhysicalAddress

MIB = 1 << 20


def parsed(boot: Boot) -> fdt.FDT:
    return fdt.parse_dtb(device_tree(boot))


def words(tree: fdt.FDT, path: str, name: str) -> list[int]:
    return list(tree.get_property(name, path).data)


def strings(tree: fdt.FDT, path: str, name: str) -> list[str]:
    return list(tree.get_property(name, path).data)


FULL = Boot(
    memory_size=512 * MIB,
    command_line='console=ttyS0 quoted="a b" %s \\',
    initrd=MemoryRange(PhysicalAddress(0x0400_0000), 0x1235),
    occupied_slots=platform.VIRTIO_SLOTS,
    random_seed=bytes(range(32)),
)


@pytest.mark.parametrize("boot", [FULL, Boot(64 * MIB)], ids=["full", "bare"])
def test_device_tree_compiler_has_no_objection(
    program: Callable[[str], str], tmp_path: Path, boot: Boot
) -> None:
    blob = tmp_path / "tree"
    blob.write_bytes(device_tree(boot))
    command = [program("dtc"), "-I", "dtb", "-O", "dts", str(blob)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""


def test_device_tree_tools_read_back_what_was_given(program: Callable[[str], str], tmp_path: Path) -> None:
    """The library writes and reads; a mistake that it makes both ways is seen by others only."""
    blob = tmp_path / "tree"
    blob.write_bytes(device_tree(FULL))

    def get(kind: str, path: str, name: str) -> str:
        command = [program("fdtget"), "-t", kind, str(blob), path, name]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.rstrip("\n")

    assert get("s", "/chosen", "bootargs") == FULL.command_line
    assert get("x", "/memory@0", "reg") == "0 10000000 20000000 10000000"
    assert get("bx", "/chosen", "rng-seed") == " ".join(f"{byte:x}" for byte in range(32))
    assert get("x", "/virtio@1f011e00", "reg") == "1f011e00 200"


def test_linux_finds_the_rate_of_count() -> None:
    """`plat_time_init` in arch/mips/generic/init.c: half the rate of the CPU node's first clock."""
    tree = parsed(Boot(64 * MIB))
    handle = words(tree, "/cpus/cpu@0", "clocks")[0]
    assert words(tree, "/cpu-clock", "phandle") == [handle]
    assert words(tree, "/cpu-clock", "#clock-cells") == [0]
    assert strings(tree, "/cpu-clock", "compatible") == ["fixed-clock"]
    assert words(tree, "/cpu-clock", "clock-frequency")[0] // 2 == platform.COUNT_FREQUENCY == 160_000_000


def test_every_device_of_the_table_is_described() -> None:
    tree = parsed(FULL)
    root = {node.name.partition("@")[2]: node for node in tree.root.nodes}
    for device in platform.DEVICES:
        node = root[f"{device.start:x}"]
        assert list(node.get_property("reg").data) == [device.start, device.size]
        if device.interrupt is None:
            assert node.get_property("interrupts") is None
        else:
            assert list(node.get_property("interrupts").data) == [device.interrupt]
    controller = words(tree, "", "interrupt-parent")
    assert words(tree, "/interrupt-controller", "phandle") == controller
    assert strings(tree, "/interrupt-controller", "compatible") == ["mti,cpu-interrupt-controller"]


def test_only_slots_with_a_device_are_described() -> None:
    slots = (platform.VIRTIO_SLOTS[3], platform.VIRTIO_SLOTS[8])
    tree = parsed(Boot(64 * MIB, occupied_slots=slots))
    names = [node.name for node in tree.root.nodes if node.name.startswith("virtio")]
    assert names == ["virtio@1f010600", "virtio@1f011000"]


def test_console_is_the_uart() -> None:
    tree = parsed(Boot(64 * MIB))
    alias, _, options = strings(tree, "/chosen", "stdout-path")[0].partition(":")
    path = strings(tree, "/aliases", alias)[0]
    assert path == "/serial@1f000900"
    assert options == "115200n8"
    assert words(tree, path, "reg-shift") == [3]


def test_reset_and_power_off_write_the_reset_register() -> None:
    tree = parsed(Boot(64 * MIB))
    for name in ("reboot", "poweroff"):
        assert words(tree, f"/{name}", "regmap") == words(tree, "/reset@1f000500", "phandle")
        assert (words(tree, f"/{name}", "offset"), words(tree, f"/{name}", "value")) == ([0], [0x42])


def test_initrd_is_given_by_its_bounds() -> None:
    tree = parsed(FULL)
    assert words(tree, "/chosen", "linux,initrd-start") == [0x0400_0000]
    assert words(tree, "/chosen", "linux,initrd-end") == [0x0400_1235]


def test_what_was_not_given_is_left_out() -> None:
    chosen = parsed(Boot(64 * MIB)).get_node("/chosen")
    assert [item.name for item in chosen.props] == ["stdout-path"]


@pytest.mark.parametrize("text", ["a\nb", "caf\u00e9", "a\0b", "\udcff", "tab\t", "x" * 4096])
def test_impossible_command_lines_are_refused_in_one_printable_line(text: str) -> None:
    with pytest.raises(CommandLineError) as error:
        device_tree(Boot(64 * MIB, command_line=text))
    assert str(error.value).startswith("kernel command line: ")
    assert str(error.value).isprintable()


def test_longest_command_line_is_taken_whole() -> None:
    text = "x" * 4095
    assert strings(parsed(Boot(64 * MIB, command_line=text)), "/chosen", "bootargs") == [text]


def test_impossible_memory_is_refused() -> None:
    with pytest.raises(MemorySizeError):
        device_tree(Boot(5 << 30))
