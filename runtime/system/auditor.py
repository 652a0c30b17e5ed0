"""The auditor: recomputes who uses which machine page, from scratch, and compares.

It believes the pmaps, and what caches say they hold; everything else – share counts, back maps, lists of free pages,
translation tables – must follow from them. No virtual machine may run meanwhile.
"""

from __future__ import annotations

import ctypes
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from runtime.flat_array import words_in_use
from runtime.system.code_variant import CodeVariant
from runtime.system.machine_memory import MachineMemory
from runtime.system.page_routines import EntryList
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.translation_tables import TranslationTables, slot_at
from translator.state import Access, CpuState
from translator.system.views import (
    ENTRIES_SHIFT,
    HALF_SHIFT,
    MACHINE_CODE,
    MACHINE_REGIONS,
    PMAP_WRITABLE,
    SPACES,
    TABLES,
    slot_number,
)

_OFFSET: Final = MACHINE_PAGE_SIZE - 1
_WORD: Final = 0xFFFF_FFFF_FFFF_FFFF
_SHOWN: Final = 20
"""Disagreements named in a message."""


class Disagreement(Exception):
    """What is kept of machine pages is not what it should be; `found` has a line for each."""

    def __init__(self, found: list[str]) -> None:
        more = [f"and {len(found) - _SHOWN} more"] if len(found) > _SHOWN else []
        super().__init__("\n".join(found[:_SHOWN] + more))
        self.found = found


@dataclass(frozen=True)
class Tenant:
    """A virtual machine: its memory, and the tables of its vCPU, if that has some."""

    memory: PhysicalMemory
    tables: TranslationTables | None = None


def audit(machine: MachineMemory, tenants: Sequence[Tenant], held: Iterable[EntryList] = ()) -> None:
    """Compare everything; `Disagreement` if anything is wrong. `held`: the pages that caches use, once each."""
    with machine.lock:
        found = list(_disagreements(machine, tenants, held))
    if found:
        raise Disagreement(found)


def _disagreements(
    machine: MachineMemory, tenants: Sequence[Tenant], held: Iterable[EntryList]
) -> Iterator[str]:
    places: dict[int, set[tuple[int, int]]] = {}
    for tenant in tenants:
        yield from _pmap(machine, tenant.memory, places)
    uses: Counter[int] = Counter(entry - 1 for entries in held for entry in entries if entry)
    for page, at in places.items():
        uses[page] += len(at)
    yield from _users(machine, places, uses)
    yield from _free_lists(machine)
    yield from _counts(machine)
    yield from _code(machine, uses)
    for tenant in tenants:
        yield from _writable(machine, tenant.memory, uses)
        yield from _frozen(machine, tenant.memory)
        if tenant.tables is not None:
            yield from _tables(machine, tenant.memory, tenant.tables)
            yield from _windows(tenant.memory, tenant.tables)


def _pmap(
    machine: MachineMemory, memory: PhysicalMemory, places: dict[int, set[tuple[int, int]]]
) -> Iterator[str]:
    """Collect where each page is mapped."""
    mapped = 0
    for frame, word in memory.mappings():
        mapped += 1
        page = machine.page_at(word & ~_OFFSET)
        if not memory.is_memory(frame):
            yield f"physical page {frame:#x} of {memory.number} is mapped, and no memory"
        elif not 0 <= page < machine.pages or word & _OFFSET & ~PMAP_WRITABLE:
            yield f"physical page {frame:#x} of {memory.number} is mapped to {word:#x}"
        else:
            places.setdefault(page, set()).add((memory.number, frame))
    if mapped != memory.mapped:
        yield f"{memory.number} has {mapped} pages mapped, and counts {memory.mapped}"


def _users(
    machine: MachineMemory, places: dict[int, set[tuple[int, int]]], uses: Counter[int]
) -> Iterator[str]:
    """Share counts and back maps."""
    for page, users in enumerate(machine.users):
        if users != uses[page]:
            yield f"machine page {page} has {uses[page]} users, and counts {users}"
        if not users:
            continue
        noted: list[tuple[int, int]] = []
        for place in machine.places(page):
            noted.append(place)
            if len(noted) > users:
                yield f"machine page {page}: its back map does not end"
                break
        if set(noted) != places.get(page, set()) or len(set(noted)) != len(noted):
            yield f"machine page {page} is mapped at {sorted(places.get(page, ()))}, its back map says {noted}"


def _counts(machine: MachineMemory) -> Iterator[str]:
    """Nothing is counted of pages that are free: whoever gets them would be moved by others' accesses."""
    for page in {*machine.counts.in_use()} if machine.counts is not None else ():
        if page >= machine.pages or not machine.users[page]:
            yield f"machine page {page} is free, and has accesses or moves"


def _free_lists(machine: MachineMemory) -> Iterator[str]:
    """Each page that nobody uses is on a list of its node, once, or has never been used."""
    all_dirty = 0
    for node in range(machine.nodes):
        first = node * machine.map.node_pages
        dirty, clean = machine.dirty_pages(node), machine.clean_pages(node)
        all_dirty += len(dirty)
        listed = Counter(dirty + clean)
        if len(dirty) + len(clean) != machine.map.free[node]:
            yield f"node {node} has {len(dirty)} + {len(clean)} free pages, and counts {machine.map.free[node]}"
        free = {p for p in range(first, first + machine.map.untouched[node]) if not machine.users[p]}
        if listed != Counter(free):
            wrong = sorted((listed - Counter(free)) + (Counter(free) - listed))
            yield f"node {node}: pages {wrong} are free and not listed, or listed and not free"
        zeros = bytes(MACHINE_PAGE_SIZE)
        for page in clean:
            if ctypes.string_at(machine.address(page), MACHINE_PAGE_SIZE) != zeros:
                yield f"machine page {page} is free and clean, and holds something"
    if all_dirty != machine.map.all_dirty:
        yield f"{all_dirty} pages are dirty, and {machine.map.all_dirty} are counted"


def _writable(machine: MachineMemory, memory: PhysicalMemory, uses: Counter[int]) -> Iterator[str]:
    """A page that a virtual machine may store to has no other user."""
    for frame in memory.frames():
        page = memory.machine_page(frame)
        if memory.pmap[frame] & PMAP_WRITABLE and uses[page] > 1:
            yield f"physical page {frame:#x} of {memory.number} is writable, and machine page {page} shared"


def _code(machine: MachineMemory, uses: Counter[int]) -> Iterator[str]:
    """Something is derived only from pages that are in use, and of frozen ones it is known what they hold."""
    decoded = machine.decoded
    if machine.map.buried:
        yield f"machine page {machine.map.buried - 1} is still buried"
    for page, flags in words_in_use(decoded.flags):
        if not uses[page]:
            yield f"there is code of machine page {page}, which nobody uses"
        has_regions = any(variant.regions.on_page(page) for variant in decoded.variants())
        if has_regions != bool(flags & MACHINE_REGIONS):
            yield f"machine page {page} has {'' if has_regions else 'no '}regions, and its flags are {flags}"
    for variant in decoded.variants():
        for page, _ in words_in_use(variant.pages):
            if not decoded.flags[page] & MACHINE_CODE:
                yield f"there are entries of machine page {page}, which has no code"
        for page in variant.regions.pages():
            if not variant.pages[page]:
                yield f"there are regions of machine page {page}, which has no entries"
        yield from _regions(machine, variant)
    for page in decoded.pages_with_history():
        if not decoded.flags[page]:
            yield f"machine page {page} has no code, and a history"
    places, expected = decoded.frozen_places()
    if places != expected:
        yield f"frozen pages are not where they should be: {sorted(places.items() ^ expected.items())}"
    for page in set(places.values()) - set(decoded.frozen_pages()):
        yield f"machine page {page} is not frozen, and said to be"
    for page in decoded.frozen_pages():
        if not decoded.flags[page] & MACHINE_CODE:
            yield f"machine page {page} is frozen, and has no code"


def _regions(machine: MachineMemory, variant: CodeVariant) -> Iterator[str]:
    """The entries that lead to a region are there, and are of its pages."""
    places = ((entry, region) for entry, chain in variant.regions.entered.items() for region in chain)
    for entry, region in places:
        page = entry - variant.entries_base >> ENTRIES_SHIFT
        if region not in variant.regions.on_page(page):
            yield f"an entry of machine page {page} leads to a region that is not of it"
        for start, code in region.translation.code:
            if start >> MACHINE_PAGE_SHIFT == (start + len(code) - 1) >> MACHINE_PAGE_SHIFT:
                held = {
                    ctypes.string_at(machine.address(at) + (start & _OFFSET), len(code))
                    for at in region.machine_pages
                }
                if code not in held:
                    yield f"the region at {region.translation.seed:#x} is of other code than its pages hold"


def _frozen(machine: MachineMemory, memory: PhysicalMemory) -> Iterator[str]:
    """Nobody may store to a frozen page."""
    frozen = set(machine.decoded.frozen_pages())
    for frame in memory.frames() if frozen else ():
        if memory.may_store(frame) and memory.machine_page(frame) in frozen:
            yield f"physical page {frame:#x} of {memory.number} is writable, and frozen"


def _tables(machine: MachineMemory, memory: PhysicalMemory, tables: TranslationTables) -> Iterator[str]:
    """Each slot is in the back map, of a physical page whose machine page it leads to, as far as it may."""
    frames: dict[int, list[int]] = {}
    for frame, slot in tables.records():
        frames.setdefault(slot, []).append(frame)
    for slot, value in tables.slots():
        half, kind = divmod(slot >> HALF_SHIFT, TABLES)
        page_number = slot & (1 << HALF_SHIFT) - 1 | (1 << HALF_SHIFT if half == SPACES else 0)
        virtual = page_number << MACHINE_PAGE_SHIFT
        name = f"{Access(kind).name.lower()} slot of {virtual:#x} in space {half} of {memory.number}"
        tell = _Slot(kind, value, virtual, tables.state)
        if not tables.is_noted(slot):
            yield f"{name} is not empty, and its block is said not to have been filled"
        if not any(_leads_to(machine, memory, frame, tell) for frame in frames.get(slot, ())):
            at = [f"{frame:#x}" for frame in frames.get(slot, ())]
            yield f"{name} leads to no physical page that it may lead to (noted for {', '.join(at) or 'none'})"


def _windows(memory: PhysicalMemory, tables: TranslationTables) -> Iterator[str]:
    """The host has in the windows what they are noted to hold, and that is no more than the slots say."""
    places, mapped = set(tables.windows.places()), set(tables.windows.mapped())
    for place in places ^ mapped:
        where = f"window page {place.page:#x} in space {place.space} of {memory.number}"
        yield f"{where}: " + ("nobody knows that it is there" if place in mapped else "it is not there")
    for place in places:
        kinds = (Access.STORE,) if place.is_writable else (Access.LOAD, Access.STORE)
        numbers = (slot_number(place.space, place.page, kind) for kind in kinds)
        wanted = place.host - (place.page << MACHINE_PAGE_SHIFT) & _WORD
        if all(slot_at(tables.state, number) != wanted for number in numbers):
            yield f"window page {place.page:#x} in space {place.space} of {memory.number}: it has no such slot"


@dataclass(frozen=True)
class _Slot:
    """A slot that is not empty."""

    kind: int
    value: int
    virtual: int
    state: CpuState


def _leads_to(machine: MachineMemory, memory: PhysicalMemory, frame: int, slot: _Slot) -> bool:
    """Whether a slot's value is right for a physical page."""
    word = memory.pmap[frame]
    if not word:
        return False
    page = machine.page_at(word & ~_OFFSET)
    if slot.kind == Access.FETCH:
        state = slot.state
        entries = state.page_entries_base + (page << ENTRIES_SHIFT)
        has_entries = ctypes.c_uint8.from_address(state.code_pages + page).value
        return bool(has_entries) and slot.value == entries - 4 * slot.virtual & _WORD
    has_code = bool(machine.decoded.flags[page] & MACHINE_CODE)
    may = slot.kind != Access.STORE or (bool(word & PMAP_WRITABLE) and not has_code)
    return may and slot.value == (word & ~_OFFSET) - slot.virtual & _WORD
