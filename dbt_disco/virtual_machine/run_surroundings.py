"""What a virtual machine's run loop needs of its surroundings, beside what they are to devices."""

from __future__ import annotations

from typing import Protocol

from dbt_disco.devices.device import Surroundings
from dbt_disco.virtual_machine.descriptor_watch import DescriptorWatch


class RunSurroundings(Surroundings, Protocol):
    """Time and the outside world, under either clock. But for `descriptors`, for the vCPU's thread only."""

    descriptors: DescriptorWatch
    slept: int
    """Nanoseconds of the host's time that `idle` has slept."""

    def plan(self) -> None:
        """See to it that the vCPU stops when the next timer is due; called before it runs."""

    def run_callbacks(self) -> None:
        """Call back for timers that are due and descriptors that are ready."""

    def idle(self, compare_match: int | None, *, goes_on: bool = False) -> int | None:
        """The vCPU waits for an interrupt: pass the time until Compare matches, or something is called back.

        `compare_match` is in ticks of Count since the start; None if its interrupt is masked. May return early.
        With `goes_on` native code may be entered behind the `wait` when Compare matches; if it has been, and has
        stopped for something else than such a wait, that is the result (see `SystemVcpu.run`).
        """

    def paused(self, duration: int) -> None:
        """The virtual machine has stood still for some nanoseconds, which its time has not seen."""

    def close(self) -> None: ...
