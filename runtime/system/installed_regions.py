"""The regions of a variant, installed in the entries of machine pages for all virtual machines that map these.

An entry of a region compares where the virtual machine that comes by has the region's pages with where it was
installed for. For one that has other pages there, or has the same ones at other virtual addresses (at other distances
from each other, if the region is movable), the entry's next region has its turn: an entry has a *chain* of them.

The code of a region that is dropped may still be run by vCPUs that have entered it, or are about to; it is freed when
all of them have left native code since.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.object_loader import LoadedObject
from runtime.translations import TranslationCounts
from translator.system.views import SENTINEL
from translator.translation import Translation

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from runtime.system.code_variant import CodeVariant, Runner
    from runtime.system.decoded_pages import DecodedPages
    from runtime.system.guest_pages import GuestPages

_LONGEST_CHAIN: Final = 16
"""Regions that an entry has at most; the oldest one is dropped for another."""


ANYWHERE: Final = -1
"""The virtual address of code that is taken for the same at all addresses."""


class Place(NamedTuple):
    """Code as somebody runs it."""

    entry: int
    """Host address of its entry."""
    pc: int
    """Its virtual address, or ANYWHERE."""


class RegionEntry(NamedTuple):
    """Where a region is entered."""

    pc: int
    """The virtual address for which it was translated."""
    offset: int
    """In the arena: of what enters the region."""
    alternative: int
    """In the arena: of the word that says what has its turn if the pages are others."""


class Heir(NamedTuple):
    """A region that was entered through an entry of which there is a copy now, in another page."""

    translation: Translation
    pc: int
    """The virtual address for which it was translated."""


@dataclass(eq=False)
class InstalledRegion:
    """A translation in the code arena."""

    translation: Translation
    loaded: LoadedObject
    pages: dict[int, int]
    """Virtual page number, where it was translated, → machine page that it is for."""
    blocks: list[Place]
    """Of its blocks."""
    entries: dict[int, RegionEntry]
    """By the host addresses of predecoded entries."""
    counts: TranslationCounts
    """Of the vCPU that has had it installed."""

    def note_generation(self, generation: int) -> None:
        """So often it has been translated, or tried to be."""
        generation = max(generation, self.translation.generation)
        self.translation = replace(self.translation, generation=generation)

    @property
    def machine_pages(self) -> set[int]:
        """Where its code lies."""
        return set(self.pages.values())

    def serves(self, place: Place, pages: GuestPages) -> bool:
        """Whether it is entered there, and an address space has all its pages where it was made for."""
        displacement = self.translation.displacement(self.entries[place.entry].pc, place.pc)
        if displacement is None:
            return False
        moved = pages.moved(displacement)
        return all(moved.machine_page(number) == page for number, page in self.pages.items())


@dataclass
class _Retired:
    """Code that may still be run."""

    loaded: LoadedObject
    inside: list[tuple[Runner, int]]
    """vCPUs that were in native code, with their phases."""

    def is_left(self) -> bool:
        self.inside = [(runner, phase) for runner, phase in self.inside if runner.phase == phase]
        return not self.inside


class InstalledRegions:
    """By the predecoded entries that they are entered through, and by machine page. Under the machine memory's lock."""

    def __init__(self, variant: CodeVariant, decoded: DecodedPages) -> None:
        self._variant: Final = variant
        self._decoded: Final = decoded
        self.entered: Final[dict[int, list[InstalledRegion]]] = {}
        """Host address of a predecoded entry → its chain."""
        self._originals: Final[dict[int, int]] = {}
        """The same → the tier-0 handler offset that the chain has replaced."""
        self._asked_for: Final[dict[int, set[int]]] = {}
        """Host address of an entry → the virtual addresses at which it has been asked for, or cannot be translated."""
        self._heirs: Final[dict[int, Heir]] = {}
        """Host address of an entry → what its page's code had there in another page."""
        self.covered: Final[dict[Place, int]] = {}
        """Blocks within regions → how often they got hot all the same."""
        self._handlers_end: Final = variant.native.handlers_end
        self._elsewhere: Final = variant.native.handlers["execute_elsewhere"]
        """What has its turn behind the last region of a chain."""
        self.dropped: Final[list[Callable[[], None]]] = []
        """Called when regions have been dropped."""
        self._by_page: Final[dict[int, list[InstalledRegion]]] = {}
        self.count = 0
        """How many there are."""
        self.retired: Final[list[_Retired]] = []
        """What is to be freed."""

    def close(self) -> None:
        """Give the code memory back; nobody runs any more."""
        self.drop_all()
        for retired in self.retired:
            self._free(retired.loaded)

    def begin_anew(self) -> None:
        """Another virtual machine begins: what gets hot within regions is to do so in its life."""
        self.covered.update(dict.fromkeys(self.covered, 0))

    def on_page(self, page: int) -> list[InstalledRegion]:
        """The regions that have code on a machine page."""
        return self._by_page.get(page, [])

    def pages(self) -> list[int]:
        """The machine pages that have regions."""
        return list(self._by_page)

    def serves(self, place: Place, pages: GuestPages) -> bool:
        """Whether a region is entered there, in an address space."""
        chain = self.entered.get(place.entry, ())
        return any(region.serves(place, pages) for region in chain)

    def made_for(self, place: Place, pages: GuestPages) -> InstalledRegion | None:
        """The region that is entered there first, in an address space, if that is what it was made for."""
        for region in self.entered.get(place.entry, ()):
            if region.serves(place, pages):
                return region if region.entries[place.entry].pc == region.translation.seed else None
        return None

    def may_enter(self, place: Place, pages: GuestPages, blocks: frozenset[int]) -> bool:
        """Whether a region is to be entered there, in an address space: nothing serves there yet, or only what has less
        than it. `blocks`: the host addresses of the entries of its blocks.
        """
        serving = [region for region in self.entered.get(place.entry, ()) if region.serves(place, pages)]
        return all({block.entry for block in region.blocks} < blocks for region in serving)

    def asked_for(self, page: int) -> list[int]:
        """The entries of a machine page for which regions are asked for, or cannot be had."""
        return self._of_page(self._asked_for, page)

    def _of_page(self, noted: Iterable[int], page: int) -> list[int]:
        """Those of entries that are of a machine page."""
        first = self._variant.entries(page)
        return [entry for entry in noted if first <= entry < first + SENTINEL]

    def bequeath(self, page: int, distance: int) -> Iterator[tuple[int, int]]:
        """Note for copies of a page's entries, so far away, the first region of each: host address of the copy, and
        the handler offset that the entry had without regions. What is noted for a page itself is handed on.
        """
        for entry in self._of_page(self._heirs, page):
            self._heirs[entry + distance] = self._heirs[entry]
        entries = {entry for region in self.on_page(page) for entry in region.entries}
        for entry in self._of_page(entries, page):
            region = self.entered[entry][0]
            self._heirs[entry + distance] = Heir(region.translation, region.entries[entry].pc)
            yield entry + distance, self._originals[entry]

    def take_heir(self, entry: int) -> Heir | None:
        """What is noted for an entry, once."""
        return self._heirs.pop(entry, None)

    def is_asked_for(self, place: Place) -> bool:
        """Whether a region has been asked for there, and is under way, or cannot be had."""
        return place.pc in self._asked_for.get(place.entry, ())

    def note_request(self, place: Place) -> None:
        """A region has been asked for, or cannot be had."""
        self._asked_for.setdefault(place.entry, set()).add(place.pc)

    def note_answer(self, place: Place) -> None:
        """Nothing is under way any more; if it is wanted still, it may be asked for again."""
        if place.pc == ANYWHERE:
            self._asked_for.pop(place.entry, None)
        elif place.entry in self._asked_for:
            self._asked_for[place.entry].discard(place.pc)

    def covering(self, place: Place) -> Place | None:
        """What a block within a region is noted as in `covered`, if it is in one."""
        anywhere = Place(place.entry, ANYWHERE)
        return anywhere if anywhere in self.covered else place if place in self.covered else None

    def add(self, region: InstalledRegion) -> None:
        """Enter it through its entries, in front of the regions that are entered there already."""
        self.count += 1
        for entry in region.entries:
            while len(self.entered.get(entry, ())) >= _LONGEST_CHAIN:
                self._drop(self.entered[entry][-1])
        for page in region.machine_pages:
            self._by_page.setdefault(page, []).append(region)
            self._decoded.note_regions(page)
        for entry, at in region.entries.items():
            chain = self.entered.setdefault(entry, [])
            self._lead_on(region, entry, chain[0].entries[entry].offset if chain else self._elsewhere)
            handler = ctypes.c_uint32.from_address(entry)
            if not chain:
                # What runs stencils is decoded again: they may be gone by then.
                self._originals[entry] = handler.value if handler.value < self._handlers_end else 0
                self._variant.park(entry)
            handler.value = at.offset
            chain.insert(0, region)
        for block in region.blocks:
            self.covered.setdefault(block, 0)

    def drop_page(self, page: int) -> None:
        """What is known of a machine page is not true any more."""
        for region in list(self.on_page(page)):
            region.counts.invalidated += 1
            self._drop(region)
        for noted in (self._asked_for, self._heirs):
            for entry in self._of_page(noted, page):
                del noted[entry]

    def drop_all(self) -> None:
        """Make room."""
        for page in self.pages():
            for region in list(self.on_page(page)):
                self._drop(region)
        self._asked_for.clear()

    def _drop(self, region: InstalledRegion) -> None:
        self.count -= 1
        for page in region.machine_pages:
            regions = self._by_page[page]
            regions.remove(region)
            if not regions:
                del self._by_page[page]
            self._decoded.note_regions(page)
        for entry in region.entries:
            self._leave_chain(region, entry)
        for block in region.blocks:
            self.covered.pop(block, None)
            self.note_answer(block)
        for tell in self.dropped:
            tell()
        region.counts.code_bytes -= region.loaded.size
        self._retire(region.loaded)

    def _leave_chain(self, region: InstalledRegion, entry: int) -> None:
        chain = self.entered[entry]
        at = chain.index(region)
        following = chain[at + 1].entries[entry].offset if at + 1 < len(chain) else None
        chain.remove(region)
        if at:
            self._lead_on(chain[at - 1], entry, self._elsewhere if following is None else following)
            return
        handler = ctypes.c_uint32.from_address(entry)
        if following is None:
            del self.entered[entry]
            handler.value = self._originals.pop(entry)
            self._variant.cool(entry)
        else:
            handler.value = following

    def _lead_on(self, region: InstalledRegion, entry: int, offset: int) -> None:
        """Say what has its turn at an entry where a region does not serve."""
        self._variant.native.arena.write_word(region.entries[entry].alternative, offset)

    # Code memory.

    def _retire(self, loaded: LoadedObject) -> None:
        inside = [(runner, runner.phase) for runner in self._decoded.runners if runner.phase & 1]
        if inside:
            self.retired.append(_Retired(loaded, inside))
        else:
            self._free(loaded)

    def free_retired(self) -> None:
        """Give back the memory of code that everybody has left."""
        left = [retired for retired in self.retired if retired.is_left()]
        for retired in left:
            self.retired.remove(retired)
            self._free(retired.loaded)

    def _free(self, loaded: LoadedObject) -> None:
        native = self._variant.native
        if loaded.fixups:
            native.fixups.forget(loaded.offset, loaded.size)
        native.arena.free(loaded.offset, loaded.size)
