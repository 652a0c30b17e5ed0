"""Device registers of one byte that native code answers itself, as long as the device has nothing else to do.

A load gives what the device has said that it would; stores are collected for it, up to a line's end, and delivered
before anything else happens to the device. Whatever does not fit leaves for Python, as every other access to a device.
"""

from __future__ import annotations

from typing import Final

from translator.ir import IrValue
from translator.predecode import ENTRY_SIZE, OPERANDS_OFFSET, operand_index
from translator.state import COLLECTED_SIZE
from translator.system.routine import Routine, argument

REGISTER_MASK: Final = -8
"""Of the addresses at which a register is reached."""
LINE_END: Final = 0x0A
_TARGET_FIELD: Final = 16
"""Bit at which loads and stores have their general register."""
_LOADS: Final = ("lb_handler", "lbu_handler")


def direct_registers_ir() -> str:
    """The routine `access_device`: the load or store at %entry goes to `access_physical`, which is no memory."""
    r = Routine()
    at = r.read("access_physical") & REGISTER_MASK
    handler = r.call("handler_of", 32, r.integer("%entry"))
    with r.when(at.eq(r.read("direct_load_at"))):
        for field in _LOADS:
            with r.when(handler.eq(r.read(field))):
                r.set_element("gpr", _target(r), r.read("direct_load_value"))
                _go_on(r)
    with r.when(at.eq(r.read("direct_store_at")) & handler.eq(r.read("sb_handler"))):
        count, value = r.read("collected_count"), r.element("gpr", _target(r)) & 0xFF
        with r.when(count.lt_unsigned(COLLECTED_SIZE) & value.ne(LINE_END)):
            r.set_element("collected", count, value.trunc(8))
            r.write("collected_count", count + 1)
            _go_on(r)
    r.tail_call("leave_at_entry")
    return r.routine("access_device", "nounwind noinline cold")


def _target(r: Routine) -> IrValue:
    """The number of the general register that is loaded or stored."""
    return r.load(r.integer("%entry") + OPERANDS_OFFSET + operand_index(_TARGET_FIELD), 8).zext(32)


def _go_on(r: Routine) -> None:
    r.increment("direct_accesses")
    following = r.integer("%next")
    r.dispatch(following, following + ENTRY_SIZE, argument(r, "bias", 64))
