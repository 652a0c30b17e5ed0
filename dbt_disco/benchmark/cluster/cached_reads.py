"""Reads of whole pages that the disk cache has: mapped, and copied, as our own kernel sees it (guests/kernel)."""

from __future__ import annotations

import re
from statistics import median
from typing import Final

from dbt_disco.benchmark.cluster.cluster_process import ClusterProcess, disk, machine, virtual_machine
from dbt_disco.benchmark.scenarios.guest_process import GuestError
from dbt_disco.benchmark.scenarios.scenario import Figure, Scenario, Step, Target
from dbt_disco.demo.disk_image import demo_volume
from dbt_disco.demo.guest_kernel import KERNEL

_TARGETS: Final = {"1M": Target(4, at_least=True), "128K": Target(1, at_least=True)}
"""By the size of a request: the rate of pages, as a multiple of that of copying."""
_TITLES: Final = {"1M": "1 MiB in 16 segments", "128K": "128 KiB"}
_WAYS: Final = {"mapped": "page", "copied": "none"}
"""How pages get there, by the alignment of the memory that is read to."""
_REPEAT: Final = {"1M": 512, "128K": 2048}
_MEMORY: Final = 16 << 20
_RATE: Final = re.compile(r"pages=\d+ .*pages_per_second=(\d+)")


class CachedReads(Scenario):
    """Memory that does not begin on a page cannot have pages of the cache mapped: they are copied there."""

    key = "reads"

    def prepare(self) -> None:
        """Make the disk."""
        image = self.plan.directory / "cached-reads.img"
        image.write_bytes(demo_volume().image())
        parts = [machine(1, 64 << 20), disk("data", image)]
        for size, repeat in _REPEAT.items():
            for way, alignment in _WAYS.items():
                task = f"task=read size={size} align={alignment} repeat={repeat} name={way}"
                parts.append(
                    virtual_machine(f"{way}-{size}", KERNEL, disks=["data"], memory=_MEMORY, append=task)
                )
        self._description = "".join(parts)

    def repeat(self) -> list[Step]:
        """Each way and size once, in one cluster."""
        return [Step("cached reads: mapped and copied, in turn", self._read)]

    def figures(self) -> list[Figure]:
        """How much faster mapping is."""
        return [self._figure(size) for size in _TARGETS]

    def _figure(self, size: str) -> Figure:
        mapped, copied = (self.amounts.get(f"{way} {size}") for way in _WAYS)
        title = f"cached reads, {_TITLES[size]}: pages mapped, copying = 1"
        if not mapped or not copied:
            return Figure(title, None, "×", _TARGETS[size])
        rates = median(mapped), median(copied)
        title += f" ({rates[0] / 1e6:.2f} and {rates[1] / 1e6:.2f} million/s)"
        return Figure(title, rates[0] / rates[1], "×", _TARGETS[size])

    def _read(self) -> None:
        plan = self.plan
        with ClusterProcess(self._description, plan.directory, plan.cache, plan.timeout) as cluster:
            for size in _TARGETS:
                for way in _WAYS:
                    self._measure(cluster, way, size)

    def _measure(self, cluster: ClusterProcess, way: str, size: str) -> None:
        vm = f"{way}-{size}"
        cluster.start(vm)
        cluster.wait_for(vm, "read: ")
        text, _ = cluster.wait_for(vm, "\n")
        rate = _RATE.search(text)
        if rate is None:
            raise GuestError(f"{vm}: {text.strip()}")
        self.amounts.setdefault(f"{way} {size}", []).append(float(rate[1]))
        cluster.wait_for_end(vm)
