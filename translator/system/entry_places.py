"""From the host address of a predecoded entry to the instruction that it stands for."""

from __future__ import annotations

from translator.ir import IrValue
from translator.system.routine import Routine
from translator.system.views import ENTRIES_SHIFT, PAGE_SHIFT


def place_of(r: Routine, entry: IrValue) -> tuple[IrValue, IrValue]:
    """The machine page whose entry that is, and how many bytes behind the page's first entry it is."""
    distance = entry - r.read("page_entries_base")
    return distance.shift_right(ENTRIES_SHIFT), distance & (1 << ENTRIES_SHIFT) - 1


def page_address(r: Routine, machine_page: IrValue) -> IrValue:
    """Where a machine page is in host memory."""
    return r.read("machine_base") + (machine_page << PAGE_SHIFT)


def word_at(r: Routine, machine_page: IrValue, in_page: IrValue, big_endian: bool) -> IrValue:
    """The instruction word of an entry, by its place."""
    return load_word(r, page_address(r, machine_page) + in_page.shift_right(2), big_endian)


def load_word(r: Routine, host: IrValue, big_endian: bool) -> IrValue:
    """The instruction word at a host address."""
    word = r.load(host, 32)
    return word.byte_swap() if big_endian else word


def lacks_handler(r: Routine, entry: IrValue) -> IrValue:
    """Whether an entry runs something else than one instruction's handler: a region, or stencils."""
    return r.read("handlers_end").le_unsigned(r.load(entry, 32))
