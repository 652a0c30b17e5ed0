"""What the Linux personality asks of a vCPU: the engines in `runtime` provide it, or anything else."""

from __future__ import annotations

from typing import Protocol

from runtime.address_space import AddressSpace
from translator.state import CpuState, Stop


class Vcpu(Protocol):
    """One processor executing user-mode code in a window address space."""

    state: CpuState
    address_space: AddressSpace
    big_endian: bool
    wide_fpu: bool
    """Status.FR: 32 FPU registers of 64 bits (else 16 pairs). May be set between runs, which converts the
    registers in `state.fpr`."""
    precise_faults: bool
    """Whether pc and registers are exact at a memory fault: wanted once the guest handles faults itself."""

    def run(self) -> Stop:
        """Execute from `state.pc` until something needs attention; the state says what and where."""

    def request_stop(self) -> None:
        """Make a `run` in progress, or else the next one, return soon with Stop.LIMIT; async-signal-safe."""
