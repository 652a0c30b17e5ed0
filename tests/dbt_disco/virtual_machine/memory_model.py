"""Random sequences of all that changes memory, on several virtual machines, against a naive model of them.

The model of a virtual machine is two byte arrays, its memory and its disk; one virtual machine's disk is an overlay,
and outlives it. After every step the auditor must agree; what a virtual machine reads, by loads of its vCPU, by
executing a page, by DMA or from its disk, must be what the model has.
"""

from __future__ import annotations

import ctypes
import random
import tempfile
from collections.abc import Callable
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from typing import Any, Final

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from dbt_disco.disks.block_backend import SECTOR_SIZE
from dbt_disco.disks.drive import Drive, SharingMode
from dbt_disco.disks.sector_cache import SectorCache
from runtime.system.auditor import Tenant, audit
from runtime.system.content_sharing import ContentSharing, Match
from runtime.system.machine_memory import MachineMemory, OutOfMachineMemory
from runtime.system.page_moves import PageMoves
from runtime.system.page_placement import PagePlacement
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.placement_policy import Decision, Migrate, PageUse, Replicate
from tests.dbt_disco.virtual_machine.modelled_guest import (
    HYPCALL,
    LOAD,
    MEMORY_PAGES,
    PAGE,
    SEGMENTS,
    STORE,
    STORE_BYTE,
    STORE_HALF,
    STORE_LEFT,
    Guest,
    code,
)
from translator.state import Stop

MACHINE_PAGES: Final = 160
"""Fewer than three virtual machines and the disk can use."""
NODES: Final = 2
GUESTS: Final = 4
KEEPS: Final = 3
"""The virtual machine whose disk is an overlay: the next of that number finds what this one has written."""
MOVES: Final = 3
"""Pages of each virtual machine that move at random before each step, if they can."""
PRESSURE: Final = 24
"""Pages taken away or given back at once."""
DISK_PAGES: Final = 40
SECTORS: Final = DISK_PAGES * 8 + 5
_NOWHERE: Final = 0xBF10_0000
"""Where there is no memory to execute."""

_guests = st.sampled_from([0, 0, 0, 1, 1, 2, 3])
_pages = st.one_of(st.integers(0, 3), st.integers(0, 7), st.integers(0, MEMORY_PAGES - 1))
_lengths = st.one_of(st.sampled_from([1, 4, 512, PAGE, 3 * PAGE]), st.integers(1, 3 * PAGE))
_addresses = st.builds(lambda page, offset: page * PAGE + offset, _pages, st.integers(0, PAGE - 1))
_words = st.builds(lambda page, word: page * PAGE + 4 * word, _pages, st.sampled_from([0, 1, 2, 600, 1023]))
_sectors = st.one_of(st.sampled_from([0, 8, 16, 24, 63, 71, 72]), st.integers(0, SECTORS - 1))
_counts = st.one_of(st.sampled_from([8, 16, 64]), st.integers(1, 70))
_seeds = st.integers(0, 1 << 30)


def image_contents() -> bytes:
    """Each page of the disk begins with code that gives its number; the rest is random."""
    contents = bytearray(random.Random(1).randbytes(SECTORS * SECTOR_SIZE))
    for page in range(DISK_PAGES):
        contents[page * PAGE : page * PAGE + 8] = code(page + 1)
    return bytes(contents)


class MovesAll:
    """A policy that moves each page it sees, if it can be moved at all."""

    trigger = 1

    def __init__(self) -> None:
        self._random: Final = random.Random(0)

    def decide(self, page: PageUse) -> Decision:
        others = [node for node in range(NODES) if node != page.node]
        if page.may_be_stored_to or (not page.is_shared and self._random.randrange(2)):
            return Migrate(self._random.choice(others))
        return Replicate((*others, page.node))


class MemoryModel(RuleBasedStateMachine):
    """All virtual machines have the same disk, and more memory than there is."""

    @initialize()
    def begin(self) -> None:
        self.directory = tempfile.TemporaryDirectory()
        self.image = Path(self.directory.name) / "image"
        self.image.write_bytes(image_contents())
        self.machine = MachineMemory(MACHINE_PAGES * PAGE, NODES, shares_code=True)
        self.cache = SectorCache(self.machine)
        self.guests: list[Guest | None] = [None] * GUESTS
        self.kept_disk = bytearray(image_contents())
        self.ballast: list[int] = []
        self.moves = PageMoves(self.machine, self._memories)
        self.placement = PagePlacement(self.machine, self.moves, self._memories, MovesAll())
        self.sharing = ContentSharing(self.machine)
        self.matches: list[Match] = []
        self.random = random.Random(0)

    def teardown(self) -> None:
        if not hasattr(self, "machine"):
            return
        for number in range(GUESTS):
            self._kill(number)
        self.check()
        self.moves.sweep()
        self.check()
        for page in self.ballast:
            self.machine.release(page)
        assert self.machine.allocated == sum(file.pages for file in self.cache.files())
        self.machine.close()
        self.directory.cleanup()

    @invariant()
    def check(self) -> None:
        """The auditor agrees."""
        if not hasattr(self, "machine"):
            return
        held = [
            *self.cache.held(),
            self.moves.held(),
            (ctypes.c_uint32 * len(self.ballast))(*(page + 1 for page in self.ballast)),
        ]
        audit(
            self.machine,
            [Tenant(guest.memory, guest.vcpu.tables) for guest in self.guests if guest is not None],
            held,
        )

    def _memories(self) -> dict[int, PhysicalMemory]:
        return {guest.memory.number: guest.memory for guest in self.guests if guest is not None}

    def _move_pages(self) -> None:
        """By what has been sampled, under a policy that moves all, and at random."""
        self.placement.step(lambda numbers: nullcontext())
        for guest in self.guests:
            if guest is not None:
                guest.sampling.age()
        for memory in self._memories().values():
            for _ in range(MOVES):
                page = self.random.randrange(MEMORY_PAGES)
                if memory.pmap[page]:
                    machine_page = memory.machine_page(page)
                    self.moves.migrate(machine_page, self.random.randrange(NODES))
                    self.moves.replicate(memory.machine_page(page), memory.node)
        if not self.random.randrange(8):
            self.placement.halve()
            self.placement.forget_moves()
            self.moves.sweep()

    def _kill(self, number: int) -> None:
        guest = self.guests[number]
        if guest is not None:
            guest.close()
            self.guests[number] = None

    def _with(self, number: int, action: Callable[[Guest], object]) -> None:
        """Do something with a virtual machine, which starts if it is not there, and dies if it gets no memory."""
        guest = self.guests[number]
        try:
            if guest is None:
                guest = self.guests[number] = self._new_guest(number)
                guest.start()
            self._move_pages()
            action(guest)
        except OutOfMachineMemory:
            self._kill(number)

    def _new_guest(self, number: int) -> Guest:
        drive, expected = Drive(self.image), bytearray(image_contents())
        if number == KEEPS:
            overlay = Path(self.directory.name) / "overlay"
            drive, expected = Drive(self.image, SharingMode.OVERLAY, overlay), self.kept_disk
        return Guest(self.machine, self.cache, drive, number % NODES, expected)

    @rule(
        number=_guests, address=_words, segment=st.sampled_from(SEGMENTS), value=st.integers(0, 0xFFFF_FFFF)
    )
    def store(self, number: int, address: int, segment: int, value: int) -> None:
        """By the vCPU."""

        def act(guest: Guest) -> None:
            guest.access(STORE, address, segment, value)
            guest.expected[address : address + 4] = value.to_bytes(4, "little")

        self._with(number, act)

    @rule(
        number=_guests,
        address=_addresses,
        kind=st.sampled_from([STORE_HALF, STORE_BYTE, STORE_LEFT]),
        segment=st.sampled_from(SEGMENTS),
        value=st.integers(0, 0xFFFF_FFFF),
    )
    def store_part(self, number: int, address: int, kind: int, segment: int, value: int) -> None:
        """Less than a word, anywhere; by `swl` as many bytes as there are in the word up to the address."""

        def act(guest: Guest) -> None:
            data = value.to_bytes(4, "little")
            at, stored = address, data[:1]
            if kind == STORE_HALF:
                at, stored = address & ~1, data[:2]
            elif kind == STORE_LEFT:
                at, stored = address & ~3, data[3 - address % 4 :]
            guest.access(kind, at if kind == STORE_HALF else address, segment, value)
            guest.expected[at : at + len(stored)] = stored

        self._with(number, act)

    @rule(
        number=_guests,
        sector=st.sampled_from([0, 8, 16, 24]),
        page=_pages,
        stores=st.lists(st.tuples(st.integers(0, 3), st.sampled_from(SEGMENTS), st.booleans()), max_size=6),
    )
    def store_to_disk_pages(
        self, number: int, sector: int, page: int, stores: list[tuple[int, int, bool]]
    ) -> None:
        """Some pages are read from the disk, executed, or loaded from and stored to, and looked at again."""

        def act(guest: Guest) -> None:
            first = min(page, MEMORY_PAGES - 4)
            assert guest.deliver is not None
            guest.deliver(sector, [(first * PAGE, 4 * PAGE)])
            position = sector * SECTOR_SIZE
            guest.expected[first * PAGE : (first + 4) * PAGE] = guest.expected_disk[
                position : position + 4 * PAGE
            ]
            for beside, segment, executes in stores:
                address = (first + beside) * PAGE + 16
                if executes:
                    self._execute(guest, first + beside, segment)
                    continue
                value = guest.access(LOAD, address, segment) + 1 & 0xFFFF_FFFF
                guest.access(STORE, address, segment, value)
                expected = int.from_bytes(guest.expected[address : address + 4], "little") + 1
                guest.expected[address : address + 4] = (expected & 0xFFFF_FFFF).to_bytes(4, "little")
            self._compare_all(guest)

        self._with(number, act)

    @rule(number=_guests, address=_words, segment=st.sampled_from(SEGMENTS))
    def load(self, number: int, address: int, segment: int) -> None:
        """By the vCPU."""

        def act(guest: Guest) -> None:
            got = guest.access(LOAD, address, segment)
            assert got == int.from_bytes(guest.expected[address : address + 4], "little")

        self._with(number, act)

    @rule(number=_guests, page=_pages, segment=st.sampled_from(SEGMENTS), immediate=st.integers(1, 1000))
    def store_code(self, number: int, page: int, segment: int, immediate: int) -> None:
        """The vCPU makes code of what is on a page, and executes it, and makes other code of it."""

        def act(guest: Guest) -> None:
            for value in (immediate, immediate + 1):
                contents = code(value)
                for offset in (0, 4):
                    word = int.from_bytes(contents[offset : offset + 4], "little")
                    guest.access(STORE, page * PAGE + offset, segment, word)
                guest.expected[page * PAGE : page * PAGE + 8] = contents
                self._execute(guest, page, segment)

        self._with(number, act)

    @rule(
        numbers=st.lists(_guests, min_size=2, max_size=3),
        page=_pages,
        segment=st.sampled_from(SEGMENTS),
        differences=st.tuples(*[st.integers(0, 1)] * 3),
    )
    def run_the_same_text(
        self, numbers: list[int], page: int, segment: int, differences: tuple[int, ...]
    ) -> None:
        """One after the other, they have almost the same code on two pages from the disk, and execute it."""

        def act(guest: Guest, difference: int) -> None:
            first = min(page, MEMORY_PAGES - 2)
            assert guest.deliver is not None
            guest.deliver(0, [(first * PAGE, 2 * PAGE)])
            guest.expected[first * PAGE : (first + 2) * PAGE] = guest.expected_disk[: 2 * PAGE]
            contents = [code(7), code(8 + difference)]
            for beside, text in enumerate(contents):
                at = (first + beside) * PAGE
                for offset in (0, 4):
                    guest.access(
                        STORE, at + offset, segment, int.from_bytes(text[offset : offset + 4], "little")
                    )
                guest.expected[at : at + len(text)] = text
            for beside in (0, 1):
                self._execute(guest, first + beside, segment)

        for number, difference in zip(numbers, differences, strict=False):
            self._with(number, partial(act, difference=difference))

    @rule(number=_guests, page=_pages, segment=st.sampled_from(SEGMENTS))
    def execute(self, number: int, page: int, segment: int) -> None:
        """A page, if there is code at its beginning."""
        self._with(number, lambda guest: self._execute(guest, page, segment))

    def _execute(self, guest: Guest, page: int, segment: int) -> None:
        word = int.from_bytes(guest.expected[page * PAGE : page * PAGE + 4], "little")
        if word >> 16 == 0x240A and guest.expected[page * PAGE + 4 : page * PAGE + 8] == HYPCALL:
            guest.run(segment | page * PAGE)
            assert guest.vcpu.state.gpr[10] == word & 0xFFFF

    @rule(number=_guests, address=_addresses, length=_lengths, seed=_seeds)
    def dma_write(self, number: int, address: int, length: int, seed: int) -> None:
        """A device stores to memory."""

        def act(guest: Guest) -> None:
            data = random.Random(seed).randbytes(min(length, len(guest.expected) - address))
            guest.memory.write(address, data)
            guest.expected[address : address + len(data)] = data

        self._with(number, act)

    @rule(number=_guests, address=_addresses, length=_lengths)
    def dma_read(self, number: int, address: int, length: int) -> None:
        """A device reads memory."""

        def act(guest: Guest) -> None:
            end = min(address + length, len(guest.expected))
            assert guest.memory.read(address, end - address) == guest.expected[address:end]

        self._with(number, act)

    @rule(number=_guests)
    def read_all(self, number: int) -> None:
        """All memory."""
        self._with(number, lambda guest: self._compare_all(guest))

    def _compare_all(self, guest: Guest) -> None:
        assert guest.memory.read(0, len(guest.expected)) == guest.expected

    @rule(
        number=_guests,
        sector=_sectors,
        count=_counts,
        page=_pages,
        offset=st.one_of(st.sampled_from([0, 0, 0, 512, 3584]), st.integers(0, PAGE - 1)),
        cuts=st.lists(st.integers(1, 20), max_size=3),
        gap=st.integers(0, 2),
    )
    def disk_to_memory(
        self, number: int, sector: int, count: int, page: int, offset: int, cuts: list[int], gap: int
    ) -> None:
        """What is read from the disk goes to buffers, with gaps of some pages between them."""

        def act(guest: Guest) -> None:
            buffers: list[tuple[int, int]] = []
            at, left = page * PAGE + offset, min(count, SECTORS - sector)
            for size in [*cuts, left]:
                size = min(size, left, (len(guest.expected) - at) // SECTOR_SIZE)
                if size <= 0:
                    break
                buffers.append((at, size * SECTOR_SIZE))
                at += size * SECTOR_SIZE + gap * PAGE
                left -= size
            if not buffers:
                return
            assert guest.deliver is not None
            guest.deliver(sector, buffers)
            position = sector * SECTOR_SIZE
            for address, length in buffers:
                guest.expected[address : address + length] = guest.expected_disk[position : position + length]
                position += length

        self._with(number, act)

    @rule(number=_guests, sector=_sectors, count=_counts, seed=st.none() | _seeds)
    def change_disk(self, number: int, sector: int, count: int, seed: int | None) -> None:
        """Write sectors, or discard them."""

        def act(guest: Guest) -> None:
            length = min(count, SECTORS - sector) * SECTOR_SIZE
            data = bytes(length) if seed is None else random.Random(seed).randbytes(length)
            if seed is None:
                guest.disk.discard(sector, length // SECTOR_SIZE)
            else:
                guest.disk.write(sector, data)
            guest.expected_disk[sector * SECTOR_SIZE : sector * SECTOR_SIZE + length] = data

        self._with(number, act)

    @rule(number=_guests, sector=_sectors, count=_counts)
    def read_disk(self, number: int, sector: int, count: int) -> None:
        """Sectors, not into memory."""

        def act(guest: Guest) -> None:
            end = min(sector + count, SECTORS)
            expected = guest.expected_disk[sector * SECTOR_SIZE : end * SECTOR_SIZE]
            assert guest.disk.read(sector, end - sector) == expected

        self._with(number, act)

    @rule(number=_guests, page=_pages, count=st.integers(1, MEMORY_PAGES))
    def release(self, number: int, page: int, count: int) -> None:
        """The balloon gives pages back."""

        def act(guest: Guest) -> None:
            guest.memory.release(page * PAGE, min(count, MEMORY_PAGES - page) * PAGE)
            end = min(page + count, MEMORY_PAGES) * PAGE
            guest.expected[page * PAGE : end] = bytes(end - page * PAGE)

        self._with(number, act)

    @rule(number=_guests)
    def die(self, number: int) -> None:
        """The virtual machine comes to its end; the next one with this number is another one."""
        self._kill(number)

    @rule(number=_guests, address=_addresses, seed=_seeds)
    def crash(self, number: int, address: int, seed: int) -> None:
        """The guest executes what is no memory, with whatever in its memory, and is not buried at once."""

        def act(guest: Guest) -> None:
            data = random.Random(seed).randbytes(min(PAGE, len(guest.expected) - address))
            guest.memory.write(address, data)
            guest.run(_NOWHERE, until=Stop.FETCH_ELSEWHERE)
            self.check()
            self._kill(number)

        self._with(number, act)

    @rule(number=_guests, page=_pages, sector=_sectors, left=st.integers(0, 6), seed=st.none() | _seeds)
    def starve(self, number: int, page: int, sector: int, left: int, seed: int | None) -> None:
        """The machine's memory ends while a device stores to, or delivers to, more pages than are left."""
        taken: list[int] = []
        try:
            while True:
                taken.append(self.machine.allocate())
        except OutOfMachineMemory:
            pass
        for _ in range(min(left, len(taken))):
            self.machine.release(taken.pop())
        self.ballast += taken

        def act(guest: Guest) -> None:
            length = min(12, MEMORY_PAGES - page) * PAGE - 2 * SECTOR_SIZE
            at, position = page * PAGE + SECTOR_SIZE, sector * SECTOR_SIZE
            if seed is None:
                length = min(length, (SECTORS - sector) * SECTOR_SIZE)
                assert guest.deliver is not None
                guest.deliver(sector, [(at, length)])
                guest.expected[at : at + length] = guest.expected_disk[position : position + length]
            else:
                data = random.Random(seed).randbytes(length)
                guest.memory.write(at, data)
                guest.expected[at : at + length] = data

        self._with(number, act)
        self.check()
        del self.ballast[len(self.ballast) - len(taken) :]
        for machine_page in taken:
            self.machine.release(machine_page)

    @rule()
    def look(self) -> None:
        """What is equal, and has not changed since the last look, is noted."""
        self.matches = self.sharing.look(self._memories().values())

    @rule(all_at_once=st.booleans())
    def share(self, all_at_once: bool) -> None:
        """What was equal then, and still is, becomes one page."""
        memories = set(self._memories().values())
        self.matches = [match for match in self.matches if match.memories <= memories]
        before = self.machine.allocated
        freed = self.sharing.join(self.matches, 1 << 62 if all_at_once else 0)
        assert self.machine.allocated == before - freed

    @rule(number=_guests, node=st.integers(0, NODES - 1))
    def move(self, number: int, node: int) -> None:
        """The vCPU goes to another node."""

        def act(guest: Guest) -> None:
            guest.memory.node = node
            guest.sampling.runs_on(node)

        self._with(number, act)

    @rule(count=st.integers(1, PRESSURE))
    def press(self, count: int) -> None:
        """Memory gets scarce."""
        try:
            for _ in range(count):
                self.ballast.append(self.machine.allocate())
        except OutOfMachineMemory:
            pass

    @rule(count=st.integers(1, PRESSURE))
    def relieve(self, count: int) -> None:
        """There is more again."""
        for _ in range(min(count, len(self.ballast))):
            self.machine.release(self.ballast.pop())


def run_model(settings: Any) -> None:
    """Random sequences, as many as the settings say."""
    from hypothesis.stateful import run_state_machine_as_test

    run_state_machine_as_test(MemoryModel, settings=settings)
