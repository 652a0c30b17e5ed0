"""Sampling which machine pages a vCPU accesses: what fills its tables is counted, and its tables are aged.

A slot that is in use would be filled once and never again. So, every so often, some of the tables' slots are emptied;
those that are in use are filled again, which counts as one access. The number of slots emptied at a time bounds what
that costs, whatever the guest does.
"""

from __future__ import annotations

import ctypes
from time import thread_time_ns
from typing import Final

from runtime.system.vcpu import SystemVcpu

_MOST_EMPTIED: Final = 64
"""Slots emptied at a visit, at most: where a region is left to fill one again, that takes microseconds."""
_MOST_RECORDS: Final = 1024
_FEWEST_RECORDS: Final = 32
"""Records looked at for that."""
_VISITS_SHIFT: Final = 3
"""So many visits, as a power of two, it takes at least until the same slot is emptied again."""


class AccessSampling:
    """One vCPU's, on a machine of several nodes."""

    def __init__(self, vcpu: SystemVcpu) -> None:
        counts = vcpu.memory.machine.counts
        assert counts is not None, "a machine of one node has nothing to count"
        self._vcpu: Final = vcpu
        self._counts: Final = counts
        native = vcpu.native
        keeps_lock = ctypes.PYFUNCTYPE(ctypes.c_uint32, ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint32)
        self._age: Final = keeps_lock(native.arena.base + native.handlers["age_tables"])
        """Too short for it to be worthwhile to let other threads have the interpreter meanwhile."""
        self._is_due = False
        self.emptied = 0
        """Slots."""
        self.nanoseconds = 0
        """Of processor time, spent on emptying them."""
        vcpu.on_visit = self._visit

    def runs_on(self, node: int) -> None:
        """Accesses are from that node from now on; while the vCPU does not run."""
        state, machine = self._vcpu.state, self._vcpu.memory.machine
        state.access_counts = self._counts.address(node)
        state.node_pages = machine.map.node_pages
        state.node_first_page = node * machine.map.node_pages

    def ask(self) -> None:
        """Have the vCPU's thread age some of its tables soon; on any thread."""
        self._is_due = True
        self._vcpu.ask_for_visit()

    def counted(self) -> tuple[int, int]:
        """Sampled accesses, and those of pages on the node that the vCPU ran on."""
        state = self._vcpu.state
        return int(state.samples), int(state.local_samples)

    def _visit(self) -> None:
        if self._is_due:
            self._is_due = False
            self.age()

    def age(self) -> None:
        """Empty some slots; on the vCPU's thread, outside native code."""
        start = thread_time_ns()
        state = self._vcpu.state
        records = min(max(int(state.back_map_used) >> _VISITS_SHIFT, _FEWEST_RECORDS), _MOST_RECORDS)
        self.emptied += self._age(ctypes.addressof(state), records, _MOST_EMPTIED)
        self.nanoseconds += thread_time_ns() - start
