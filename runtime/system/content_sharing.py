"""Making one of pages of virtual machines that hold the same.

Virtual machines that have booted the same kernel hold much that is equal without being shared: Linux has patched the
call of a tracer out of every function, so that its text is private everywhere and the same everywhere; memory that was
freed holds the same poison, or zeros. Such pages become one, mapped read-only; a store gives a virtual machine its own
again. No virtual machine may be in native code meanwhile.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable

from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system.machine_memory import MachineMemory
from runtime.system.physical_memory import PhysicalMemory


def share_contents(machine: MachineMemory, memories: Iterable[PhysicalMemory]) -> int:
    """Returns how many machine pages have become free.

    What has been decoded and translated from a page would be lost if that became another one, so that of equal pages
    those that code runs in stay where they are; one of them is what the others become.
    """
    with machine.lock:
        found: dict[int, list[tuple[PhysicalMemory, int]]] = {}
        for memory in memories:
            for frame in memory.frames():
                if memory.may_store(frame):
                    found.setdefault(hash(_contents(memory, frame)), []).append((memory, frame))
        return sum(_join(machine, places) for places in found.values() if len(places) > 1)


def _contents(memory: PhysicalMemory, frame: int) -> bytes:
    return ctypes.string_at(memory.machine.address(memory.machine_page(frame)), MACHINE_PAGE_SIZE)


def _join(machine: MachineMemory, places: list[tuple[PhysicalMemory, int]]) -> int:
    """Have places that hold the same, to all appearances, use one page; returns how many pages are free now."""
    places.sort(key=lambda place: not place[0].has_code(place[1]))
    owner, first = places[0]
    contents, page = _contents(owner, first), owner.machine_page(first)
    others = [
        (memory, frame)
        for memory, frame in places[1:]
        if not memory.has_code(frame) and _contents(memory, frame) == contents
    ]
    if not others:
        return 0
    owner.forbid_stores(first)
    entry = (ctypes.c_uint32 * 1)(page + 1)
    for memory, frame in others:  # the page is in use at its first place all the time
        memory.map_run(frame, entry, 0, 1)
    return len(others)
