"""Hot loops in a bare-metal kernel: `guests/bare/kernel.c`, which has some of the benchmark programs in it."""

from __future__ import annotations

import hashlib
from typing import Final

from dbt_disco.benchmark.program_table import BARE_KERNEL, Program
from dbt_disco.benchmark.scenarios.guest_process import GuestProcess, Moment
from dbt_disco.benchmark.scenarios.scenario import ScenarioAbsent
from dbt_disco.benchmark.system.hot_loops import HotLoops
from dbt_disco.benchmark.system.launch import Guest, own_command, qemu_command

_END: Final = "program ends\n"


class BareLoops(HotLoops):
    """Programs print on the serial line."""

    key = "kernel"
    title = "hot loops in a kernel"
    prompt = "# "
    reset = "reset\n"

    def prepare(self) -> None:
        """Choose the programs that the kernel has."""
        self.programs = [program for program in self.plan.programs if program.is_bare]
        if not self.programs:
            raise ScenarioAbsent("the bare-metal kernel has none of the programs that were asked for")
        super().prepare()
        guest = Guest(BARE_KERNEL)
        self.own_command = own_command(guest)
        self.qemu_command = qemu_command(guest, "platform")

    def execute(self, guest: GuestProcess, program: Program, arguments: str) -> Moment:
        """The kernel does not show what is typed."""
        guest.send(f"{program.name} {arguments}\n")
        end = guest.wait_for(_END)
        self.check(program, hashlib.sha256(guest.passed.encode()).hexdigest())
        return end
