"""The translated regions of one vCPU: asked for when an address is hot, installed, dropped when their code changes."""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Final, Literal

from runtime.address_space import EXEC, PAGE_SHIFT, PAGE_SIZE, WRITE, GuestFault
from runtime.arrivals import LAST_GENERATION, Arrivals
from runtime.code_arena import CodeArenaFull
from runtime.disk_cache import DiskCache
from runtime.object_loader import LoadedObject, ObjectError, load_object
from translator.predecode import ENTRY_SIZE
from translator.translation import Mode, Translation
from translator.worker_messages import BEGINS_BLOCK, ENTERS_REGION, Extent

if TYPE_CHECKING:
    from runtime.compile_client import CompileClient
    from runtime.vcpu import Vcpu

_COVERED_PATIENCE: Final = 8
"""How often an address within a region must get hot in tier 0 before it gets a region of its own."""
_KEY_CODE: Final = 64
"""Bytes of code at the hot address that name a translation in the disk cache."""


@dataclass(eq=False)
class InstalledRegion:
    """A translation in the code arena."""

    translation: Translation
    loaded: LoadedObject
    originals: dict[int, int] = field(default_factory=dict)
    """Entry address → the tier-0 handler offset that the region's entry replaced."""

    def pages(self) -> set[int]:
        """Numbers of the guest pages its code lies in."""
        return {
            page
            for start, code in self.translation.code
            for page in range(start >> PAGE_SHIFT, (start + len(code) - 1 >> PAGE_SHIFT) + 1)
        }


@dataclass
class TranslationCounts:
    """For `--stats`."""

    requested: int = 0
    compiled: int = 0
    installed: int = 0
    from_cache: int = 0
    invalidated: int = 0
    stepped: int = 0
    """Instructions that the translator engine had to leave to tier 0."""
    outdated: int = 0
    """Came back from the compiler when the guest had already changed the code or the mode."""
    code_bytes: int = 0
    instructions: int = 0


class Translations:
    """Regions by entry address, by page, and by place in the arena."""

    def __init__(
        self,
        vcpu: Vcpu,
        engine: Literal["interpreter", "translator", "auto"],
        cache: DiskCache,
        *,
        count_instructions: bool,
    ) -> None:
        self._vcpu = vcpu
        self._enabled = engine == "auto"
        self.translates_all = engine == "translator"
        """Every block is translated before it first runs."""
        self._cache = cache
        self._count_instructions = count_instructions
        self.counts = TranslationCounts()
        self.failures: list[str] = []
        self._requested: set[int] = set()
        self._avoided: frozenset[int] = frozenset()
        self._set_aside: dict[int, Translation] = {}
        """By seed: not installed, as they contain addresses to be avoided."""
        self._by_entry: dict[int, InstalledRegion] = {}
        self._arrivals: Final = Arrivals()
        self._enlarging: dict[int, tuple[int, set[int]]] = {}
        """Seeds of regions that are being translated once more → their next generation, and what they are left for."""
        self._covered: dict[int, int] = {}
        """Block addresses within regions → how often they got hot all the same."""
        self._by_page: dict[int, list[InstalledRegion]] = {}
        self._by_offset: list[tuple[int, InstalledRegion]] = []
        self._client: CompileClient | None = None
        self._suspended = False
        self._ready = False

    def close(self) -> None:
        """End the compile worker."""
        if self._client is not None:
            self._client.close()
            self._client.service.close()

    @property
    def worker_seconds(self) -> float:
        """Processor time of the compile worker."""
        return 0.0 if self._client is None else self._client.service.worker_seconds

    def __contains__(self, pc: int) -> bool:
        """Whether a region can be entered at `pc`."""
        return pc in self._by_entry

    # Requests.

    def mode(self) -> Mode:
        """What translations made now depend on."""
        return Mode(
            big_endian=self._vcpu.big_endian,
            wide_fpu=self._vcpu.wide_fpu,
            float_checked=bool(self._vcpu.state.float_checked),
            count_instructions=self._count_instructions,
            precise=self._vcpu.precise_faults,
        )

    def hot(self, seed: int) -> None:
        """Have the region at `seed` translated, unless that is under way or done."""
        if not self._enabled or seed in self._requested or seed in self._by_entry:
            return
        if self._suspended:
            self._see_again(seed)
            return
        times = self._covered.get(seed)
        if times is not None and self._arrivals.are_frequent(seed, self.heat(seed)) and self._enlarge(seed):
            return
        if times is not None and times < _COVERED_PATIENCE:
            # It lies within a region, which control should soon reach by an entry: see whether it gets hot again.
            self._covered[seed] = times + 1
            self._see_again(seed)
            return
        self._requested.add(seed)
        self.counts.requested += 1
        cached = self._from_cache(seed)
        if cached is not None and self._install(cached):
            self.counts.from_cache += 1
            return
        extent = Extent.PROFILED if times is None else Extent.GLUE
        self._compile_client().request(seed, self.mode().flags(), extent)

    def _enlarge(self, target: int) -> bool:
        """Have the region that has been entered last translated once more, with what control goes to from there now,
        such as `target`, or wait until it has been; False if that is no use.
        """
        seed = self._vcpu.state.region_seed
        if seed in self._enlarging:
            self._enlarging[seed][1].add(target)
            return True
        region = self._by_entry.get(seed)
        if region is None or region.translation.seed != seed:
            return False
        known = region.translation
        if known.generation == LAST_GENERATION:
            return False
        self._enlarging[seed] = known.generation + 1, {target}
        self.counts.requested += 1
        flags = self.mode().flags()
        self._compile_client().request(seed, flags, Extent.MERGED, generation=known.generation + 1)
        return True

    def _take_larger(self, seed: int, translation: Translation | None) -> None:
        """What has become of a region that has been translated once more, if anything: it is not tried for ever."""
        generation, targets = self._enlarging.pop(seed)
        if translation is not None:
            self._install(translation)
        region = self._by_entry.get(seed)
        if region is not None and region.translation.seed == seed:
            generation = max(generation, region.translation.generation)
            region.translation = replace(region.translation, generation=generation)
            self._cache.store(self._cache_name(seed), region.translation.to_bytes())
        for target in targets:
            self._see_again(target)

    def _see_again(self, seed: int) -> None:
        """Whether an address gets hot once more, and how fast."""
        self._vcpu.entries.reset_counter(seed)
        self._arrivals.count_anew(seed)

    def translate_now(self, seed: int) -> bool:
        """Translate and install the region at `seed` without a profile; False if there is none."""
        self.counts.requested += 1
        cached = self._from_cache(seed)
        if cached is not None and seed in cached.entries and self._install(cached):
            self.counts.from_cache += 1
            return seed in self._by_entry
        translation = self._compile_client().translate(seed, self.mode().flags(), Extent.STATIC)
        self._ready = False
        if translation is None:
            return False
        self._cache.store(self._cache_name(seed), translation.to_bytes())
        return self._install(translation) and seed in self._by_entry

    def install_ready(self) -> None:
        """Install what has been compiled since the last call."""
        if not self._ready or self._suspended or self._client is None:
            return
        self._ready = False
        self.failures = self._client.failures
        self.counts.compiled = self._client.compiled
        if self._client.service.is_dead:
            self._enabled = False
        for seed, translation in self._client.take():
            if seed in self._enlarging:
                self._take_larger(seed, translation)
            elif translation is None:
                if seed in self._covered:  # it was left out for that; it may get hot all the same
                    self._requested.discard(seed)
                    self._see_again(seed)
            elif self._install(translation):
                self._cache.store(self._cache_name(seed), translation.to_bytes())
            else:
                self.counts.outdated += 1
                self._requested.discard(seed)

    def prepare(self) -> None:
        """Do now what translating may later need of the host."""
        if self._enabled or self.translates_all:
            self._compile_client().service.start()

    def _compile_client(self) -> CompileClient:
        if self._client is None:
            from runtime.compile_client import CompileClient  # late: most short runs need none
            from runtime.compile_service import CompileService

            service = CompileService(self._vcpu.native.start_process)
            self._client = CompileClient(service, self, self._notify)
        return self._client

    def _notify(self) -> None:
        """Called in the compile thread: make the vCPU's thread come by."""
        self._ready = True
        self._vcpu.state.limit = 0

    @property
    def scope(self) -> int:
        """There is one address space."""
        return 0

    def code_page(self, number: int) -> tuple[bytes, bytes, bool, bytes] | None:
        """For the compile worker; see `compile_client.GuestCode`. Called in the compile thread."""
        space = self._vcpu.address_space
        if number >= 1 << 20 or not space.page_flags[number] & EXEC:
            return None
        try:
            code = space.read(number << PAGE_SHIFT, PAGE_SIZE)
        except GuestFault:  # unmapped meanwhile by the vCPU's thread
            return None
        counters = self._vcpu.entries.counters(number << PAGE_SHIFT, PAGE_SIZE // 4)
        first = number << PAGE_SHIFT
        regions = bytes(
            ENTERS_REGION * (pc in self._by_entry) | BEGINS_BLOCK * (pc in self._covered)
            for pc in range(first, first + PAGE_SIZE, 4)
        )
        return code, counters, bool(space.page_flags[number] & WRITE), regions

    def heat(self, pc: int) -> int:
        """For the compile worker; see `compile_client.GuestCode`."""
        return self._vcpu.entries.counter(pc)

    # The disk cache.

    def _cache_name(self, seed: int) -> str:
        digest = hashlib.blake2b(digest_size=16)
        digest.update(f"{seed:x} {self.mode().key()} {self.translates_all} ".encode())
        digest.update(self._readable_code(seed))
        return f"regions/{digest.hexdigest()}"

    def _readable_code(self, seed: int) -> bytes:
        end = min(seed + _KEY_CODE, (seed | PAGE_SIZE - 1) + 1)
        return self._vcpu.address_space.read(seed, end - seed)

    def _from_cache(self, seed: int) -> Translation | None:
        data = self._cache.load(self._cache_name(seed))
        if data is None:
            return None
        try:
            return Translation.from_bytes(data)
        except (ValueError, EOFError, TypeError):
            return None

    # Installing and dropping.

    def _install(self, translation: Translation) -> bool:
        """Put a translation to use; False if the guest's code is no longer what it was made from."""
        if any(translation.contains(pc) for pc in self._avoided):
            self._set_aside[translation.seed] = translation
            return True
        if translation.mode != self.mode().key() or not self._is_current(translation):
            return False
        if translation.merges and translation.seed in self._by_entry and not self._replaced_by(translation):
            return True  # it has nothing more in it
        native = self._vcpu.native
        try:
            loaded = load_object(translation.object_code, native.arena, native.handlers, translation.precise)
        except CodeArenaFull:
            self._drop_all()
            loaded = load_object(translation.object_code, native.arena, native.handlers, translation.precise)
        except ObjectError:
            return False
        for superfluous in self._replaced_by(translation):
            self._remove(superfluous)
        region = InstalledRegion(translation, loaded)
        space = self._vcpu.address_space
        for page in region.pages():
            space.mark_code(page)
            self._by_page.setdefault(page, []).append(region)
        for pc, symbol in translation.entries.items():
            if pc not in self._by_entry:
                self._by_entry[pc] = region
                region.originals[pc] = self._vcpu.entries.handler(pc)
                self._vcpu.entries.set_handler(pc, loaded.symbols[symbol])
        for pc in translation.blocks:
            self._covered.setdefault(pc, 0)
        self._by_offset.append((loaded.offset, region))
        self._by_offset.sort(key=lambda item: item[0])
        self.counts.installed += 1
        self.counts.code_bytes += loaded.size
        self.counts.instructions += translation.instructions
        return True

    def _is_current(self, translation: Translation) -> bool:
        space = self._vcpu.address_space
        for start, code in translation.code:
            pages = range(start >> PAGE_SHIFT, (start + len(code) - 1 >> PAGE_SHIFT) + 1)
            for page in pages:
                flags = space.page_flags[page]
                if not flags & EXEC or (flags & WRITE and not translation.precise):
                    return False
            if space.read(start, len(code)) != code:
                return False
        return True

    def _replaced_by(self, translation: Translation) -> list[InstalledRegion]:
        """Regions that one which merges makes superfluous: it has all their blocks, and is entered where they are."""
        if not translation.merges:
            return []
        blocks = frozenset(translation.blocks)
        within = {self._by_entry[pc] for pc in translation.entries if pc in self._by_entry}
        return [
            region
            for region in within
            if blocks > frozenset(region.translation.blocks)
            and translation.entries.keys() >= region.originals.keys()
        ]

    def _drop(self, region: InstalledRegion) -> None:
        if self._client is not None:
            self._client.forget_covered()
        self._remove(region)

    def _remove(self, region: InstalledRegion) -> None:
        for page in region.pages():
            self._by_page[page].remove(region)
        for pc, handler in region.originals.items():
            del self._by_entry[pc]
            self._vcpu.entries.set_handler(pc, handler)
            self._vcpu.entries.reset_counter(pc)
        self._requested.discard(region.translation.seed)
        for pc in region.translation.blocks:
            self._covered.pop(pc, None)
        self._by_offset = [item for item in self._by_offset if item[1] is not region]
        self._vcpu.native.arena.free(region.loaded.offset, region.loaded.size)
        self.counts.code_bytes -= region.loaded.size

    def avoid(self, addresses: frozenset[int]) -> None:
        """From now on have no region that contains one of these; those set aside before come back."""
        self._avoided = addresses
        for _, region in list(self._by_offset):
            if any(region.translation.contains(pc) for pc in addresses):
                self._drop(region)
                self._set_aside[region.translation.seed] = region.translation
        translations, self._set_aside = self._set_aside, {}
        for translation in translations.values():
            if not self._install(translation):
                self.counts.outdated += 1
            self._requested.add(translation.seed)

    def is_set_aside(self, seed: int) -> bool:
        """Whether there would be a region at `seed`, but for the addresses to be avoided."""
        return seed in self._set_aside

    def _drop_all(self) -> None:
        for _, region in list(self._by_offset):
            self._drop(region)

    def invalidate(self, first_page: int, last_page: int) -> None:
        """The code of these pages is about to change."""
        for page in range(first_page, last_page + 1):
            for region in list(self._by_page.get(page, ())):
                self._drop(region)
                self.counts.invalidated += 1
        self._requested = {pc for pc in self._requested if not first_page <= pc >> PAGE_SHIFT <= last_page}

    def mode_changed(self) -> None:
        """Translations of the old mode must not run any more."""
        self._drop_all()
        self._requested.clear()
        self._set_aside.clear()

    @contextmanager
    def suspended(self, first: int, last: int) -> Iterator[None]:
        """While this lasts, entries from `first` to `last` run in tier 0, instruction by instruction."""
        entries = self._vcpu.entries
        inside = [pc for pc in self._by_entry if first <= pc <= last]
        before = {pc: entries.handler(pc) for pc in inside}
        for pc in inside:
            entries.set_handler(pc, self._by_entry[pc].originals[pc])
        self._suspended = True
        try:
            yield
        finally:
            self._suspended = False
            for pc, handler in before.items():
                if pc in self._by_entry:
                    self._by_entry[pc].originals[pc] = entries.handler(pc)
                    entries.set_handler(pc, handler)

    # Faults.

    def recover_state(self, host_pc: int) -> bool:
        """Write the guest's registers, as they were at a host fault in a region, to the CPU state.

        False if the region cannot tell: pc is then that of its seed, and registers are some earlier ones.
        """
        offset = host_pc - self._vcpu.native.arena.base
        index = bisect_right(self._by_offset, offset, key=lambda item: item[0])
        if not index:
            raise RuntimeError(f"host fault at {host_pc:#x}, which is not generated code")
        region = self._by_offset[index - 1][1]
        if not region.translation.precise:
            self._vcpu.state.pc = region.translation.seed
            self._vcpu.state.in_delay_slot = 0
            return False
        state = self._vcpu.state
        point = region.translation.access_point(state.access_point)
        state.pc, state.in_delay_slot = point.pc, point.in_delay_slot
        if self._count_instructions:
            state.clock += ENTRY_SIZE * point.retired
            state.translated_clock += state.clock
        return True
