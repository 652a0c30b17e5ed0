"""The three kinds of addresses, kept apart by type (Disco, section 4.2.1; mixing them up is the classic bug)."""

from __future__ import annotations

from typing import Final, NewType

VirtualAddress = NewType("VirtualAddress", int)
"""What guest code uses; translated by the guest's own TLB, or a fixed part of KSEG0 and KSEG1."""
PhysicalAddress = NewType("PhysicalAddress", int)
"""What the guest's operating system believes is memory; contiguous from 0 in every VM."""
MachineAddress = NewType("MachineAddress", int)
"""A byte of the simulated machine: its host address is this plus the base of the machine's memory."""

MACHINE_PAGE_SHIFT: Final = 12
MACHINE_PAGE_SIZE: Final = 1 << MACHINE_PAGE_SHIFT
"""Pages that `pmap` deals in, whatever PageMask the guest uses."""
