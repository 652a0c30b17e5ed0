"""Debian's stock kernel on our machine, as `dbt-disco fetch debian` has got it."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from dbt_disco.debian.boot_configuration import DEBIAN_COMMAND_LINE
from dbt_disco.debian.guest_files import GuestFiles
from dbt_disco.disks.drive import Drive
from dbt_disco.virtual_machine.configuration import Configuration, Engine
from dbt_disco.virtual_machine.console.scripted_console import ScriptedConsole
from dbt_disco.virtual_machine.machine import Machine
from dbt_disco.virtual_machine.outcome import Ending, Outcome
from dbt_disco.virtual_machine.running import RunningVirtualMachine
from runtime.addresses import MACHINE_PAGE_SIZE
from tests.dbt_disco.commands.terminal_session import TerminalSession
from tests.missing import need_libslirp

pytestmark = pytest.mark.slow

BOOT_TIMEOUT = 120
TIMEOUT = 60
INITRAMFS_PROMPT = "/ # "
ROOT_PROMPT = "root@debian:~# "
ENGINES: Sequence[Engine] = ("interpreter", "auto")


@pytest.fixture
def on_initramfs(debian: GuestFiles) -> Configuration:
    """A shell on the initramfs, and no disk."""
    return Configuration(debian.kernel, debian.initramfs, DEBIAN_COMMAND_LINE)


@pytest.fixture
def on_root_disk(on_initramfs: Configuration, debian: GuestFiles) -> Configuration:
    return replace(on_initramfs, drives=(Drive(debian.root_disk),))


def ask(guest: RunningVirtualMachine, command: str) -> str:
    """What a command of the guest's shell prints, without the last line's end; it must succeed."""
    guest.console.send(f"echo be''gin; {command}; echo status=$?.\n")
    guest.console.wait_for("\nbegin\r\n", TIMEOUT)
    text = guest.console.wait_for("status=", TIMEOUT).removesuffix("status=")
    assert guest.console.wait_for(".", TIMEOUT) == "0.", text
    return text.replace("\r", "").removesuffix("\n")


@pytest.mark.parametrize("engine", ENGINES)
def test_shell_on_the_initramfs(on_initramfs: Configuration, engine: Engine) -> None:
    with RunningVirtualMachine(replace(on_initramfs, engine=engine)) as guest:
        guest.console.wait_for(INITRAMFS_PROMPT, BOOT_TIMEOUT)
        assert ask(guest, "uname -srm").startswith("Linux 6.1.0-")
        processor = ask(guest, "cat /proc/cpuinfo")
        assert "dbt-disco virtual machine" in processor
        assert "tlb_entries\t\t: 64" in processor
        guest.console.send("reboot -f\n")
        assert guest.join(TIMEOUT) == Outcome(Ending.RESET)
        assert "Restarting system" in guest.console.text()


@pytest.mark.parametrize(
    ("command", "ending"),
    [("reboot -f", Ending.RESET), ("poweroff -f", Ending.HALT), ("halt -f", Ending.HALT)],
)
def test_ways_to_end(on_initramfs: Configuration, command: str, ending: Ending) -> None:
    with RunningVirtualMachine(on_initramfs) as guest:
        guest.console.wait_for(INITRAMFS_PROMPT, BOOT_TIMEOUT)
        guest.console.send(f"{command}\n")
        outcome = guest.join(TIMEOUT)
        assert (outcome.ending, outcome.exit_status) == (ending, 0)


def test_a_panicking_guest_can_be_stopped(on_initramfs: Configuration) -> None:
    with RunningVirtualMachine(on_initramfs) as guest:
        guest.console.wait_for(INITRAMFS_PROMPT, BOOT_TIMEOUT)
        guest.console.send("echo c >/proc/sysrq-trigger\n")
        guest.console.wait_for("end Kernel panic", TIMEOUT)
        before = time.monotonic()
        guest.stop()
        assert time.monotonic() - before < 2


@pytest.mark.usefixtures("debian")
def test_a_panicking_guest_at_a_terminal() -> None:
    """The monitor's prompt still tells about it, and Ctrl-A x ends it at once."""
    with TerminalSession(("boot", "debian", "--append", "quiet init=/bin/true")) as session:
        session.wait_for("Attempted to kill init")
        session.type("\x01c")
        session.wait_for("(dbt-disco) ")
        for question, answer in (
            ("registers", "$sp"),
            ("tlb", "asid"),
            ("devices", "Uart"),
            ("vm", "init=/bin/true"),
        ):
            session.type(f"info {question}\n")
            assert answer in session.wait_for("(dbt-disco) ")
        session.type("continue\n")
        session.wait_until_raw()
        before = time.monotonic()
        session.type("\x01x")
        assert session.end() == 3
        assert time.monotonic() - before < 5
        assert session.settings() == session.settings_before


@pytest.mark.parametrize("engine", ENGINES)
def test_root_disk_session(on_root_disk: Configuration, engine: Engine) -> None:
    """Twice: what the first has written is gone, the disk being shared."""
    for _ in range(2):
        with RunningVirtualMachine(replace(on_root_disk, engine=engine)) as guest:
            guest.console.wait_for(ROOT_PROMPT, BOOT_TIMEOUT)
            assert ask(guest, "python3 -c 'print(2**100)'") == f"{2**100}"
            assert ask(guest, 'perl -e \'print join(",", map {$_*$_} 1..5), "\\n"\'') == "1,4,9,16,25"
            ask(guest, "test ! -e ~/data")
            ask(guest, "head -c 3000000 /dev/urandom >~/data; sync; echo 3 >/proc/sys/vm/drop_caches")
            ask(guest, "sha256sum ~/data >~/sum; cp ~/data ~/copy; sync")
            assert ask(guest, "sha256sum -c ~/sum; cmp ~/data ~/copy") == "/root/data: OK"
            guest.console.send("busybox reboot -f\n")
            assert guest.join(TIMEOUT) == Outcome(Ending.RESET)


def test_all_devices(on_root_disk: Configuration, tmp_path: Path) -> None:
    disk = tmp_path / "second"
    disk.write_bytes(b"second disk\n".ljust(1 << 20, b"\0"))
    second = Drive(disk, serial=b"SERIAL-2")
    virtio_console = ScriptedConsole()
    configuration = replace(
        on_root_disk, drives=(*on_root_disk.drives, second), entropy=True, balloon=True, memory_size=512 << 20
    )
    with RunningVirtualMachine(configuration, virtio_console=virtio_console) as guest:
        guest.console.wait_for(ROOT_PROMPT, BOOT_TIMEOUT)
        assert ask(guest, "head -1 /dev/vdb") == "second disk"
        assert ask(guest, "cat /sys/block/vdb/serial") == "SERIAL-2"
        assert ask(guest, "cat /sys/class/misc/hw_random/rng_current") == "virtio_rng.0"
        assert len(ask(guest, "head -c 8 /dev/hwrng | od -An -tx1").split()) == 8
        assert ask(guest, "ls /sys/bus/virtio/drivers/virtio_balloon | grep -c virtio") == "1"
        assert int(ask(guest, "awk '/MemTotal/ { print $2 }' /proc/meminfo")) > 450_000
        ask(guest, "echo to hvc >/dev/hvc0")
        virtio_console.wait_for("to hvc\r\n", TIMEOUT)
        virtio_console.send("from hvc\n")
        assert ask(guest, "head -1 /dev/hvc0") == "from hvc"
        assert abs(int(ask(guest, "date +%s")) - time.time()) < 30


def test_free_pages_are_given_back(on_root_disk: Configuration) -> None:
    """By the guest's reports, some seconds after it has freed them."""
    size = 48 << 20
    with RunningVirtualMachine(replace(on_root_disk, balloon=True)) as guest:
        guest.console.wait_for(ROOT_PROMPT, BOOT_TIMEOUT)
        memory = guest.virtual_machine.machine.memory
        before, used = memory.allocated, size // MACHINE_PAGE_SIZE
        for _ in range(2):
            guest.console.send(f'python3 -c \'b = b"x" * {size}; print("it is", len(b)); input()\'\n')
            guest.console.wait_for(f"it is {size}", TIMEOUT)
            assert memory.allocated > before + used // 2
            guest.console.send("\n")
            guest.console.wait_for(ROOT_PROMPT, TIMEOUT)
            deadline = time.monotonic() + TIMEOUT
            while memory.allocated > before + used // 2:
                assert time.monotonic() < deadline
                time.sleep(0.2)


@pytest.mark.usefixtures("debian")
def test_network() -> None:
    need_libslirp()
    with TerminalSession(("boot", "debian", "--net", "user")) as session:
        session.wait_for(ROOT_PROMPT)
        session.type("ping -c 1 -w 20 10.0.2.2\n")
        session.wait_for("1 packets transmitted, 1 received")
        session.type("\x01x")
        assert session.end() == 3


def test_console_at_a_terminal(debian: GuestFiles) -> None:
    """Line editing and job control are the guest's; so is Ctrl-C."""
    with TerminalSession(("boot", "debian")) as session:
        session.wait_for(ROOT_PROMPT)
        session.type("sleep 1000\r")
        time.sleep(1)
        session.type("\x03")
        session.wait_for(ROOT_PROMPT)
        session.type("echo $((6*7\x7f9))\r")
        session.wait_for("54")
        session.type("\x01c")
        session.wait_for("(dbt-disco) ")
        session.type("info tlb\n")
        assert "asid" in session.wait_for("(dbt-disco) ")
        session.type("continue\n")
        session.type("\r")
        session.wait_for(ROOT_PROMPT)
        session.type("busybox reboot -f\r")
        session.wait_for("Restarting system")
        assert session.end() == 0


def test_a_pause_is_not_noticed(on_initramfs: Configuration) -> None:
    """Half a minute at the monitor's prompt is longer than Count takes to wrap: the guest's clock does not see it."""
    pause, at = 30, 20
    guest = RunningVirtualMachine(on_initramfs)
    machine = guest.virtual_machine
    has_paused = threading.Event()

    def stand_still() -> None:
        machine.pause(lambda: time.sleep(pause))
        has_paused.set()

    machine.surroundings.call_at(at * 1_000_000_000, stand_still)
    with guest:
        guest.console.wait_for(INITRAMFS_PROMPT, at)
        before, host_before = float(ask(guest, "cat /proc/uptime").split()[0]), time.monotonic()
        assert has_paused.wait(TIMEOUT)
        after, host_after = float(ask(guest, "cat /proc/uptime").split()[0]), time.monotonic()
        assert abs((host_after - host_before) - (after - before) - pause) < 1


def test_two_share_their_kernel(on_initramfs: Configuration) -> None:
    machine = Machine(600 << 20)
    guests = [
        RunningVirtualMachine(replace(on_initramfs, name=name), machine=machine) for name in ("one", "other")
    ]
    alone = sum(1 for _ in guests[0].virtual_machine.memory.frames())
    assert machine.memory.allocated < 1.1 * alone
    for guest in guests:
        guest.start()
    for guest in guests:
        guest.console.wait_for(INITRAMFS_PROMPT, 2 * BOOT_TIMEOUT)
    for number, guest in enumerate(guests):
        assert ask(guest, f"echo {number} >/tmp/number; cat /tmp/number") == f"{number}"
    for guest in guests:
        guest.console.send("reboot -f\n")
        assert guest.join(TIMEOUT) == Outcome(Ending.RESET)
        guest.close()
    machine.close()
