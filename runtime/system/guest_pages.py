"""Guest code by virtual page, as one address space has it: what a translation is made from, and checked against."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from runtime.system.installed_regions import Place
from runtime.system.translation_tables import slot_at
from translator.predecode import COUNTER_OFFSET, COUNTER_PARKED, ENTRY_SIZE, HANDLER_OFFSET
from translator.state import Access
from translator.system.views import ENTRIES_SHIFT, slot_number
from translator.worker_messages import BEGINS_BLOCK

if TYPE_CHECKING:
    from runtime.system.code_variant import CodeVariant
    from runtime.system.translations import SystemTranslations

_PAGES: Final = 1 << 32 - MACHINE_PAGE_SHIFT
_PAGE_ENTRIES: Final = MACHINE_PAGE_SIZE // 4 * ENTRY_SIZE
_FIXED_SEGMENTS: Final = 2
_FIXED_MASK: Final = 0x1_FFFF
"""Of a page number in KSEG0 or KSEG1: the physical page."""


class GuestPages:
    """The code of address space `space`. Pages once asked for stay what they were found to be.

    Used by the compile thread while the guest runs: whatever it finds is compared again before it counts.
    """

    def __init__(self, translations: SystemTranslations, space: int) -> None:
        self._translations = translations
        self.variant: Final = translations.vcpu.variant
        """Whose entries and regions it is about."""
        self.space: Final = space
        self.machine_pages: dict[int, int | None] = {}
        """Virtual page number → machine page; None: nothing is decoded there."""

    def machine_page(self, number: int) -> int | None:
        """The machine page whose code runs at a virtual page."""
        try:
            return self.machine_pages[number]
        except KeyError:
            found = self.machine_pages[number] = self._find(number)
            return found

    def _find(self, number: int) -> int | None:
        vcpu = self._translations.vcpu
        machine = vcpu.memory.machine
        if number >> 18 == _FIXED_SEGMENTS:
            word = vcpu.memory.pmap[number & _FIXED_MASK]
            if not word:
                return None
            page = machine.page_at(word & -MACHINE_PAGE_SIZE)
        else:
            value = slot_at(vcpu.state, slot_number(self.space, number, Access.FETCH))
            if not value:
                return None
            entries = value + (number << MACHINE_PAGE_SHIFT + 2) & 0xFFFF_FFFF_FFFF_FFFF
            page = entries - self.variant.entries_base >> ENTRIES_SHIFT
            if not 0 <= page < machine.pages:
                return None  # it is of another variant
        return page if self.variant.pages[page] else None

    def entry(self, pc: int) -> int | None:
        """Host address of the predecoded entry of a virtual address."""
        return self.moved(0).entry(pc)

    def moved(self, displacement: int) -> MovedPages:
        """The same as if all of it was so far below."""
        return MovedPages(self, displacement)

    # For the compile worker: see `compile_client.GuestCode`.

    @property
    def scope(self) -> int:
        """Addresses of different scopes have nothing to do with each other."""
        return self.space

    def code_page(self, number: int) -> tuple[bytes, bytes, bool, bytes] | None:
        page = self.machine_page(number)
        if page is None:
            return None
        memory = self._translations.vcpu.memory
        first = self.variant.entries(page)
        fields = memoryview(ctypes.string_at(first, _PAGE_ENTRIES)).cast("I")
        step = ENTRY_SIZE // 4
        counters, handlers = fields[COUNTER_OFFSET // 4 :: step], fields[HANDLER_OFFSET // 4 :: step]
        # A handler offset beyond tier 0's is a region's.
        end = self._translations.vcpu.state.tier_0_end
        regions = bytearray(map(end.__le__, handlers))
        for region in list(self.variant.regions.on_page(page)):
            for block in region.blocks:
                if 0 <= block.entry - first < _PAGE_ENTRIES:
                    regions[(block.entry - first) // ENTRY_SIZE] |= BEGINS_BLOCK
        return (
            ctypes.string_at(memory.machine.address(page), MACHINE_PAGE_SIZE),
            counters.tobytes(),
            False,
            bytes(regions),
        )

    def heat(self, pc: int) -> int:
        entry = self.entry(pc)
        return 0 if entry is None else self.variant.counter(entry) & ~COUNTER_PARKED


class MovedPages:
    """Guest code by where it was when it was translated, rather than where it is."""

    def __init__(self, pages: GuestPages, displacement: int) -> None:
        """`displacement`: how far it has moved since; a multiple of the page size."""
        self.now: Final = pages
        """As it is."""
        self._displacement = displacement

    @property
    def variant(self) -> CodeVariant:
        return self.now.variant

    def machine_page(self, number: int) -> int | None:
        """The machine page whose code runs where virtual page `number` has got."""
        here = number + (self._displacement >> MACHINE_PAGE_SHIFT)
        return self.now.machine_page(here) if 0 <= here < _PAGES else None

    def entry(self, pc: int) -> int | None:
        """Host address of the predecoded entry of what was at a virtual address."""
        page = self.machine_page(pc >> MACHINE_PAGE_SHIFT)
        if page is None:
            return None
        return self.now.variant.entries(page) + 4 * (pc & MACHINE_PAGE_SIZE - 1)

    def place(self, pc: int) -> Place | None:
        """Where somebody runs it."""
        entry = self.entry(pc)
        return None if entry is None else Place(entry, pc + self._displacement)
