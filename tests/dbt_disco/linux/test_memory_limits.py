"""RLIMIT_AS, RLIMIT_DATA and RLIMIT_STACK: they bind the guest, as Linux does it, and not the runtime."""

from __future__ import annotations

import errno
import resource
from collections.abc import Iterator

import pytest

from tests.dbt_disco.linux.idle_process import BREAK, DATA, STACK_SIZE, STACK_TOP, IdleProcess, error

RLIMIT_DATA, RLIMIT_STACK, RLIMIT_AS = 2, 3, 6
"""The guest's numbers."""
PROT_NONE, PROT_READ, READ_WRITE = 0, 1, 3
MAP_SHARED, MAP_PRIVATE, MAP_FIXED, MAP_ANONYMOUS = 1, 2, 0x10, 0x800
PRIVATE, SHARED = MAP_PRIVATE | MAP_ANONYMOUS, MAP_SHARED | MAP_ANONYMOUS
MEGABYTE = 1 << 20
INFINITY32 = 0x7FFF_FFFF
ENOMEM = error(errno.ENOMEM)


@pytest.fixture(params=[False, True], ids=["little", "big"])
def guest(request: pytest.FixtureRequest) -> Iterator[IdleProcess]:
    process = IdleProcess(big_endian=request.param)
    yield process
    process.close()


def set_limit(guest: IdleProcess, number: int, current: int, maximum: int = INFINITY32) -> int:
    guest.memory.set_word(DATA, current)
    guest.memory.set_word(DATA + 4, maximum)
    return guest.call("setrlimit", number, DATA)


def get_limit(guest: IdleProcess, number: int) -> tuple[int, int]:
    assert guest.call("getrlimit", number, DATA) == 0
    return guest.memory.word(DATA), guest.memory.word(DATA + 4)


def mapped(guest: IdleProcess) -> int:
    return sum(region.end - region.start for region in guest.space.regions)


def mmap(
    guest: IdleProcess, size: int, protection: int = READ_WRITE, flags: int = PRIVATE, at: int = 0
) -> int:
    return guest.call("mmap2", at, size, protection, flags, -1, 0)


def stack_bottom(guest: IdleProcess) -> int:
    (region,) = (region for region in guest.space.regions if region.name == "[stack]")
    assert region.end == STACK_TOP
    return region.start


@pytest.mark.parametrize("number", [RLIMIT_DATA, RLIMIT_STACK, RLIMIT_AS])
def test_a_limit_is_remembered_and_not_the_hosts(guest: IdleProcess, number: int) -> None:
    host = {
        RLIMIT_DATA: resource.RLIMIT_DATA,
        RLIMIT_STACK: resource.RLIMIT_STACK,
        RLIMIT_AS: resource.RLIMIT_AS,
    }
    before = resource.getrlimit(host[number])
    assert set_limit(guest, number, 10 * MEGABYTE, 20 * MEGABYTE) == 0
    assert get_limit(guest, number) == (10 * MEGABYTE, 20 * MEGABYTE)
    assert resource.getrlimit(host[number]) == before
    assert set_limit(guest, number, 30 * MEGABYTE, 20 * MEGABYTE) == error(errno.EINVAL)
    assert set_limit(guest, number, 10 * MEGABYTE, 30 * MEGABYTE) == error(errno.EPERM)


def test_address_space(guest: IdleProcess) -> None:
    first = mmap(guest, MEGABYTE)
    assert first > 0
    set_limit(guest, RLIMIT_AS, mapped(guest) + MEGABYTE)
    assert mmap(guest, MEGABYTE + 4096) == ENOMEM
    assert mmap(guest, MEGABYTE + 4096, PROT_NONE, SHARED) == ENOMEM
    assert mmap(guest, MEGABYTE, flags=PRIVATE | MAP_FIXED, at=first) == first, (
        "it replaces as much as it maps"
    )
    second = mmap(guest, MEGABYTE)
    assert second > 0
    assert mmap(guest, 4096) == ENOMEM
    assert guest.call("brk", BREAK + 4096) == BREAK
    assert guest.call("mremap", second, MEGABYTE, 2 * MEGABYTE, 1, 0) == ENOMEM
    assert guest.call("mremap", second, MEGABYTE, MEGABYTE - 4096, 0, 0) == second
    assert guest.call("brk", BREAK + 4096) == BREAK + 4096
    assert guest.call("munmap", first, MEGABYTE) == 0
    assert mmap(guest, MEGABYTE) > 0


def test_data(guest: IdleProcess) -> None:
    """Private writable memory counts, whenever it becomes that; the stack does not."""
    data = sum(region.end - region.start for region in guest.space.regions if region.name != "[stack]")
    set_limit(guest, RLIMIT_DATA, data + MEGABYTE)
    assert mmap(guest, MEGABYTE + 4096) == ENOMEM
    read_only = mmap(guest, 4 * MEGABYTE, PROT_READ)
    assert read_only > 0
    assert mmap(guest, 4 * MEGABYTE, READ_WRITE, SHARED) > 0
    assert guest.call("mprotect", read_only, 2 * MEGABYTE, READ_WRITE) == ENOMEM
    assert guest.call("mprotect", read_only, MEGABYTE, READ_WRITE) == 0
    assert guest.call("mprotect", read_only, MEGABYTE, READ_WRITE) == 0, "it is data already"
    assert guest.call("brk", BREAK + 4096) == BREAK
    assert guest.call("mprotect", read_only, 4096, PROT_READ) == 0
    assert guest.call("brk", BREAK + 4096) == BREAK + 4096


def test_a_raised_limit_lets_the_stack_grow(guest: IdleProcess) -> None:
    assert stack_bottom(guest) == STACK_TOP - STACK_SIZE
    set_limit(guest, RLIMIT_STACK, 64 * MEGABYTE)
    assert stack_bottom(guest) == STACK_TOP - 64 * MEGABYTE
    assert guest.space.read(stack_bottom(guest), 4096) == bytes(4096)
    set_limit(guest, RLIMIT_STACK, INFINITY32)
    assert stack_bottom(guest) == STACK_TOP - 128 * MEGABYTE, "mappings begin a little below"


def test_growth_ends_above_another_mapping(guest: IdleProcess) -> None:
    other = STACK_TOP - 32 * MEGABYTE
    assert mmap(guest, 4096, flags=PRIVATE | MAP_FIXED, at=other) == other
    set_limit(guest, RLIMIT_STACK, 64 * MEGABYTE)
    assert stack_bottom(guest) == other + 4096 + MEGABYTE
    assert guest.space.regions.find(other) is not None


def test_a_lowered_limit_takes_only_what_is_unused(guest: IdleProcess) -> None:
    guest.touch(STACK_TOP - 4096)
    guest.touch(STACK_TOP - 3 * MEGABYTE)
    set_limit(guest, RLIMIT_STACK, 4 * MEGABYTE)
    assert stack_bottom(guest) == STACK_TOP - 4 * MEGABYTE
    set_limit(guest, RLIMIT_STACK, MEGABYTE)
    assert stack_bottom(guest) == STACK_TOP - 3 * MEGABYTE
    assert guest.space.read(STACK_TOP - 3 * MEGABYTE, 1) == b"\1"


def test_the_stack_is_not_taken_from_under_the_stack_pointer(guest: IdleProcess) -> None:
    guest.state.gpr[29] = STACK_TOP - 2 * MEGABYTE + 16
    set_limit(guest, RLIMIT_STACK, MEGABYTE)
    assert stack_bottom(guest) == STACK_TOP - 2 * MEGABYTE
