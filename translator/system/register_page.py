"""Accesses to the privileged-register page: each is the move that reaches the same register (DESIGN section 6).

`register_page` is where tier 0 comes with a load or store on the page: it goes to the handler of mfc0 or mtc0, which
finds its general register where lw and sw have theirs. Regions make moves of accesses whose address is constant.
"""

from __future__ import annotations

from typing import Final

from translator.cp0_registers import CP0_REGISTERS, Cp0Register
from translator.ir import IrValue
from translator.predecode import handler_symbol
from translator.state import Stop
from translator.system.region_code import is_part_of_regions
from translator.system.routine import Routine, argument
from translator.system.views import PAGE_SHIFT, PRIVILEGED_PAGE

_MOVES: Final = {"lw_handler": "mfc0", "sw_handler": "mtc0"}
"""State field with the handler of a plain access → move."""


def offset_of(register: Cp0Register) -> int:
    """Where a register stands on the page."""
    return 32 * register.number + 4 * register.select


_BY_OFFSET: Final = {offset_of(register): register for register in CP0_REGISTERS}


def constant_register(address: IrValue, width: int, move: str) -> Cp0Register | None:
    """The register that a constant address reaches, if regions contain the `move` (mfc0, mtc0) to or from it."""
    if address.number is None or width != 32 or address.number >> PAGE_SHIFT != PRIVILEGED_PAGE >> PAGE_SHIFT:
        return None
    register = _BY_OFFSET.get(address.number & (1 << PAGE_SHIFT) - 1)
    return register if register is not None and is_part_of_regions(f"{move}.{register.name}") else None


def register_page_ir() -> str:
    """The routine. What it does not know (other instructions, undefined registers) stops for Python."""
    r = Routine()
    offset = r.read("access_address") & (1 << PAGE_SHIFT) - 1
    handler = r.call("handler_of", 32, r.integer("%entry"))
    with r.when(handler.eq(0)):  # left by a region: decode it first
        r.dispatch(r.integer("%entry"), r.integer("%next"), argument(r, "bias", 64))
    with r.when(r.read("cp0_usable").ne(0)):
        for field, move in _MOVES.items():
            with r.when(handler.eq(r.read(field))):
                _switch(r, offset, move)
    r.write("stop", Stop.PRIVILEGED_PAGE)
    r.tail_call("leave_at_entry")
    return r.routine("register_page", "nounwind noinline cold")


def _switch(r: Routine, offset: IrValue, move: str) -> None:
    """Go to the handler of the `move` from or to the register at `offset`; fall through if there is none."""
    other = r.label("undefined")
    labels = {at: r.label(register.name) for at, register in _BY_OFFSET.items()}
    cases = " ".join(f"i32 {at}, label %{label}" for at, label in labels.items())
    r.emit(f"switch i32 {offset.name}, label %{other} [ {cases} ]")
    for at, register in _BY_OFFSET.items():
        r.block(labels[at])
        r.tail_call(handler_symbol(f"{move}.{register.name}"))
    r.block(other)
