"""All scenarios, in the order in which they are run."""

from __future__ import annotations

from typing import Final

from dbt_disco.benchmark.scenarios.kind import Kind
from dbt_disco.benchmark.scenarios.scenario import NATIVE, OWN, QEMU
from dbt_disco.benchmark.system.bare_loops import BareLoops
from dbt_disco.benchmark.system.boot_to_shell import BootToShell
from dbt_disco.benchmark.system.idle_shell import IdleShell
from dbt_disco.benchmark.system.launch import QEMU as QEMU_PROGRAM
from dbt_disco.benchmark.system.launch import qemu_is_missing
from dbt_disco.benchmark.system.linux_loops import LinuxLoops
from dbt_disco.benchmark.system.root_disk_session import RootDiskSession

SYSTEM: Final = Kind(
    title="dbt-disco bench --system",
    scenarios={
        scenario.key: scenario
        for scenario in (BootToShell, RootDiskSession, LinuxLoops, BareLoops, IdleShell)
    },
    sides=(OWN, QEMU, NATIVE),
    notes=(
        "medians of {repeats} runs, ours and QEMU's in turn; in parentheses processor time, user and system, "
        "of all processes",
        "value: from wall-clock time; its last column is the same from processor time",
        "cold cache: our engines' own code and the unpacked kernel; warm, and in all lines that do not say: what "
        "earlier runs have left there, too",
        "hot loops: from typing the command to the end of the program, as the console shows it",
    ),
    tools=("cc", QEMU_PROGRAM),
    quick_programs=("sieve", "queens", "nbody"),
    quick_scale="short",
    missing=qemu_is_missing,
)
