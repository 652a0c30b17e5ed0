"""Machine memory in nodes, and mapping runs of its pages: counts and back maps by the auditor, contents by hand."""

from __future__ import annotations

import ctypes
import errno
import os
import time
from collections.abc import Callable, Iterator

import pytest

from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.host_memory import collapse_memory
from runtime.system.auditor import Disagreement, Tenant, audit
from runtime.system.machine_memory import MachineMemory, OutOfMachineMemory, TooManyVirtualMachines
from runtime.system.page_routines import EntryList
from runtime.system.physical_memory import NotMemory, PhysicalMemory
from translator.system.memory_map import LARGE_PAGE_SIZE, LINK_SIZE, VIRTUAL_MACHINES_MAX

PAGE = MACHINE_PAGE_SIZE
NODE_PAGES = 64
PAGES = 2 * NODE_PAGES

MakeMemory = Callable[..., PhysicalMemory]


@pytest.fixture
def machine() -> Iterator[MachineMemory]:
    memory = MachineMemory(PAGES * PAGE, 2)
    yield memory
    memory.close()


@pytest.fixture
def make_memory(machine: MachineMemory) -> Iterator[MakeMemory]:
    """Makes memories of virtual machines, which are closed and audited at the end."""
    made: list[PhysicalMemory] = []

    def make(pages: int = 32, node: int = 0) -> PhysicalMemory:
        memory = PhysicalMemory(machine, [(0, pages * PAGE)])
        memory.node = node
        made.append(memory)
        return memory

    yield make
    for memory in made:
        memory.close()
    audit(machine, [])


def held(machine: MachineMemory, count: int) -> EntryList:
    """Pages of a cache, each filled with its position in the list + 1."""
    entries = (ctypes.c_uint32 * count)()
    machine.allocate_run(entries, zeroed=False)
    for number, entry in enumerate(entries):
        ctypes.memset(machine.address(entry - 1), number + 1, PAGE)
    return entries


def nodes_of(memory: PhysicalMemory) -> set[int]:
    return {memory.machine.node_of(memory.machine_page(frame)) for frame in memory.frames()}


def test_memory_is_taken_from_the_own_node_as_long_as_there_is_some(
    machine: MachineMemory, make_memory: MakeMemory
) -> None:
    one, other = make_memory(NODE_PAGES), make_memory(NODE_PAGES, node=1)
    for frame in range(16):
        one.touch(frame)
        other.touch(frame)
    assert (nodes_of(one), nodes_of(other)) == ({0}, {1})
    greedy = make_memory(NODE_PAGES, node=1)
    for frame in range(NODE_PAGES):
        greedy.touch(frame)
    assert nodes_of(greedy) == {0, 1}
    assert [machine.allocated_on(node) for node in range(2)] == [32, NODE_PAGES]
    audit(machine, [Tenant(one), Tenant(other), Tenant(greedy)])


def test_more_may_be_promised_than_there_is(machine: MachineMemory, make_memory: MakeMemory) -> None:
    memories = [make_memory(PAGES) for _ in range(3)]
    with pytest.raises(OutOfMachineMemory, match="0 MB on 2 nodes are all in use") as caught:
        for frame in range(PAGES):
            for memory in memories:
                memory.touch(frame)
    assert caught.value.errno == errno.ENOMEM
    assert machine.allocated == PAGES
    audit(machine, [Tenant(memory) for memory in memories])
    memories[0].release(0, PAGES * PAGE)
    for frame in range(8):
        memories[1].make_writable(frame)
    audit(machine, [Tenant(memory) for memory in memories])


def test_the_last_page_goes_to_the_page_that_is_touched(
    machine: MachineMemory, make_memory: MakeMemory
) -> None:
    entries = held(machine, PAGES - 1)
    memory = make_memory()
    assert memory.touch(7)
    assert list(memory.frames()) in ([0], [7])
    machine.release_run(entries, len(entries))


def test_caches_are_asked_before_memory_is_out(machine: MachineMemory, make_memory: MakeMemory) -> None:
    entries = held(machine, PAGES)
    asked = []

    def reclaim(wanted: int) -> int:
        asked.append(wanted)
        return machine.release_run(entries, 10)

    machine.reclaim = reclaim
    memory = make_memory()
    for frame in range(10):
        memory.touch(frame)
    assert asked
    audit(machine, [Tenant(memory)], [entries])
    machine.reclaim = lambda wanted: 0
    with pytest.raises(OutOfMachineMemory):
        memory.touch(20)
    machine.reclaim = None
    machine.release_run(entries, PAGES)


def test_pages_of_another_virtual_machine_are_zero(machine: MachineMemory, make_memory: MakeMemory) -> None:
    for _ in range(3):
        secret = make_memory(PAGES)
        secret.write(0, b"\xa5" * PAGES * PAGE)
        secret.release(PAGE, 5 * PAGE)
        assert secret.read(PAGE, 5 * PAGE) == bytes(5 * PAGE)
        secret.close()
        reader = make_memory(PAGES)
        assert reader.read(0, PAGES * PAGE) == bytes(PAGES * PAGE)
        reader.close()
        audit(machine, [])
        secret.close = reader.close = lambda: None  # type: ignore[method-assign]


def test_a_run_is_mapped_read_only_and_copied_by_stores(
    machine: MachineMemory, make_memory: MakeMemory
) -> None:
    entries = held(machine, 16)
    one, other = make_memory(), make_memory(node=1)
    one.write(0, b"\xff" * 20 * PAGE)
    one.map_run(2, entries, 0, 16)
    one.map_run(4, entries, 2, 14)  # itself again
    other.map_run(0, entries, 8, 4)
    other.map_run(10, entries, 8, 4)
    audit(machine, [Tenant(one), Tenant(other)], [entries])
    assert {machine.users[entries[n] - 1] for n in range(8, 12)} == {4}
    one.write(10 * PAGE + 5, b"new")
    other.write(PAGE, b"also new")
    assert (one.copied, other.copied) == (1, 1)
    audit(machine, [Tenant(one), Tenant(other)], [entries])
    assert one.read(10 * PAGE, 9) == b"\x09" * 5 + b"new" + b"\x09"
    assert other.read(0, PAGE + 9) == b"\x09" * PAGE + b"also new\x0a"
    assert other.read(10 * PAGE, 2 * PAGE) == b"\x09" * PAGE + b"\x0a" * PAGE
    assert one.read(0, 2 * PAGE) == b"\xff" * 2 * PAGE
    machine.release_run(entries, 16)
    audit(machine, [Tenant(one), Tenant(other)])
    # A page whose only user is left may be stored to where it is.
    before = one.machine_page(3)
    one.write(3 * PAGE, b"mine")
    assert one.machine_page(3) == before
    assert one.read(3 * PAGE, 5) == b"mine\2"
    audit(machine, [Tenant(one), Tenant(other)])


def test_shared_pages_are_counted(machine: MachineMemory, make_memory: MakeMemory) -> None:
    memory, other = make_memory(), make_memory()
    assert memory.count_shared() == 0
    entries = held(machine, 8)
    memory.map_run(3, entries, 0, 8)
    other.map_run(0, entries, 0, 4)
    memory.touch(31)
    assert (memory.count_shared(), other.count_shared()) == (8, 4)
    machine.release_run(entries, 8)  # the cache goes: what only one virtual machine has left is its own
    assert (memory.count_shared(), other.count_shared()) == (4, 4)
    other.make_writable(2)
    assert (memory.count_shared(), other.count_shared()) == (3, 3)


def test_only_unused_pages_are_reclaimed(machine: MachineMemory, make_memory: MakeMemory) -> None:
    entries = held(machine, 16)
    memory = make_memory()
    memory.map_run(0, entries, 4, 3)
    assert machine.release_run(entries, 16, only_unused=True) == 13
    assert [n for n in range(16) if entries[n]] == [4, 5, 6]
    audit(machine, [Tenant(memory)], [entries])
    assert memory.read(0, 3 * PAGE) == b"".join(bytes([n]) * PAGE for n in (5, 6, 7))
    assert machine.release_run(entries, 16) == 0
    audit(machine, [Tenant(memory)])


def test_what_is_no_page_is_not_mapped(machine: MachineMemory, make_memory: MakeMemory) -> None:
    entries = held(machine, 3)
    page, entries[1] = entries[1] - 1, 0
    memory = make_memory()
    assert memory.map_run(0, entries, 0, 3) == 1
    assert memory.map_run(1, entries, 1, 2) == 0
    assert memory.map_run(2, entries, 2, 1) == 1
    assert list(memory.frames()) == [0, 2]
    machine.release(page)
    machine.release_run(entries, 3)


def test_releasing_ranges_that_are_not_all_memory(machine: MachineMemory, make_memory: MakeMemory) -> None:
    memory = make_memory(8)
    memory.write(0, b"\1" * 8 * PAGE)
    memory.release(6 * PAGE + 1, 1 << 31)
    assert list(memory.frames()) == list(range(7))
    with pytest.raises(NotMemory):
        memory.write(8 * PAGE - 1, b"ab")
    audit(machine, [Tenant(memory)])


def test_many_free_pages_are_given_back_to_the_host_clean() -> None:
    pages = 4096
    machine = MachineMemory(pages * PAGE)
    entries = held(machine, pages)
    assert machine.release_run(entries, pages - 10) == pages - 10
    assert machine.map.all_dirty == 0
    assert len(machine.clean_pages(0)) == pages - 10
    audit(machine, [], [entries])
    memory = PhysicalMemory(machine, [(0, pages * PAGE)])
    assert memory.read(0, (pages - 10) * PAGE) == bytes((pages - 10) * PAGE)
    audit(machine, [Tenant(memory)], [entries])
    memory.close()
    machine.close()


def test_the_host_backs_memory_before_it_is_needed() -> None:
    """As much as it can, in large pages; and what is written meanwhile stays."""
    large = LARGE_PAGE_SIZE // PAGE
    machine = MachineMemory(20 * LARGE_PAGE_SIZE)
    before = _in_memory(machine)
    memory = PhysicalMemory(machine, [(0, 18 * LARGE_PAGE_SIZE)])
    ready = 4 * large if _host_collapses() else 4
    until(lambda: _in_memory(machine) >= before + ready)
    assert not machine.allocated
    for frame in range(0, 18 * large, 7):
        memory.write(frame * PAGE, frame.to_bytes(4, "little"))
    until(lambda: _in_memory(machine, 19) > 0)
    for frame in range(0, 18 * large, 7):
        assert memory.read(frame * PAGE, 8) == frame.to_bytes(8, "little"), frame
    memory.close()
    machine.close()


def _host_collapses() -> bool:
    machine = MachineMemory(LARGE_PAGE_SIZE)
    ctypes.memset(machine.base, 1, 1)
    try:
        return collapse_memory(machine.base, LARGE_PAGE_SIZE)
    finally:
        machine.close()


@pytest.mark.parametrize("node", [0, 1])
def test_the_host_backs_memory_of_the_node_that_is_used(node: int) -> None:
    """The second one begins within a large page."""
    size = 4 * LARGE_PAGE_SIZE + 5 * PAGE
    machine = MachineMemory(2 * size, 2)
    memory = PhysicalMemory(machine, [(0, LARGE_PAGE_SIZE)], node)
    until(lambda: _in_memory(machine) >= (4, 3)[node])
    time.sleep(0.05)
    start, end = node * machine.map.node_pages * PAGE, (node + 1) * machine.map.node_pages * PAGE
    assert _in_memory_from(machine, start, end) == _in_memory(machine)
    memory.close()
    machine.close()


def _in_memory(machine: MachineMemory, first: int = 0) -> int:
    """Pages of a machine that the host has backed, from a large page on."""
    return _in_memory_from(machine, first * LARGE_PAGE_SIZE, machine.pages * PAGE)


def _in_memory_from(machine: MachineMemory, start: int, end: int) -> int:
    found = 0
    while start < end:
        try:
            start = os.lseek(machine.descriptor, start, os.SEEK_DATA)
        except OSError:
            break
        hole = min(os.lseek(machine.descriptor, start, os.SEEK_HOLE), max(start, end))
        found += (hole - start) // PAGE
        start = hole
    return found


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_numbers_of_virtual_machines_are_used_again(machine: MachineMemory) -> None:
    numbers = [machine.enrol() for _ in range(VIRTUAL_MACHINES_MAX)]
    assert set(numbers) == set(range(1, VIRTUAL_MACHINES_MAX + 1))
    with pytest.raises(TooManyVirtualMachines):
        machine.enrol()
    machine.dismiss(7)
    assert machine.enrol() == 7


def test_a_node_has_a_whole_number_of_pages() -> None:
    machine = MachineMemory(10 * PAGE + 4000, 3)
    assert (machine.pages, [machine.node_of(page) for page in range(9)]) == (9, [0] * 3 + [1] * 3 + [2] * 3)
    machine.close()
    with pytest.raises(ValueError, match="17 nodes"):
        MachineMemory(PAGE, 17)


@pytest.mark.parametrize("wrong", ["users", "head", "link", "pmap", "counter", "cleaned", "listed"])
def test_the_auditor_notices(machine: MachineMemory, make_memory: MakeMemory, wrong: str) -> None:
    """One damage at a time, which is then mended."""
    entries = held(machine, 8)
    one, other = make_memory(), make_memory()
    for memory in (one, other):
        memory.map_run(0, entries, 0, 8)
        memory.touch(20)
    one.release(PAGE, PAGE)
    machine.release_run(entries, 1)
    tenants = [Tenant(one), Tenant(other)]
    audit(machine, tenants, [entries])
    shared, private = one.machine_page(2), one.machine_page(20)
    field: ctypes.c_uint32
    match wrong:
        case "users":
            field = ctypes.c_uint32.from_buffer(machine.users, 4 * shared)
        case "head":
            field = ctypes.c_uint32.from_address(machine.map.heads + 4 * shared)
        case "link":
            field = ctypes.c_uint32.from_address(machine.map.links + LINK_SIZE * (other.number << 20 | 2))
        case "pmap":
            field = ctypes.c_uint32.from_address(ctypes.addressof(one.pmap) + 8 * 2)
        case "counter":
            field = ctypes.c_uint32.from_address(ctypes.addressof(one.map) + type(one.map).mapped.offset)
        case "cleaned":
            field = ctypes.c_uint32.from_address(
                ctypes.addressof(machine.map) + type(machine.map).free.offset
            )
        case _:
            field = ctypes.c_uint32.from_buffer(machine.users, 4 * private)
    value = field.value
    field.value = value + 1 if wrong != "listed" else 0
    with pytest.raises(Disagreement):
        audit(machine, tenants, [entries])
    field.value = value
    audit(machine, tenants, [entries])
    machine.release_run(entries, 8)
