"""Accesses that end in Python: registers of devices, and the privileged-register page."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from runtime.system.reference.attached import AttachedReference
    from runtime.system.vcpu import SystemVcpu

_LOADS: Final = {0o40: (1, True), 0o41: (2, True), 0o43: (4, False), 0o44: (1, False), 0o45: (2, False)}
"""Opcode → size, whether it extends the sign: lb, lh, lw, lbu, lhu."""
_STORES: Final = {0o50: 1, 0o51: 2, 0o53: 4}
"""Opcode → size: sb, sh, sw."""


class DeviceAccess:
    """Does the load or store at pc in Python and goes on behind it, or at the exception it raises."""

    def __init__(self, vcpu: SystemVcpu) -> None:
        self._vcpu = vcpu
        self._reference: AttachedReference | None = None

    def close(self) -> None:
        """Let go of the memory."""
        if self._reference is not None:
            self._reference.close()

    def perform(self) -> None:
        """The instruction at pc accesses physical address `access_physical`, which is no memory."""
        vcpu, state = self._vcpu, self._vcpu.state
        word = vcpu.entries.current_word()
        opcode, register = word >> 26, word >> 16 & 31
        load = _LOADS.get(opcode)
        if load is not None:
            size, is_signed = load
            value = vcpu.bus.read(state.access_physical, size)
            if is_signed and value >> 8 * size - 1:
                value -= 1 << 8 * size
            if register:
                state.gpr[register] = value & 0xFFFF_FFFF
        elif opcode in _STORES:
            size = _STORES[opcode]
            value = state.gpr[register] & (1 << 8 * size) - 1
            vcpu.bus.write(state.access_physical, size, value)
        else:
            self._step()
            return
        vcpu.advance()

    def privileged_page(self) -> bool:
        """The instruction at pc accesses the privileged-register page."""
        self._step()
        return True

    def _step(self) -> None:
        """Have the reference engine do the instruction."""
        if self._reference is None:
            from runtime.system.reference.attached import AttachedReference  # late: few guests need it

            self._reference = AttachedReference(self._vcpu)
        stop = self._reference.step()
        assert not stop, stop
