"""Installing regions: from a translation to entries that lead into it, for all that map the same pages."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from runtime.code_arena import CodeArenaFull
from runtime.object_loader import LoadedObject, ObjectError, load_object
from runtime.system.guest_pages import GuestPages, MovedPages
from runtime.system.installed_regions import (
    ANYWHERE,
    InstalledRegion,
    InstalledRegions,
    Place,
    RegionEntry,
)
from runtime.translations import TranslationCounts
from translator.translation import ALTERNATIVES_SYMBOL, PAGES_SYMBOL, Translation

if TYPE_CHECKING:
    from runtime.system.code_variant import CodeVariant
    from runtime.system.vcpu import SystemVcpu


class RegionInstaller:
    """Installs what one vCPU has asked for."""

    def __init__(
        self,
        vcpu: SystemVcpu,
        counts: TranslationCounts,
        *,
        report: Callable[[str], None],
        when_dropped: Callable[[], None],
        when_entered: Callable[[int, CodeVariant], None],
    ) -> None:
        """`report` is told what fails, `when_dropped` that regions have been dropped, by whomever, and `when_entered`
        the entries at which another region could take in the blocks of a new one.
        """
        self._vcpu: Final = vcpu
        self._counts: Final = counts
        self._report: Final = report
        self._when_dropped: Final = when_dropped
        self._when_entered: Final = when_entered

    def forget(self) -> None:
        """The vCPU goes."""
        for variant in self._vcpu.memory.machine.decoded.variants():
            if self._when_dropped in variant.regions.dropped:
                variant.regions.dropped.remove(self._when_dropped)

    def install(self, translation: Translation, seed: int, pages: GuestPages) -> bool:
        """Put a translation to use at `seed`; False if the guest's code is no longer what it was made from."""
        with self._vcpu.memory.machine.lock:
            regions = pages.variant.regions
            regions.free_retired()
            displacement = translation.displacement(translation.seed, seed)
            if displacement is None or translation.mode != pages.variant.mode.key():
                return False
            moved = pages.moved(displacement)
            if not self._is_current(translation, moved):
                return False
            seeded = moved.place(translation.seed)
            if seeded is not None:
                regions.note_answer(seeded)
            places = [place for pc in translation.entries if (place := moved.place(pc)) is not None]
            blocks = _blocks_to_compare(translation, moved)
            if not any(regions.may_enter(place, pages, blocks) for place in places):
                return True  # another virtual machine has been faster, or it has nothing more in it
            try:
                loaded = self._load(translation, regions)
            except (ObjectError, CodeArenaFull) as error:
                self._report(f"the region at {seed:#x}: {error}")
                return False
            self._vcpu.native.fixups.note(loaded.fixups)
            self._enter(translation, loaded, moved)
        self._counts.installed += 1
        self._counts.code_bytes += loaded.size
        self._counts.instructions += translation.instructions
        return True

    def _load(self, translation: Translation, regions: InstalledRegions) -> LoadedObject:
        native = self._vcpu.native
        try:
            return load_object(translation.object_code, native.arena, native.handlers, False)
        except CodeArenaFull:  # what other vCPUs are in the midst of stays where it is
            regions.drop_all()
            return load_object(translation.object_code, native.arena, native.handlers, False)

    def _enter(self, translation: Translation, loaded: LoadedObject, pages: MovedPages) -> None:
        """Have a region entered through the entries of the machine pages that its code lies on."""
        variant, native = pages.variant, self._vcpu.native
        if self._when_dropped not in variant.regions.dropped:
            variant.regions.dropped.append(self._when_dropped)
        fetch_slots = b""
        where: dict[int, int] = {}
        for number in _page_numbers(translation):
            page = pages.machine_page(number)
            assert page is not None
            where[number] = page
            slot = variant.entries(page) - (number << MACHINE_PAGE_SHIFT + 2)
            fetch_slots += (slot & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")
        native.arena.write(loaded.symbols[PAGES_SYMBOL], fetch_slots)
        blocks = [place for pc in translation.blocks if (place := pages.place(pc)) is not None]
        if translation.is_movable:
            blocks = [Place(block.entry, ANYWHERE) for block in blocks]
        entries: dict[int, RegionEntry] = {}
        contents = _blocks_to_compare(translation, pages)
        for number, (pc, symbol) in enumerate(translation.entries.items()):
            place = pages.place(pc)
            if place is not None and variant.regions.may_enter(place, pages.now, contents):
                if not ctypes.c_uint32.from_address(place.entry).value:
                    self._vcpu.entries.fill(place.entry, variant)
                alternative = loaded.symbols[ALTERNATIVES_SYMBOL] + 4 * number
                entries[place.entry] = RegionEntry(pc, loaded.symbols[symbol], alternative)
        variant.regions.add(InstalledRegion(translation, loaded, where, blocks, entries, self._counts))
        for pc in translation.reached_from_elsewhere:
            if (entry := pages.entry(pc)) in entries:
                self._when_entered(entry, variant)

    def _is_current(self, translation: Translation, pages: MovedPages) -> bool:
        """Whether this virtual machine has the code mapped, so that nobody else stores to it."""
        machine = self._vcpu.memory.machine
        for start, code in translation.code:
            position = 0
            while position < len(code):
                address = start + position
                page = pages.machine_page(address >> MACHINE_PAGE_SHIFT)
                if page is None or not pages.variant.pages[page] or not self._vcpu.memory.has_mapped(page):
                    return False
                offset = address & MACHINE_PAGE_SIZE - 1
                size = min(len(code) - position, MACHINE_PAGE_SIZE - offset)
                if ctypes.string_at(machine.address(page) + offset, size) != code[position : position + size]:
                    return False
                position += size
        return True


def _blocks_to_compare(translation: Translation, pages: MovedPages) -> frozenset[int]:
    """Of a translation that may be entered in place of others: host addresses of its blocks' entries; else nothing."""
    entries = map(pages.entry, translation.blocks if translation.merges else ())
    return frozenset(entry for entry in entries if entry is not None)


def _page_numbers(translation: Translation) -> list[int]:
    """The virtual pages of its code, as `translator.system.region_ir.region_pages` has them."""
    numbers: set[int] = set()
    for start, code in translation.code:
        numbers.update(range(start >> MACHINE_PAGE_SHIFT, (start + len(code) - 1 >> MACHINE_PAGE_SHIFT) + 1))
    return sorted(numbers)
