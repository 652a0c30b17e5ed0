"""All scenarios, in the order in which they are run."""

from __future__ import annotations

from typing import Final

from dbt_disco.benchmark.system.bare_loops import BareLoops
from dbt_disco.benchmark.system.boot_to_shell import BootToShell
from dbt_disco.benchmark.system.idle_shell import IdleShell
from dbt_disco.benchmark.system.linux_loops import LinuxLoops
from dbt_disco.benchmark.system.root_disk_session import RootDiskSession
from dbt_disco.benchmark.system.scenario import Scenario

SCENARIOS: Final[dict[str, type[Scenario]]] = {
    scenario.key: scenario for scenario in (BootToShell, RootDiskSession, LinuxLoops, BareLoops, IdleShell)
}
