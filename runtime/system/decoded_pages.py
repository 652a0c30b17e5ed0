"""The code in machine pages: which pages hold some, and everything that is derived from them, for all virtual machines.

What is derived – predecoded entries, regions – is kept by *variants* (`code_variant.py`), since it names handlers of
one engine. A virtual machine that maps a page that another one has run finds its code decoded and translated. Nobody
can store to a page that several have mapped, so that what one decodes of it is right for all; a page with one user is
run by that one only.

A page that code runs in is *frozen* if virtual machines are to share code: mapped read-only though it has one user, and
known by its contents, so that the next virtual machine that runs the same code gets this page instead of its own.
Linux patches its text after it has been loaded, the same way in every virtual machine.

What changes anything here does so under the machine memory's lock.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from threading import RLock
from typing import TYPE_CHECKING, Final

from runtime.decoded_words import DecodedWords
from runtime.disk_cache import DiskCache
from runtime.flat_array import words_in_use, zeros
from runtime.system.code_variant import CodeVariant, Runner, VariantKey
from translator.system.memory_map import PLACE_SHIFT
from translator.system.views import MACHINE_CODE, MACHINE_REGIONS, MACHINE_WAS_DATA

if TYPE_CHECKING:
    from runtime.native_code import NativeCode

_FIRST_BUDGET: Final = 64
_LARGEST_BUDGET: Final = 0xFFFF
_MOST_TIMES: Final = 8


class DecodedPages:
    """Flags and history of every machine page, by its number, and the variants of what is derived from them."""

    def __init__(self, pages: int, lock: RLock) -> None:
        """`lock` is the machine memory's."""
        self._pages: Final = pages
        self._lock: Final = lock
        self.flags: Final = zeros(ctypes.c_uint8, pages)
        """MACHINE_CODE, _REGIONS and _WAS_DATA of every page; if any is set, `forget_page` when it goes."""
        self.store_budgets: Final = zeros(ctypes.c_uint16, pages)
        """How many more stores to a page's code are done one by one before the page is taken for data."""
        self.runners: Final[list[Runner]] = []
        """The vCPUs of the machine."""
        self._times_data: dict[int, int] = {}
        self._variants: Final[dict[VariantKey, CodeVariant]] = {}
        self._words: Final[dict[tuple[object, ...], DecodedWords]] = {}
        self._frozen: Final[dict[int, int]] = {}
        """Hash of contents → a frozen page that has them."""
        self._hashes: Final[dict[int, int]] = {}
        """The other way round."""
        self.frozen_at: Final = zeros(ctypes.c_uint32, 1 << PLACE_SHIFT)
        """By physical page: the number + 1 of a page that was frozen there in some virtual machine, and still is; or 0.
        Where one virtual machine has code, others of the same kernel have it, too. A later one does not take its place:
        that may be what all of them come to.
        """
        self._frames: Final[dict[int, int]] = {}
        """The other way round."""

    def close(self) -> None:
        """Give everything back to the host; no vCPU may be left."""
        for variant in self._variants.values():
            variant.close()
        for words in self._words.values():
            words.close()

    # Variants.

    def variant(self, key: VariantKey, native: NativeCode) -> CodeVariant:
        """What is derived in one way, by vCPUs of this native code."""
        with self._lock:
            if key not in self._variants:
                self._variants[key] = CodeVariant(key, native, self._pages, self)
            return self._variants[key]

    def variants(self) -> Iterator[CodeVariant]:
        """All there are."""
        return iter(self._variants.values())

    def words(self, key: VariantKey, native: NativeCode, program_key: str) -> DecodedWords:
        """The decoded words of one program, for the entries of a variant."""
        name = (native, key.use_cache, key.wide_fpu, program_key)
        with self._lock:
            if name not in self._words:
                self._words[name] = DecodedWords(
                    native.handlers,
                    DiskCache(enabled=key.use_cache),
                    program_key,
                    wide_fpu=key.wide_fpu,
                    for_native_code=True,
                    privileged=True,
                )
            return self._words[name]

    def add_runner(self, runner: Runner) -> None:
        """A virtual machine begins its life."""
        with self._lock:
            self.runners.append(runner)
            for variant in self._variants.values():
                variant.begin_anew()

    # Pages.

    def times_data(self, page: int | None) -> int:
        """How often a page with code has turned out to be data."""
        return 0 if page is None else self._times_data.get(page, 0)

    def mark_code(self, page: int) -> None:
        """Code of the page may be decoded from now on; nobody may store to it without `forget_code`."""
        self.flags[page] |= MACHINE_CODE
        self.store_budgets[page] = min(_FIRST_BUDGET << 2 * self.times_data(page), _LARGEST_BUDGET)

    def begin(self, page: int, variant: CodeVariant) -> None:
        """The same for a variant. What is stored to a page natively is forgotten in one variant only, so that those of
        which several have entries have no budget.
        """
        if any(other.pages[page] for other in self._variants.values() if other is not variant):
            self.store_budgets[page] = 0
        variant.begin(page)

    def take_for_data(self, page: int) -> None:
        """A page has used up its budget: when it is code again, let it have a larger one."""
        self._times_data[page] = min(self.times_data(page) + 1, _MOST_TIMES)
        self.flags[page] |= MACHINE_WAS_DATA

    def copy(self, page: int, fresh: int, *, replaces: bool) -> None:
        """A page, which nobody executes now, has been copied to one that nobody uses yet, by those who will execute
        that: they find it decoded, and get its regions as soon as control comes by. Under the machine's lock.

        `replaces`: nobody will use the page any more.
        """
        if not self.flags[page] & MACHINE_CODE:
            return
        if page in self._times_data:
            self._times_data[fresh] = self._times_data[page]
        self.flags[fresh] |= self.flags[page] & MACHINE_WAS_DATA
        self.mark_code(fresh)
        if page in self._hashes:
            name = self._hashes[fresh] = self._hashes[page]
            if replaces:
                self._frozen[name] = fresh
                if page in self._frames:
                    self._frames[fresh] = frame = self._frames.pop(page)
                    self.frozen_at[frame] = fresh + 1
        for variant in self._variants.values():
            if variant.pages[page]:
                self.begin(fresh, variant)
                variant.copy(page, fresh)

    def forget_code(self, page: int) -> None:
        """Drop what is derived from a page: nobody executes it, and translations to its code are gone."""
        if self.flags[page] & MACHINE_CODE:
            for variant in self._variants.values():
                variant.forget(page)
            self.flags[page] &= ~MACHINE_CODE
            self.thaw(page)

    def forget_page(self, page: int) -> None:
        """Nobody uses the page any more; whoever gets it next has another one."""
        self.forget_code(page)
        self._times_data.pop(page, None)
        self.flags[page] = 0

    def note_regions(self, page: int) -> None:
        """A page has got regions, or has lost some."""
        if any(variant.regions.on_page(page) for variant in self._variants.values()):
            self.flags[page] |= MACHINE_REGIONS
        else:
            self.flags[page] &= ~MACHINE_REGIONS

    # Frozen pages.

    def freeze(self, page: int, contents: bytes, frame: int) -> None:
        """Nobody can store to a page any more that will hold code, and is mapped at a physical page."""
        self._hashes[page] = name = hash(contents)
        self._frozen[name] = page
        if not self.frozen_at[frame]:
            self.frozen_at[frame] = page + 1
            self._frames[page] = frame

    def thaw(self, page: int) -> None:
        """What a page holds may change, or somebody may store to it."""
        name = self._hashes.pop(page, None)
        if name is not None and self._frozen.get(name) == page:
            del self._frozen[name]
        frame = self._frames.pop(page, None)
        if frame is not None:
            self.frozen_at[frame] = 0

    def frozen_page(self, contents: bytes) -> int | None:
        """A frozen page that holds the same, to all appearances."""
        return self._frozen.get(hash(contents))

    def pages_with_history(self) -> Iterator[int]:
        """Those that have been taken for data, for the auditor."""
        return iter(self._times_data)

    def frozen_places(self) -> tuple[dict[int, int], dict[int, int]]:
        """Physical page → machine page, twice: what is in `frozen_at`, and what should be; for the auditor."""
        return (
            {frame: entry - 1 for frame, entry in words_in_use(self.frozen_at)},
            {frame: page for page, frame in self._frames.items()},
        )

    def frozen_pages(self) -> Iterator[int]:
        """All of them, for the auditor."""
        return iter(self._hashes)
