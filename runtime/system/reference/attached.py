"""The reference engine on the state of a vCPU that runs native code: it does single instructions for it."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

from runtime.system.reference.engine import SystemReference
from translator.algebra import SystemOperation
from translator.integers import IntegerValue

if TYPE_CHECKING:
    from runtime.system.vcpu import SystemVcpu

_WITH_VALUE: Final = frozenset(
    {SystemOperation.WRITE_COUNT, SystemOperation.WRITE_COMPARE, SystemOperation.STOP_OR_START_COUNT}
)


class AttachedReference(SystemReference):
    """What native code keeps beside the architecture – tables, the host's timer – native routines see to."""

    def __init__(self, vcpu: SystemVcpu) -> None:
        super().__init__(vcpu.state, vcpu.memory, vcpu.bus, big_endian=vcpu.big_endian)
        self._vcpu: Final = vcpu
        self._state_address: Final = ctypes.addressof(vcpu.state)
        function = vcpu.native.function
        state, value, clock = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
        self._read_count: Final = function("read_count", ctypes.c_uint32, state, clock)
        self._routines: Final = {
            operation: function(operation.value, None, state, value, clock)
            if operation in _WITH_VALUE
            else function(operation.value, None, state, clock)
            for operation in SystemOperation
        }

    def read_count(self) -> IntegerValue:
        return IntegerValue(self._read_count(self._state_address, self.state.clock), 32)

    def system_operation(self, operation: SystemOperation, *values: IntegerValue) -> None:
        numbers = (value.number for value in values)
        self._routines[operation](self._state_address, *numbers, self.state.clock)

    def _follow_register_mode(self) -> None:
        """The vCPU has done what was to be done before it came to this instruction."""
        if self._wide_fpu != bool(self.state.wide_registers):
            self._set_fpu_mode(bool(self.state.wide_registers))
