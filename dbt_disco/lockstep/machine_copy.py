"""Having the reference engine go on where another machine is: nobody can wait until it has come there itself."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING

from dbt_disco.lockstep.machine_comparison import REGISTERS_AND_TRANSLATIONS
from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from translator.state import OFFSET, CpuState

if TYPE_CHECKING:
    from dbt_disco.virtual_machine.virtual_machine import VirtualMachine

_ALSO_COPIED = (
    "branch_target",
    *("fcsr", "fcc", "float_checked", "guest_mxcsr"),
    *("last_fp_operation", "last_fp_operand0", "last_fp_operand1", "last_fp_operand2"),
)


def copy_machine(source: VirtualMachine, target: VirtualMachine) -> None:
    """Make `target`, which has not run yet, the same as `source`, which is stopped; both of one configuration.

    `target` is on the reference engine. Only what `Surroundings.random` gives later may differ.
    """
    assert not hasattr(target.vcpu, "native"), "native code keeps more than a state"
    from_address, to_address = (ctypes.addressof(machine.vcpu.state) for machine in (source, target))
    for name in (*REGISTERS_AND_TRANSLATIONS, *_ALSO_COPIED):
        size = getattr(CpuState, name).size
        ctypes.memmove(to_address + OFFSET[name], from_address + OFFSET[name], size)
    for frame in {*source.memory.frames(), *target.memory.frames()}:
        address = frame << MACHINE_PAGE_SHIFT
        target.memory.write(address, source.memory.read(address, MACHINE_PAGE_SIZE))
    devices = zip(source.bus.devices(), target.bus.devices(), strict=True)
    for (_, original), (_, copy) in devices:
        copy.restore(original.state())
