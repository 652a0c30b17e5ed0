"""The regions that a virtual machine asks for when its code gets hot, and installs for all that map the same pages."""

from __future__ import annotations

import ctypes
import hashlib
from contextlib import AbstractContextManager
from time import monotonic
from typing import TYPE_CHECKING, Final

from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from runtime.arrivals import LAST_GENERATION, Arrivals
from runtime.disk_cache import DiskCache
from runtime.shared_compile_service import SharedCompileService
from runtime.system.guest_pages import GuestPages
from runtime.system.installed_regions import Place
from runtime.system.region_installer import RegionInstaller
from runtime.translations import TranslationCounts
from translator.predecode import SYSTEM_WARM_SHIFT
from translator.system.views import KERNEL_ADDRESSES
from translator.translation import Translation
from translator.worker_messages import Extent

if TYPE_CHECKING:
    from runtime.compile_client import CompileClient
    from runtime.system.code_variant import CodeVariant
    from runtime.system.vcpu import SystemVcpu

_COVERED_PATIENCE: Final = 3
"""How often an address within a region must get hot in tier 0 before it gets a region of its own."""
_STEADY: Final = 8
"""So many times in a row must a block in a region of the kernel be found to get hot fast before others take it in: what
kernels do while they boot is soon over."""
_KEY_CODE: Final = 64
"""Bytes of code at the hot address that name a translation in the disk cache."""
_PATIENCE: Final = {1: 0.5, 2: 1.0, 3: 2.0}
"""Seconds that the end of a run waits for the compile worker, by the number of runs in a row that have left it work
before: starting it takes half a second, and a large region more than one …"""
_ROUND: Final = 8
"""… and by so many runs later again. A guest that is never finished is not waited for more often."""
_FIRST_RUN: Final = "first-run"
"""In the disk cache once there has been one."""
_UNFINISHED: Final = b"unfinished"
_FINISHED: Final = b"finished"
"""Notes of a run: whether it has left the compile worker work, and if so, behind a space, in how many runs in a row."""
_UNSTEADY: Final = 3
"""A page that has been taken for data so often gets no more regions."""


class SystemTranslations:
    """What one vCPU has asked for, and what has become of that."""

    def __init__(
        self,
        vcpu: SystemVcpu,
        cache: DiskCache,
        *,
        translates_all: bool,
        service: SharedCompileService | None = None,
    ) -> None:
        """`translates_all`: what control goes to is hot at once, and nothing runs until it is translated.

        `service` is closed by its owner; None: there is one for this vCPU only.
        """
        self.vcpu: Final = vcpu
        self._translates_all = translates_all
        self._cache = cache
        self.counts: Final = TranslationCounts()
        self.failures: list[str] = []
        self._requested: dict[int, tuple[GuestPages, str, int]] = {}
        """Seed → the code it was asked for with, what the translation is then called in the disk cache, generation."""
        self._arrivals: Final = Arrivals()
        self._service: Final = service or SharedCompileService()
        self._owns_service: Final = service is None
        self._installer: Final = RegionInstaller(
            vcpu,
            self.counts,
            report=lambda failure: self.failures.append(failure),
            when_dropped=self._forget_covered,
            when_entered=self._note_entry,
        )
        self._client: CompileClient | None = None
        self._ready = False
        self._note_name = ""
        """Of the note that this run leaves in the disk cache; "": nothing has been reported yet."""
        self._earlier_note: bytes | None = None
        """What an earlier run of the same has left there."""

    def prepare(self) -> None:
        """If this is the first run of a cache, start the compile worker now: it will be wanted soon, for everything."""
        if not self._cache.enabled or self._cache.load(_FIRST_RUN) is not None:
            return
        self._cache.store(_FIRST_RUN, b"")
        can_keep = self._cache.load(_FIRST_RUN) is not None  # or every run would be the first
        if can_keep:
            self._compile_client().service.start()

    def close(self) -> None:
        """End the compile worker, if it is for this vCPU only, and give the code memory back."""
        if self._client is not None:
            self._finish(self._client)
            self._client.close()
        runs = self._unfinished_runs() + self._owns_service  # of others' worker nobody has waited for more
        note = _UNFINISHED + b" %d" % max(runs, 1) if self._requested else _FINISHED
        if self._note_name and note != self._earlier_note:
            self._cache.store(self._note_name, note)
        with self._lock:
            for seed, (pages, _, _) in self._requested.items():
                self._give_up(seed, pages)
            self._installer.forget()
        if self._owns_service:
            self._service.close()

    @property
    def _lock(self) -> AbstractContextManager[object]:
        return self.vcpu.memory.machine.lock

    @property
    def region_count(self) -> int:
        """Regions that are installed now, by whichever virtual machine."""
        return self.vcpu.variant.regions.count

    def _give_up(self, seed: int, pages: GuestPages) -> None:
        """Another virtual machine may ask for it."""
        entry = pages.entry(seed)
        if entry is not None:
            pages.variant.regions.note_answer(Place(entry, seed))
            pages.variant.cool(entry)

    def _forget_covered(self) -> None:
        """Regions have been dropped, by whomever."""
        if self._client is not None:
            self._client.forget_covered()

    def _finish(self, client: CompileClient) -> None:
        """Keep what has been compiled, for runs to come, and now and then wait a little for the rest.

        What gets hot just before every end would be asked for, and started upon, in every run otherwise.
        """
        patience = _PATIENCE.get(self._unfinished_runs() % _ROUND, 0) if self._owns_service else 0
        deadline = monotonic() + patience
        while self._requested and (result := client.next(max(deadline - monotonic(), 0))) is not None:
            seed, translation = result
            _, name, generation = self._requested.pop(seed)
            if translation is not None and not generation:
                self._cache.store(name, translation.to_bytes())

    def _unfinished_runs(self) -> int:
        """How many runs in a row have left the compile worker work, before this one."""
        state, _, count = (self._earlier_note or b"").partition(b" ")
        return int(count) if state == _UNFINISHED and count.isdigit() else 0

    def _begin(self, name: str) -> None:
        """Code is reported for the first time, and tells what run this is.

        Where there will be something to compile, the worker starts at once: it takes a while.
        """
        self._note_name = f"runs/{name.rpartition('/')[2]}"
        self._earlier_note = self._cache.load(self._note_name)
        if self._earlier_note != _FINISHED:
            self._compile_client().service.start()

    # Requests.

    def hot(self, seed: int, space: int) -> None:
        """Control goes to virtual address `seed` of an address space often: use the region that an earlier run has
        translated there, or, if it is hot, have it translated, unless that is under way or done.
        """
        pages = GuestPages(self, space)
        entry = pages.entry(seed)
        if entry is None:
            return
        count = pages.variant.counter(entry)
        page = pages.machine_page(seed >> MACHINE_PAGE_SHIFT)
        assert page is not None  # as there is an entry
        is_hot = pages.variant.is_hot(count, page)
        if seed in self._requested or (not is_hot and count >= 2 << SYSTEM_WARM_SHIFT):
            return  # it is under way, perhaps for another address space; or earlier runs have been asked
        place = Place(entry, seed)
        with self._lock:
            if not self._is_wanted(place, pages):
                pages.variant.park(entry)
                return
        if self._inherit(place, pages):
            return
        name = self._cache_name(seed, pages)
        if not self._note_name:
            self._begin(name)
        is_served = pages.variant.regions.serves(place, pages)
        cached = None if is_served else self._known(name)
        if cached is not None and self._installer.install(cached, seed, pages):
            self.counts.requested += 1
            self.counts.from_cache += 1
        elif is_hot:
            self._request(place, pages, name, cached)

    def _inherit(self, place: Place, pages: GuestPages) -> bool:
        """Whether it has been possible to install what the code had there before its page was moved or copied."""
        with self._lock:
            heir = pages.variant.regions.take_heir(place.entry)
        if heir is None:
            return False
        seed = heir.translation.seed + place.pc - heir.pc
        if not self._installer.install(heir.translation, seed, pages):
            return False
        self.counts.requested += 1
        self.counts.from_cache += 1
        return True

    def _is_wanted(self, place: Place, pages: GuestPages) -> bool:
        """Whether there may be a region, and there is none yet, or one that may become part of a larger one."""
        regions, decoded = pages.variant.regions, self.vcpu.memory.machine.decoded
        if regions.is_asked_for(place) or (regions.serves(place, pages) and not self._may_grow(place, pages)):
            return False
        page = pages.machine_page(place.pc >> MACHINE_PAGE_SHIFT)
        return page is not None and decoded.times_data(page) < _UNSTEADY

    def _may_grow(self, place: Place, pages: GuestPages) -> bool:
        """Whether it is of interest how often control comes to where a region is entered. In the kernel, that is
        decided when it is first reported: the ticks of an idle one come by everywhere, and never fast.
        """
        if self._translates_all:
            return False
        return place.pc < KERNEL_ADDRESSES or self._arrivals.are_frequent(place.entry, pages.heat(place.pc))

    def _request(self, place: Place, pages: GuestPages, name: str, rejected: Translation | None) -> None:
        """Have a region translated, or, if the place lies in another one, see first whether it stays hot."""
        regions, variant = pages.variant.regions, pages.variant
        with self._lock:
            covered = regions.covering(place)
            if covered is not None and not self._translates_all and self._waits(place, covered, pages):
                self._see_again(place.entry, variant)
                return
            variant.park(place.entry)
            if regions.serves(place, pages):
                return
            regions.note_request(place)
        self.counts.requested += 1
        flags = variant.mode.flags()
        if self._translates_all:
            found = self._compile_client().translate(place.pc, flags, Extent.STATIC, pages, name, rejected)
            self._take(place.pc, found, pages, name)
            return
        self._requested[place.pc] = pages, name, 0
        extent = Extent.PROFILED if covered is None else Extent.GLUE
        self._compile_client().request(place.pc, flags, extent, pages, name, rejected)

    def _waits(self, place: Place, covered: Place, pages: GuestPages) -> bool:
        """Whether a place in a region is not to have one of its own yet: the region that control comes from may take it
        in, or else control should soon reach it by an entry.
        """
        frequent = self._arrivals.frequent_in_a_row(place.entry, pages.heat(place.pc))
        is_passing = place.pc >= KERNEL_ADDRESSES and frequent < _STEADY
        if frequent and (is_passing or self._enlarge(place, pages)):
            return True
        regions = pages.variant.regions
        regions.covered[covered] += 1
        return regions.covered[covered] <= _COVERED_PATIENCE

    def _enlarge(self, place: Place, pages: GuestPages) -> bool:
        """Have the region that has been entered last translated once more, with what control goes to from there now,
        such as `place`, or wait until it has been; False if that is no use.
        """
        regions, seed = pages.variant.regions, self.vcpu.state.region_seed
        if seed in self._requested:
            return True
        entry = pages.entry(seed)
        if entry is None or (seed < KERNEL_ADDRESSES) != (place.pc < KERNEL_ADDRESSES):
            return False
        region = regions.made_for(Place(entry, seed), pages)
        if region is None or region.translation.generation == LAST_GENERATION:
            return False
        regions.note_request(Place(entry, seed))
        name = self._cache_name(seed, pages)
        self.counts.requested += 1
        known = region.translation
        generation = known.generation + 1
        self._requested[seed] = pages, name, generation
        flags = pages.variant.mode.flags()
        self._compile_client().request(seed, flags, Extent.MERGED, pages, name, known, generation)
        return True

    def _note_entry(self, entry: int, variant: CodeVariant) -> None:
        """A region is entered there now; see whether another one that control comes from should have its blocks."""
        if not self._translates_all:
            self._see_again(entry, variant)

    def _see_again(self, entry: int, variant: CodeVariant) -> None:
        """Whether an address gets hot once more, and how fast."""
        variant.cool(entry)
        self._arrivals.count_anew(entry)

    def install_ready(self) -> None:
        """Install what has been compiled since the last call."""
        if not self._ready or self._client is None:
            return
        self._ready = False
        self.failures = self._client.failures
        self.counts.compiled = self._client.compiled
        for seed, translation in self._client.take():
            self._take(seed, translation, *self._requested.pop(seed))

    def _take_larger(
        self, seed: int, translation: Translation | None, pages: GuestPages, name: str, generation: int
    ) -> None:
        """What has become of a region that has been translated once more, if anything: it is not tried for ever."""
        if translation is not None:
            self._installer.install(translation, seed, pages)
        entry, regions = pages.entry(seed), pages.variant.regions
        if entry is None:
            return
        with self._lock:
            place = Place(entry, seed)
            regions.note_answer(place)
            region = regions.made_for(place, pages)
            if region is not None:
                region.note_generation(generation)
                self._cache.store(name, region.translation.to_bytes())

    def _take(
        self, seed: int, translation: Translation | None, pages: GuestPages, name: str, generation: int = 0
    ) -> None:
        """What has become of a request. Also what comes too late is kept: the next run may have it in time."""
        if generation:
            self._take_larger(seed, translation, pages, name, generation)
            return
        if translation is not None:
            self._cache.store(name, translation.to_bytes())
        entry, regions = pages.entry(seed), pages.variant.regions
        if entry is None:
            return
        place = Place(entry, seed)
        if translation is None:
            with self._lock:
                if regions.covering(place) is not None and not self._translates_all:
                    # It was left out for that; it may get hot all the same.
                    regions.note_answer(place)
                    self._see_again(entry, pages.variant)
        elif not self._installer.install(translation, seed, pages):
            self.counts.outdated += 1
            with self._lock:
                regions.note_answer(place)
                pages.variant.cool(entry)

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
        """User code may be found at another address next time, in the same place of its page."""
        place = seed if seed >= KERNEL_ADDRESSES else seed & MACHINE_PAGE_SIZE - 1
        digest = hashlib.blake2b(digest_size=16)
        digest.update(f"{place:x} {pages.variant.mode.key()} {self._translates_all} ".encode())
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
