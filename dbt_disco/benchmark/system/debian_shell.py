"""The Debian guest with a shell on its initramfs."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from dbt_disco.benchmark.scenarios.scenario import ScenarioAbsent
from dbt_disco.benchmark.system.launch import Guest
from dbt_disco.debian.boot_configuration import DEBIAN_COMMAND_LINE
from dbt_disco.debian.guest_files import GuestFiles

PROMPT: Final = "/ # "
RESET: Final = "reboot -f\n"


def shell_guest(files: GuestFiles) -> Guest:
    """As `boot debian` would boot it, but to the shell on the initramfs. Raises ScenarioAbsent."""
    require(files, files.kernel, files.initramfs)
    return Guest(files.kernel, files.initramfs, f"{DEBIAN_COMMAND_LINE} shell")


def require(files: GuestFiles, *needed: Path) -> None:
    """Raises ScenarioAbsent if the Debian guest has not been fetched."""
    missing = [path for path in files.missing() if path in needed]
    if missing:
        raise ScenarioAbsent(f"{missing[0]} is not there; `dbt-disco fetch debian` makes it")
