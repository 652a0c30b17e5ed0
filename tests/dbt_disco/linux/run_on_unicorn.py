"""Run a program with the Linux personality on Unicorn: `python -m …run_on_unicorn PROGRAM …`."""

from __future__ import annotations

import sys

from dbt_disco.linux.loader import load_program
from dbt_disco.linux.process import LinuxProcess
from dbt_disco.process_end import end_as
from runtime.address_space import AddressSpace
from tests.dbt_disco.linux.unicorn_vcpu import UnicornVcpu


def main() -> None:
    space = AddressSpace()
    program = load_program(space, sys.argv[1], sys.argv[1:])
    end_as(LinuxProcess(UnicornVcpu(space, program.big_endian), program).run())


main()
