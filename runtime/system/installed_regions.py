"""The regions of a variant, installed in the entries of machine pages for all virtual machines that map these.

An entry of a region compares where the virtual machine that comes by has the region's pages with where it was
installed for. For one that has other pages there, or has the same ones at other virtual addresses, the entry's next
region has its turn: an entry has a *chain* of them, each made for other pages or addresses.

The code of a region that is dropped may still be run by vCPUs that have entered it, or are about to; it is freed when
all of them have left native code since.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

from runtime.object_loader import LoadedObject
from runtime.translations import TranslationCounts
from translator.translation import Translation

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.system.code_variant import CodeVariant, Runner
    from runtime.system.decoded_pages import DecodedPages
    from runtime.system.guest_pages import GuestPages

_LONGEST_CHAIN: Final = 16
"""Regions that an entry has at most; the first one is dropped for another."""


class Place(NamedTuple):
    """Code as somebody runs it."""

    entry: int
    """Host address of its entry."""
    pc: int
    """Its virtual address."""


@dataclass(eq=False)
class InstalledRegion:
    """A translation in the code arena."""

    translation: Translation
    loaded: LoadedObject
    pages: dict[int, int]
    """Virtual page number → machine page that it is for."""
    blocks: list[Place]
    """Of its blocks."""
    entries: dict[int, tuple[int, int]]
    """Host address of an entry → offsets in the arena: of what enters the region there, and of the word that says what
    has its turn if the pages are others.
    """
    counts: TranslationCounts
    """Of the vCPU that has had it installed."""

    @property
    def machine_pages(self) -> set[int]:
        """Where its code lies."""
        return set(self.pages.values())

    def serves(self, pc: int, pages: GuestPages) -> bool:
        """Whether it is entered at an address, and an address space has all its pages where it was made for."""
        return pc in self.translation.entries and all(
            pages.machine_page(number) == page for number, page in self.pages.items()
        )


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
        self.seeds: Final[set[Place]] = set()
        """What has been asked for, or could not be translated."""
        self.covered: Final[dict[Place, int]] = {}
        """Blocks within regions → how often they got hot all the same."""
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

    def on_page(self, page: int) -> list[InstalledRegion]:
        """The regions that have code on a machine page."""
        return self._by_page.get(page, [])

    def pages(self) -> list[int]:
        """The machine pages that have regions."""
        return list(self._by_page)

    def serves(self, place: Place, pages: GuestPages) -> bool:
        """Whether a region is entered there, in an address space."""
        chain = self.entered.get(place.entry, ())
        return any(region.serves(place.pc, pages) for region in chain)

    def add(self, region: InstalledRegion) -> None:
        """Enter it through its entries, behind the regions that are entered there already."""
        self.count += 1
        for entry in region.entries:
            while len(self.entered.get(entry, ())) >= _LONGEST_CHAIN:
                self._drop(self.entered[entry][0])
        for page in region.machine_pages:
            self._by_page.setdefault(page, []).append(region)
            self._decoded.note_regions(page)
        for entry, (offset, _) in region.entries.items():
            self._lead_on(region, entry, self._elsewhere)
            chain = self.entered.setdefault(entry, [])
            if chain:
                self._lead_on(chain[-1], entry, offset)
            else:
                handler = ctypes.c_uint32.from_address(entry)
                self._originals[entry] = handler.value
                handler.value = offset
            chain.append(region)
        for block in region.blocks:
            self.covered.setdefault(block, 0)

    def drop_page(self, page: int) -> None:
        """What is known of a machine page is not true any more."""
        for region in list(self.on_page(page)):
            region.counts.invalidated += 1
            self._drop(region)
        first = self._variant.entries(page)
        past = first + 0x4000
        self.seeds.difference_update([place for place in self.seeds if first <= place.entry < past])

    def drop_entered(self, entry: int) -> None:
        """The regions that an entry leads to."""
        for region in list(self.entered.get(entry, ())):
            self._drop(region)

    def drop_all(self) -> None:
        """Make room."""
        for page in self.pages():
            for region in list(self.on_page(page)):
                self._drop(region)
        self.seeds.clear()

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
            self.seeds.discard(block)
        for tell in self.dropped:
            tell()
        region.counts.code_bytes -= region.loaded.size
        self._retire(region.loaded)

    def _leave_chain(self, region: InstalledRegion, entry: int) -> None:
        chain = self.entered[entry]
        at = chain.index(region)
        following = chain[at + 1].entries[entry][0] if at + 1 < len(chain) else None
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
        self._variant.native.arena.write_word(region.entries[entry][1], offset)

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
        self._variant.native.arena.free(loaded.offset, loaded.size)
