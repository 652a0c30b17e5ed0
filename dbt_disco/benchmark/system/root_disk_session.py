"""A script on Debian's root disk, from the start of the process to its end by the guest's reset."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from importlib.resources import files
from pathlib import Path
from typing import Final

from dbt_disco.benchmark.boot_wrapper import executable
from dbt_disco.benchmark.scenarios.guest_process import GuestError, GuestProcess
from dbt_disco.benchmark.scenarios.scenario import (
    QEMU,
    Figure,
    Plan,
    Scenario,
    ScenarioAbsent,
    Step,
    Target,
    compared,
)
from dbt_disco.benchmark.system.debian_shell import require
from dbt_disco.benchmark.system.launch import MEMORY_SIZE, Guest, environment, own_command, qemu_command
from dbt_disco.debian.apt import KEYRING, ArchiveSource, host_mirror
from dbt_disco.debian.boot_configuration import DEBIAN_COMMAND_LINE
from dbt_disco.debian.fetch_error import FetchError
from dbt_disco.debian.malta import MaltaFiles, fetch_malta
from dbt_disco.debian.package_set import find_packages
from dbt_disco.debian.packages import ARCHITECTURE, MALTA_FLAVOUR, SUITE
from dbt_disco.virtual_machine.boot_loader import load

_TARGET: Final = Target(0.6)
_CACHES: Final = ("cold", "warm")
_WHAT: Final = "root disk session"
_SCRIPT: Final = "root-disk-session"
_SECTOR: Final = 512
_BEGIN: Final = "session: begins"
_END: Final = "session: complete"


class RootDiskSession(Scenario):
    """Ours has Debian's generic kernel and virtio-mmio, QEMU's Debian's Malta kernel and virtio-pci."""

    key = "session"

    def prepare(self) -> None:
        """Put the script on a disk of its own; get the Malta kernel."""
        guest = self.plan.guest
        require(guest, guest.kernel, guest.initramfs, guest.root_disk)
        malta = _malta(self.plan)
        script = self.plan.directory / _SCRIPT
        text = (files(__package__) / "guest" / _SCRIPT).read_bytes()
        script.write_bytes(text + b"\n" * (-len(text) % _SECTOR))
        unpacked = self.plan.directory / "malta-kernel"
        unpacked.write_bytes(executable(load(malta.kernel, MEMORY_SIZE)))
        command_line = f"{DEBIAN_COMMAND_LINE} quiet dbt.run=/dev/vdb"
        disks = (guest.root_disk, script)
        self._own_command = own_command(Guest(guest.kernel, guest.initramfs, command_line, disks))
        self._qemu_command = qemu_command(Guest(unpacked, malta.initramfs, command_line, disks))
        self._results = b""

    def first_steps(self) -> list[Step]:
        """Fill the cache."""
        return [Step(f"{_WHAT}, to fill the cache", partial(self._session, self.plan.cache))]

    def repeat(self) -> list[Step]:
        """Cold, QEMU, warm."""
        return [
            Step(f"{_WHAT}, cold", self._session_cold),
            Step(f"{_WHAT}, {QEMU}", partial(self._run, self._qemu_command, {}, QEMU)),
            Step(f"{_WHAT}, warm", partial(self._session, self.plan.cache, "warm")),
        ]

    def figures(self) -> list[Figure]:
        """The whole process."""
        return [compared(f"{_WHAT}, {cache} cache", self.taken(_WHAT), cache, _TARGET) for cache in _CACHES]

    def _session_cold(self) -> None:
        with self.plan.cold_cache.directory(timed=True) as cache:
            self._session(cache, "cold")

    def _session(self, cache: Path, side: str | None = None) -> None:
        self._run(self._own_command, environment(cache), side)

    def _run(self, command: Sequence[str], variables: Mapping[str, str], side: str | None) -> None:
        with GuestProcess(command, variables, timeout=self.plan.timeout) as guest:
            end = guest.join()
            self._check(guest.output)
        if side is not None:
            self.taken(_WHAT).add(side, end)

    def _check(self, output: bytes) -> None:
        """The script has come to its end, and with the same results as every time. GuestError if not."""
        _, _, shown = output.replace(b"\r", b"").partition(f"{_BEGIN}\n".encode())
        results, complete, _ = shown.partition(f"{_END}\n".encode())
        if not complete:
            words = output.decode(errors="replace").split("\n")[-3:]
            raise GuestError(f"the script has not come to its end: {' / '.join(map(str.strip, words))}")
        if self._results not in (b"", results):
            raise GuestError(f"the script's results differ: {results!r}, before they were {self._results!r}")
        self._results = results


def _malta(plan: Plan) -> MaltaFiles:
    """The kernel and initramfs for QEMU, fetched if need be. Raises ScenarioAbsent."""
    directory = plan.guest.directory / "malta"
    made = MaltaFiles.inside(directory)
    if made.complete():
        return made
    packages = find_packages(plan.guest.packages)
    mirror = host_mirror()
    if packages is None or mirror is None:
        raise ScenarioAbsent(
            f"{made.kernel} is not there; on a Debian with apt it is fetched, if the guest's packages "
            f"are still in {plan.guest.packages}"
        )
    source = ArchiveSource(mirror, SUITE, KEYRING, ARCHITECTURE)
    try:
        return fetch_malta(directory, packages, source, _Silent())
    except FetchError as error:
        raise ScenarioAbsent(f"Debian's {MALTA_FLAVOUR} kernel for QEMU: {error}") from error


class _Silent:
    """Nobody is told the progress of the download: a bar for the benchmark is there already."""

    def step(self, title: str) -> Callable[[float], None]:
        return lambda fraction: None
