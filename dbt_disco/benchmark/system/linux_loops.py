"""Hot loops in a process of Debian on its initramfs, to which the benchmark programs are added."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dbt_disco.benchmark.program_table import Program
from dbt_disco.benchmark.scenarios.guest_process import GuestProcess, Moment
from dbt_disco.benchmark.system.debian_shell import PROMPT, RESET, shell_guest
from dbt_disco.benchmark.system.hot_loops import HotLoops
from dbt_disco.benchmark.system.launch import Guest, own_command, qemu_command, wrapped
from dbt_disco.debian.cpio_archive import CpioWriter

_OUTPUT: Final = "/tmp/output"
_END: Final = "program ends: "
_TYPED_END: Final = "program' 'ends: "
"""The same, as the console shows it while it is typed: not to be taken for it."""


class LinuxLoops(HotLoops):
    """Programs write to a file, whose digest the guest tells afterwards."""

    key = "loops"
    title = "hot loops in a process"
    prompt = PROMPT
    reset = RESET

    def prepare(self) -> None:
        """Make the initramfs, and wrap everything for QEMU."""
        super().prepare()
        guest = shell_guest(self.plan.guest)
        assert guest.initrd is not None
        initrd = self.plan.directory / "initramfs-with-programs"
        _add_programs(guest.initrd, self.programs, initrd)
        guest = Guest(guest.kernel, initrd, guest.command_line)
        self.own_command = own_command(guest)
        wrapper = wrapped(guest, self.plan.directory / "wrapped-kernel-with-programs")
        self.qemu_command = qemu_command(wrapper, "platform")

    def execute(self, guest: GuestProcess, program: Program, arguments: str) -> Moment:
        """Run it in the foreground."""
        guest.send(f"/bench/{program.name} {arguments} >{_OUTPUT}; echo {_TYPED_END}$?\n")
        guest.wait_for(_END)
        end = guest.wait_for("\n")
        guest.wait_for(self.prompt)
        guest.send(f"sha256sum {_OUTPUT}\n")
        guest.wait_for("\n")
        guest.wait_for(f"  {_OUTPUT}")
        self.check(program, guest.passed)
        return end


def _add_programs(initramfs: Path, programs: list[Program], output: Path) -> None:
    """Linux takes several archives one behind the other (Documentation/driver-api/early-userspace)."""
    with open(output, "wb") as file:
        file.write(initramfs.read_bytes())
        archive = CpioWriter(file)
        for program in programs:
            archive.file(f"bench/{program.name}", program.guest.read_bytes(), 0o755)
        archive.close()
