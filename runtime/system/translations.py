"""The regions of a virtual machine: asked for when code gets hot, installed in the entries of machine pages, dropped
when the code changes."""

from __future__ import annotations

import ctypes
import hashlib
from array import array
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final

from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from runtime.code_arena import CodeArenaFull
from runtime.disk_cache import DiskCache
from runtime.object_loader import LoadedObject, ObjectError, load_object
from runtime.shared_compile_service import SharedCompileService
from runtime.system.guest_pages import GuestPages
from runtime.translations import TranslationCounts
from translator.predecode import COUNTER_OFFSET, ENTRY_SIZE, SYSTEM_HOT_THRESHOLD
from translator.system.views import MACHINE_CODE, MACHINE_REGIONS
from translator.translation import PAGES_SYMBOL, Mode, Translation
from translator.worker_messages import Extent

if TYPE_CHECKING:
    from runtime.compile_client import CompileClient
    from runtime.system.vcpu import SystemVcpu

_COVERED_PATIENCE: Final = 8
"""How often an address within a region must get hot in tier 0 before it gets a region of its own."""
_PAGE_FIELDS: Final = MACHINE_PAGE_SIZE // 4 * ENTRY_SIZE // 4
_KEY_CODE: Final = 64
"""Bytes of code at the hot address that name a translation in the disk cache."""
_PATIENCE: Final = 0.25
"""Seconds that the end of a run waits for the compile worker, if earlier runs of the same have left it work, too."""
_UNSTEADY: Final = 3
"""A page that has been taken for data so often gets no more regions."""


@dataclass
class InstalledRegion:
    """A translation in the code arena."""

    translation: Translation
    loaded: LoadedObject
    machine_pages: set[int]
    blocks: list[int]
    """Host addresses of the entries of its blocks."""
    originals: dict[int, int] = field(default_factory=dict)
    """Host address of an entry → the tier-0 handler offset that the region's entry replaced."""


class SystemTranslations:
    """Regions by the predecoded entries they are entered through, and by machine page."""

    def __init__(
        self,
        vcpu: SystemVcpu,
        cache: DiskCache,
        *,
        count_instructions: bool,
        translates_all: bool,
        service: SharedCompileService | None = None,
    ) -> None:
        """`translates_all`: what control goes to is hot at once, and nothing runs until it is translated.

        `service` is closed by its owner; None: there is one for this vCPU only.
        """
        self.vcpu: Final = vcpu
        self._translates_all = translates_all
        self._cold: Final = SYSTEM_HOT_THRESHOLD - 1 if translates_all else 0
        """The counter of an address that control has not gone to."""
        self._cache = cache
        self._count_instructions = count_instructions
        self.counts: Final = TranslationCounts()
        self.region_count = 0
        """Regions that are installed now."""
        self.failures: list[str] = []
        self.entered: Final[dict[int, InstalledRegion]] = {}
        """Host address of a predecoded entry → the region it enters."""
        self._requested: dict[int, tuple[GuestPages, str]] = {}
        """Seed → the code it was asked for with, and what the translation is then called in the disk cache."""
        self._seeds: set[int] = set()
        """Entries that have been asked for, or could not be translated."""
        self._covered: dict[int, int] = {}
        """Entries of blocks within regions → how often they got hot all the same."""
        self._by_machine_page: dict[int, list[InstalledRegion]] = {}
        self._service: Final = service or SharedCompileService()
        self._owns_service: Final = service is None
        self._client: CompileClient | None = None
        self._ready = False
        self._unfinished = ""
        """Name in the disk cache of the note that this run has ended before all was compiled; "": nothing was hot."""
        self._goes_on = False
        """Whether an earlier run has left that note."""

    def close(self) -> None:
        """End the compile worker, if it is for this vCPU only, and give the code memory back."""
        if self._client is not None:
            self._finish(self._client)
            self._client.close()
        if self._requested:
            self._cache.store(self._unfinished, b"")
        elif self._goes_on:
            self._cache.remove(self._unfinished)
        if self._owns_service:
            self._service.close()
        self.drop_all()

    def _finish(self, client: CompileClient) -> None:
        """Keep what has been compiled, for runs to come, and now and then wait a little for the rest.

        What gets hot just before every end would be asked for, and started upon, in every run otherwise.
        """
        deadline = monotonic() + (_PATIENCE if self._goes_on and self._owns_service else 0)
        while self._requested and (result := client.next(max(deadline - monotonic(), 0))) is not None:
            seed, translation = result
            _, name = self._requested.pop(seed)
            if translation is not None:
                self._cache.store(name, translation.to_bytes())

    def _begin(self, name: str) -> None:
        """Code is hot for the first time, and tells what run this is. The worker takes a while to start."""
        self._unfinished = f"unfinished/{name.rpartition('/')[2]}"
        self._goes_on = self._cache.load(self._unfinished) is not None
        if self._goes_on:
            self._compile_client().service.start()

    def mode(self) -> Mode:
        """What translations made now depend on."""
        state = self.vcpu.state
        return Mode(
            big_endian=self.vcpu.big_endian,
            wide_fpu=bool(state.wide_registers),
            float_checked=bool(state.float_checked),
            count_instructions=self._count_instructions,
            system=True,
        )

    # Requests.

    def hot(self, seed: int) -> None:
        """Have the region at virtual address `seed` translated, unless that is under way or done."""
        pages = GuestPages(self, self.vcpu.state.space)
        entry = pages.entry(seed)
        if entry is None or entry in self.entered or entry in self._seeds or seed in self._requested:
            return
        if self.vcpu.memory.decoded.times_data(pages.machine_pages[seed >> MACHINE_PAGE_SHIFT]) >= _UNSTEADY:
            return
        times = self._covered.get(entry)
        if times is not None and times < _COVERED_PATIENCE and not self._translates_all:
            # It lies within a region, which control should soon reach by an entry: see whether it gets hot again.
            self._covered[entry] = times + 1
            self._cool(entry)
            return
        self._seeds.add(entry)
        self.counts.requested += 1
        name = self._cache_name(seed, pages)
        if not self._unfinished:
            self._begin(name)
        cached = self._known(name)
        if cached is not None and self._install(cached, pages):
            self.counts.from_cache += 1
            return
        if self._translates_all:
            found = self._compile_client().translate(
                seed, self.mode().flags(), Extent.STATIC, pages, name, cached
            )
            self._take(seed, found, pages, name)
            return
        extent = Extent.PROFILED if times is None else Extent.GLUE
        self._requested[seed] = pages, name
        self._compile_client().request(seed, self.mode().flags(), extent, pages, name, cached)

    def code_marked(self, machine_page: int) -> None:
        """Control goes to a page of which nothing was decoded before."""
        if self._cold:
            first = self.vcpu.memory.decoded.entries(machine_page)
            fields = (ctypes.c_uint32 * _PAGE_FIELDS).from_address(first)
            counters = memoryview(fields).cast("B").cast("I")[COUNTER_OFFSET // 4 :: ENTRY_SIZE // 4]
            counters[:] = memoryview(array("I", [self._cold]) * len(counters))

    def _cool(self, entry: int) -> None:
        """See whether an address gets hot again."""
        ctypes.c_uint32.from_address(entry + COUNTER_OFFSET).value = self._cold

    def install_ready(self) -> None:
        """Install what has been compiled since the last call."""
        if not self._ready or self._client is None:
            return
        self._ready = False
        self.failures = self._client.failures
        self.counts.compiled = self._client.compiled
        for seed, translation in self._client.take():
            self._take(seed, translation, *self._requested.pop(seed))

    def _take(self, seed: int, translation: Translation | None, pages: GuestPages, name: str) -> None:
        """What has become of a request. Also what comes too late is kept: the next run may have it in time."""
        if translation is not None:
            self._cache.store(name, translation.to_bytes())
        entry = pages.entry(seed)
        if translation is None:
            if entry in self._covered and not self._translates_all:
                # It was left out for that; it may get hot all the same.
                self._seeds.discard(entry)
                self._cool(entry)
        elif not self._install(translation, pages):
            self.counts.outdated += 1
            if entry is not None:
                self._seeds.discard(entry)

    def _compile_client(self) -> CompileClient:
        if self._client is None:
            from runtime.compile_client import CompileClient  # late: most short runs need none

            service = self._service.made_by(self.vcpu.native.start_process)
            self._client = CompileClient(service, GuestPages(self, 0), self._notify)
        return self._client

    def _notify(self) -> None:
        """Called in the compile thread: make the vCPU's thread come by."""
        self._ready = True
        self.vcpu.ask_for_visit()

    # What is known already, to other virtual machines of ours or from earlier runs.

    def _cache_name(self, seed: int, pages: GuestPages) -> str:
        digest = hashlib.blake2b(digest_size=16)
        digest.update(f"{seed:x} {self.mode().key()} {self._translates_all} ".encode())
        page, offset = pages.machine_page(seed >> MACHINE_PAGE_SHIFT), seed & MACHINE_PAGE_SIZE - 1
        if page is not None:
            size = min(_KEY_CODE, MACHINE_PAGE_SIZE - offset)
            digest.update(ctypes.string_at(self.vcpu.memory.machine.address(page) + offset, size))
        return f"regions/{digest.hexdigest()}"

    def _known(self, name: str) -> Translation | None:
        shared = self._service.recall(name)
        if shared is not None:
            return shared
        data = self._cache.load(name)
        if data is None:
            return None
        try:
            return Translation.from_bytes(data)
        except (ValueError, EOFError, TypeError):
            return None

    # Installing and dropping.

    def _install(self, translation: Translation, pages: GuestPages) -> bool:
        """Put a translation to use; False if the guest's code is no longer what it was made from."""
        if translation.mode != self.mode().key() or not self._is_current(translation, pages):
            return False
        native = self.vcpu.native
        try:
            loaded = load_object(translation.object_code, native.arena, native.handlers, False)
        except CodeArenaFull:
            self.drop_all()
            loaded = load_object(translation.object_code, native.arena, native.handlers, False)
        except ObjectError as error:
            self.failures.append(f"the region at {translation.seed:#x}: {error}")
            return False
        decoded = self.vcpu.memory.decoded
        numbers = _page_numbers(translation)
        fetch_slots = b""
        for number in numbers:
            page = pages.machine_page(number)
            assert page is not None
            slot = decoded.entries(page) - (number << MACHINE_PAGE_SHIFT + 2)
            fetch_slots += (slot & 0xFFFF_FFFF_FFFF_FFFF).to_bytes(8, "little")
        native.arena.write(loaded.symbols[PAGES_SYMBOL], fetch_slots)
        entries = {pc: pages.entry(pc) for pc in {*translation.blocks, *translation.entries}}
        blocks = [entry for pc in translation.blocks if (entry := entries[pc]) is not None]
        machine_pages = {page for number in numbers if (page := pages.machine_page(number)) is not None}
        region = InstalledRegion(translation, loaded, machine_pages, blocks)
        for page in machine_pages:
            decoded.flags[page] |= MACHINE_REGIONS
            self._by_machine_page.setdefault(page, []).append(region)
        for pc, symbol in translation.entries.items():
            entry = entries[pc]
            if entry is not None and entry not in self.entered:
                handler = ctypes.c_uint32.from_address(entry)
                self.entered[entry] = region
                region.originals[entry] = handler.value
                if not handler.value:
                    self.vcpu.decode_entry(entry)
                    region.originals[entry] = handler.value
                handler.value = loaded.symbols[symbol]
        for block in blocks:
            self._covered.setdefault(block, 0)
        self.region_count += 1
        self.counts.installed += 1
        self.counts.code_bytes += loaded.size
        self.counts.instructions += translation.instructions
        return True

    def _is_current(self, translation: Translation, pages: GuestPages) -> bool:
        machine, flags = self.vcpu.memory.machine, self.vcpu.memory.decoded.flags
        for start, code in translation.code:
            position = 0
            while position < len(code):
                address = start + position
                page = pages.machine_page(address >> MACHINE_PAGE_SHIFT)
                if page is None or not flags[page] & MACHINE_CODE:
                    return False
                offset = address & MACHINE_PAGE_SIZE - 1
                size = min(len(code) - position, MACHINE_PAGE_SIZE - offset)
                if ctypes.string_at(machine.address(page) + offset, size) != code[position : position + size]:
                    return False
                position += size
        return True

    def _drop(self, region: InstalledRegion) -> None:
        flags = self.vcpu.memory.decoded.flags
        for page in region.machine_pages:
            regions = self._by_machine_page[page]
            regions.remove(region)
            if not regions:
                flags[page] &= ~MACHINE_REGIONS
                del self._by_machine_page[page]
        for entry, handler in region.originals.items():
            del self.entered[entry]
            ctypes.c_uint32.from_address(entry).value = handler
            self._cool(entry)
        for entry in region.blocks:
            self._covered.pop(entry, None)
            self._seeds.discard(entry)
        if self._client is not None:
            self._client.forget_covered()
        self.vcpu.native.arena.free(region.loaded.offset, region.loaded.size)
        self.region_count -= 1
        self.counts.code_bytes -= region.loaded.size

    def invalidate(self, machine_page: int) -> None:
        """The code of a machine page is about to change."""
        for region in list(self._by_machine_page.get(machine_page, ())):
            self._drop(region)
            self.counts.invalidated += 1
        first = self.vcpu.memory.decoded.entries(machine_page)
        self._seeds = {entry for entry in self._seeds if not first <= entry < first + 0x4000}

    def drop_all(self) -> None:
        """Translations of another mode must not run any more."""
        for page in list(self._by_machine_page):
            for region in list(self._by_machine_page.get(page, ())):
                self._drop(region)
        self._seeds.clear()


def _page_numbers(translation: Translation) -> list[int]:
    """The virtual pages of its code, as `translator.system.region_ir.region_pages` has them."""
    numbers: set[int] = set()
    for start, code in translation.code:
        numbers.update(range(start >> MACHINE_PAGE_SHIFT, (start + len(code) - 1 >> MACHINE_PAGE_SHIFT) + 1))
    return sorted(numbers)
