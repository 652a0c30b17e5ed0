"""What a cluster's memory is used for: as its virtual machines see it, and as the machine holds it.

Each machine page counts once as held, however many virtual machines see it. A page's use follows from where it is in a
virtual machine's physical memory, if whoever asks knows what is there, and else from whether the global disk cache has
it; of several uses the first one counts.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

from dbt_disco.cluster.cluster import Cluster
from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from runtime.flat_array import words_in_use
from runtime.system.machine_memory import MachineMemory

DISK_CACHE: Final = "disk cache"
REST: Final = "rest"
COPIES: Final = "copies"
"""Held for nobody to see: on other nodes than the one that a page is mapped from, or just given up."""
_PRIVATE_BIT: Final = 56
"""Of an entry of /proc/self/pagemap: present, and mapped nowhere else."""
_ENTRY_SIZE: Final = 8

Part = tuple[str, int, int]
"""What is in a range of physical memory, and its first and last address."""


def memory_report(cluster: Cluster, parts: Sequence[Part]) -> dict[str, Any]:
    """Bytes by use, seen and held, and how many of the machine's memory this process has from the host.

    `parts` are of every virtual machine. On the keeper's thread; they all stand still meanwhile.
    """
    tasks = [member.task for member in cluster.members.values() if member.task is not None]
    memory, cache = cluster.machine.memory, cluster.machine.cache
    uses = [*dict.fromkeys(name for name, _, _ in parts), DISK_CACHE, REST]
    with cluster.scheduler.hold(*tasks):
        cached = bytearray(memory.pages)
        for entries in [] if cache is None else cache.held():
            for _, entry in words_in_use(entries):
                cached[entry - 1] = 1
        numbers = {
            frame: uses.index(name)
            for name, first, last in reversed(parts)
            for frame in range(first >> MACHINE_PAGE_SHIFT, (last >> MACHINE_PAGE_SHIFT) + 1)
        }
        disk_cache, rest = uses.index(DISK_CACHE), uses.index(REST)
        seen: Counter[int] = Counter()
        use_of = bytearray(b"\xff") * memory.pages
        for task in tasks:
            pages = task.virtual_machine.memory
            for frame, word in pages.mappings():
                page = memory.page_at(word & -MACHINE_PAGE_SIZE)
                use = numbers.get(frame, disk_cache if cached[page] else rest)
                seen[use] += 1
                use_of[page] = min(use_of[page], use)
        for page, is_cached in enumerate(cached):
            if is_cached:
                use_of[page] = min(use_of[page], disk_cache)
        held = {name: use_of.count(number) for number, name in enumerate(uses)}
        held[COPIES] = memory.allocated - sum(held.values())
        return {
            "seen": {name: seen[number] * MACHINE_PAGE_SIZE for number, name in enumerate(uses)},
            "held": {name: count * MACHINE_PAGE_SIZE for name, count in held.items()},
            "resident": resident(memory),
        }


def resident(memory: MachineMemory) -> int:
    """Bytes of host memory that machine memory takes: pages stored to or made ready for that, free ones, too."""
    with open("/proc/self/pagemap", "rb") as pagemap:
        entries = memoryview(
            os.pread(
                pagemap.fileno(), memory.pages * _ENTRY_SIZE, memory.base // MACHINE_PAGE_SIZE * _ENTRY_SIZE
            )
        ).cast("Q")
    return sum(entry >> _PRIVATE_BIT & 1 for entry in entries) * MACHINE_PAGE_SIZE
