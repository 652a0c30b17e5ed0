"""The regions of a variant, installed in the entries of machine pages for all virtual machines that map these.

An entry of a region compares where the virtual machine that comes by has the region's pages with where it was
installed for: one that has other pages there does the instruction in tier 0.

The code of a region that is dropped may still be run by vCPUs that have entered it, or are about to; it is freed when
all of them have left native code since.
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from runtime.object_loader import LoadedObject
from runtime.translations import TranslationCounts
from translator.translation import Translation

if TYPE_CHECKING:
    from collections.abc import Callable

    from runtime.system.code_variant import CodeVariant, Runner
    from runtime.system.decoded_pages import DecodedPages


@dataclass(eq=False)
class InstalledRegion:
    """A translation in the code arena."""

    translation: Translation
    loaded: LoadedObject
    machine_pages: set[int]
    blocks: list[int]
    """Host addresses of the entries of its blocks."""
    counts: TranslationCounts
    """Of the vCPU that has had it installed."""
    originals: dict[int, int] = field(default_factory=dict)
    """Host address of an entry → the tier-0 handler offset that the region's entry replaced."""


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
        self.entered: Final[dict[int, InstalledRegion]] = {}
        """Host address of a predecoded entry → the region it enters."""
        self.seeds: Final[set[int]] = set()
        """Entries that have been asked for, or could not be translated."""
        self.covered: Final[dict[int, int]] = {}
        """Entries of blocks within regions → how often they got hot all the same."""
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

    def add(self, region: InstalledRegion, entries: dict[int, int]) -> None:
        """Enter it through entries that no other region is entered through; host address → offset of its code."""
        self.count += 1
        for page in region.machine_pages:
            self._by_page.setdefault(page, []).append(region)
            self._decoded.note_regions(page)
        for entry, offset in entries.items():
            handler = ctypes.c_uint32.from_address(entry)
            self.entered[entry] = region
            region.originals[entry] = handler.value
            handler.value = offset
        for block in region.blocks:
            self.covered.setdefault(block, 0)

    def drop_page(self, page: int) -> None:
        """What is known of a machine page is not true any more."""
        for region in list(self.on_page(page)):
            region.counts.invalidated += 1
            self._drop(region)
        first = self._variant.entries(page)
        past = first + 0x4000
        self.seeds.difference_update([entry for entry in self.seeds if first <= entry < past])

    def drop_entered(self, entry: int) -> None:
        """The region that an entry leads to, if any."""
        region = self.entered.get(entry)
        if region is not None:
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
        for entry, handler in region.originals.items():
            del self.entered[entry]
            ctypes.c_uint32.from_address(entry).value = handler
            self._variant.cool(entry)
        for entry in region.blocks:
            self.covered.pop(entry, None)
            self.seeds.discard(entry)
        for tell in self.dropped:
            tell()
        region.counts.code_bytes -= region.loaded.size
        self._retire(region.loaded)

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
