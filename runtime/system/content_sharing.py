"""Making one of pages of virtual machines that hold the same.

Virtual machines that have booted the same kernel hold much that is equal without being shared: memory that was freed
holds the same poison, or zeros. Such pages become one, mapped read-only; a store gives a virtual machine its own again.
No virtual machine may be in native code meanwhile.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from dataclasses import dataclass, field

from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system.machine_memory import MachineMemory
from runtime.system.physical_memory import PhysicalMemory


@dataclass
class _Page:
    """A machine page, and where these virtual machines have it mapped."""

    number: int
    places: list[tuple[PhysicalMemory, int]] = field(default_factory=list)


def share_contents(machine: MachineMemory, memories: Iterable[PhysicalMemory]) -> int:
    """Returns how many machine pages have become free.

    Of equal pages that one stays which is shared already, or else from whose code something is derived.
    """
    with machine.lock:
        pages: dict[int, _Page] = {}
        for memory in memories:
            for frame in memory.frames():
                number = memory.machine_page(frame)
                pages.setdefault(number, _Page(number)).places.append((memory, frame))
        equal: dict[int, list[_Page]] = {}
        for page in pages.values():
            equal.setdefault(hash(_contents(machine, page)), []).append(page)
        return sum(_join(machine, found) for found in equal.values() if len(found) > 1)


def _contents(machine: MachineMemory, page: _Page) -> bytes:
    return ctypes.string_at(machine.address(page.number), MACHINE_PAGE_SIZE)


def _join(machine: MachineMemory, pages: list[_Page]) -> int:
    """Have pages that hold the same, to all appearances, become one; returns how many are free now."""
    pages.sort(key=lambda page: (-machine.users[page.number], not machine.decoded.flags[page.number]))
    stays = pages[0]
    contents = _contents(machine, stays)
    others = [
        page for page in pages[1:] if machine.users[page.number] == 1 and _contents(machine, page) == contents
    ]
    if not others:
        return 0
    for memory, frame in stays.places:
        if memory.may_store(frame):
            memory.forbid_stores(frame)
    entry = (ctypes.c_uint32 * 1)(stays.number + 1)
    for page in others:  # the one that stays is in use at its first place all the time
        for memory, frame in page.places:
            memory.map_run(frame, entry, 0, 1)
    return len(others)
