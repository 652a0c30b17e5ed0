"""The window and what is mapped in it."""

from __future__ import annotations

import ctypes
import errno
import os
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from runtime.address_space import (
    CODE,
    EXEC,
    PAGE_SIZE,
    READ,
    USER_END,
    WRITE,
    AddressSpace,
    GuestFault,
)
from runtime.region_map import Region, RegionMap

PAGE = PAGE_SIZE
BASE = 0x10_0000
FIRST = BASE // PAGE


@pytest.fixture
def space() -> Iterator[AddressSpace]:
    space = AddressSpace()
    yield space
    space.close()


@pytest.fixture
def file(tmp_path: Path) -> Iterator[int]:
    path = tmp_path / "file"
    path.write_bytes(b"A" * PAGE + b"B" * 100)
    fd = os.open(path, os.O_RDWR)
    yield fd
    os.close(fd)


def error_of(call: object, *arguments: object, **options: object) -> int | None:
    with pytest.raises(OSError) as caught:
        call(*arguments, **options)  # type: ignore[operator]
    return caught.value.errno


def test_anonymous_memory_is_zero_and_keeps_what_is_written(space: AddressSpace) -> None:
    space.map_anonymous(BASE, 2 * PAGE, READ | WRITE)
    assert space.read(BASE, 2 * PAGE) == bytes(2 * PAGE)
    space.write(BASE + PAGE - 3, b"straddle")
    assert space.read(BASE + PAGE - 3, 8) == b"straddle"
    assert ctypes.string_at(space.base + BASE + PAGE - 3, 8) == b"straddle"


@pytest.mark.parametrize(
    ("protection", "readable", "writable"),
    [(0, False, False), (READ, True, False), (EXEC, True, False), (WRITE, True, True), (7, True, True)],
)
def test_protection_decides_access(
    space: AddressSpace, protection: int, readable: bool, writable: bool
) -> None:
    space.map_anonymous(BASE, PAGE, protection)
    for allowed, access in (
        (readable, lambda: space.read(BASE, 4)),
        (writable, lambda: space.write(BASE, b"data")),
    ):
        if allowed:
            access()
        else:
            with pytest.raises(GuestFault):
                access()


def test_fault_names_the_first_bad_address(space: AddressSpace) -> None:
    space.map_anonymous(BASE, PAGE, READ | WRITE)
    with pytest.raises(GuestFault) as caught:
        space.write(BASE + PAGE - 2, b"1234")
    assert (caught.value.address, caught.value.is_write) == (BASE + PAGE, True)
    assert space.read(BASE + PAGE - 2, 2) == b"\0\0", "nothing of a faulting write is done"
    for address in (0, USER_END, 0xFFFF_FFF0, -4):
        with pytest.raises(GuestFault):
            space.read(address, 4)


def test_c_strings_cross_pages_and_end_where_memory_ends(space: AddressSpace) -> None:
    space.map_anonymous(BASE, 2 * PAGE, READ | WRITE)
    space.write(BASE + PAGE - 2, b"abcd\0")
    assert space.read_c_string(BASE + PAGE - 2) == b"abcd"
    assert space.read_c_string(BASE + PAGE - 2, limit=3) == b"abc"
    space.write(BASE + 2 * PAGE - 2, b"xy")
    with pytest.raises(GuestFault):
        space.read_c_string(BASE + 2 * PAGE - 2)


def test_file_mappings(space: AddressSpace, file: int) -> None:
    space.map_file(BASE, PAGE, READ | WRITE, file, 0, name="private")
    space.map_file(BASE + PAGE, PAGE, READ | WRITE, file, PAGE, shared=True, name="shared")
    assert space.read(BASE, 4) == b"AAAA"
    assert space.read(BASE + PAGE, 101) == b"B" * 100 + b"\0"
    space.write(BASE, b"private")
    space.write(BASE + PAGE, b"shared")
    assert os.pread(file, 7, 0) == b"AAAAAAA"
    assert os.pread(file, 6, PAGE) == b"shared"


def test_pages_beyond_the_end_of_a_file_are_faults_and_kill_nobody(space: AddressSpace, file: int) -> None:
    space.map_file(BASE, 4 * PAGE, READ | WRITE, file, 0)
    with pytest.raises(GuestFault):
        space.read(BASE + 3 * PAGE, 1)
    with pytest.raises(GuestFault):
        space.write(BASE + 3 * PAGE, b"x")
    os.ftruncate(file, 0)
    with pytest.raises(GuestFault):
        space.read(BASE, 1)


def test_unmap_and_protect_parts(space: AddressSpace) -> None:
    space.map_anonymous(BASE, 5 * PAGE, READ | WRITE)
    space.unmap(BASE + PAGE, PAGE)
    space.protect(BASE + 3 * PAGE, PAGE, READ)
    assert [(r.start - BASE, r.end - BASE, r.protection) for r in space.regions] == [
        (0, PAGE, 3),
        (2 * PAGE, 3 * PAGE, 3),
        (3 * PAGE, 4 * PAGE, 1),
        (4 * PAGE, 5 * PAGE, 3),
    ]
    space.protect(BASE + 3 * PAGE, PAGE, READ | WRITE)
    assert len(space.regions) == 2, "equal neighbours are one region again"
    assert error_of(space.protect, BASE, 3 * PAGE, READ) == errno.ENOMEM
    assert error_of(space.unmap, BASE + 1, PAGE) == errno.EINVAL
    assert error_of(space.map_anonymous, USER_END - PAGE, 2 * PAGE, READ) == errno.ENOMEM


def test_search_goes_down_from_the_top(space: AddressSpace) -> None:
    space.search_top = 0x7000_0000
    first = space.find_free(3 * PAGE)
    assert first == 0x7000_0000 - 3 * PAGE
    space.map_anonymous(first, 3 * PAGE, READ)
    assert space.find_free(1) == first - PAGE
    assert space.find_free(PAGE, hint=BASE) == BASE
    assert space.find_free(PAGE, hint=first) == first - PAGE
    space.unmap(first + PAGE, PAGE)
    assert space.find_free(PAGE) == first + PAGE, "a hole that is large enough is used"
    assert space.find_free(2 * PAGE) == first - 2 * PAGE
    assert error_of(space.find_free, USER_END) == errno.ENOMEM


def test_remap_grows_in_place_moves_and_shrinks(space: AddressSpace, file: int) -> None:
    space.map_anonymous(BASE, PAGE, READ | WRITE)
    space.write(BASE, b"data")
    assert space.remap(BASE, PAGE, 3 * PAGE, None, may_move=False) == BASE
    assert space.read(BASE, 4) == b"data" and space.read(BASE + 2 * PAGE, 1) == b"\0"
    space.map_anonymous(BASE + 3 * PAGE, PAGE, READ)
    assert error_of(space.remap, BASE, 3 * PAGE, 4 * PAGE, None, may_move=False) == errno.ENOMEM
    moved = space.remap(BASE, 3 * PAGE, 4 * PAGE, None, may_move=True)
    assert moved != BASE and space.read(moved, 4) == b"data"
    assert space.regions.find(BASE) is None
    with pytest.raises(GuestFault):
        space.read(BASE, 1)
    assert space.remap(moved, 4 * PAGE, PAGE, None, may_move=False) == moved
    assert space.regions.find(moved + PAGE) is None
    assert error_of(space.remap, BASE + 8 * PAGE, PAGE, PAGE, None, may_move=True) == errno.EFAULT
    space.map_file(BASE, PAGE, READ, file, 0, shared=True)
    assert space.remap(BASE, PAGE, 2 * PAGE, None, may_move=False) == BASE
    assert space.read(BASE + PAGE, 3) == b"BBB"


def test_remap_moves_what_the_host_sees_as_several_mappings(space: AddressSpace) -> None:
    space.map_anonymous(BASE, PAGE, READ | WRITE)
    space.map_anonymous(BASE + PAGE, PAGE, READ)
    space.write(BASE, b"first")
    space.protect(BASE + PAGE, PAGE, READ | WRITE)
    space.write(BASE + PAGE, b"second")
    space.mark_code(FIRST)
    moved = space.remap(BASE, 2 * PAGE, 3 * PAGE, BASE + 16 * PAGE, may_move=True)
    assert space.read(moved, 5) == b"first" and space.read(moved + PAGE, 6) == b"second"
    space.write(moved + 2 * PAGE, b"third")


class CodeListener:
    def __init__(self, space: AddressSpace) -> None:
        self.calls: list[tuple[int, int]] = []
        self._space = space
        space.code_changed = self

    def __call__(self, first: int, last: int) -> None:
        # At this moment the code is still there to be looked at.
        assert any(self._space.page_flags[page] & CODE for page in range(first, last + 1))
        self.calls.append((first, last))


def test_code_pages_are_write_protected_until_they_are_written(space: AddressSpace) -> None:
    listener = CodeListener(space)
    space.map_anonymous(BASE, 2 * PAGE, READ | WRITE | EXEC)
    space.mark_code(FIRST)
    space.mark_code(FIRST)
    assert space.page_flags[FIRST] & CODE and not space.page_flags[FIRST + 1] & CODE
    reading, writing = os.pipe()
    os.write(writing, b"12345678")
    assert os.readv(reading, [_window(space, BASE + PAGE, 4)]) == 4
    with pytest.raises(OSError, match="Bad address"):
        os.readv(reading, [_window(space, BASE, 4)])
    assert listener.calls == []
    space.prepare_write(BASE, 4)
    assert os.readv(reading, [_window(space, BASE, 4)]) == 4
    assert space.read(BASE, 4) == b"5678"
    assert listener.calls == [(FIRST, FIRST)]
    assert not space.page_flags[FIRST] & CODE
    space.mark_code(FIRST)
    space.write(BASE, b"x")
    assert len(listener.calls) == 2
    os.close(reading)
    os.close(writing)


def test_mapping_calls_tell_about_code(space: AddressSpace) -> None:
    listener = CodeListener(space)
    space.map_anonymous(BASE, 3 * PAGE, READ | WRITE | EXEC)

    def expect(action: object, *arguments: object) -> None:
        space.map_anonymous(BASE, 3 * PAGE, READ | WRITE | EXEC)
        space.mark_code(FIRST + 1)
        listener.calls.clear()
        action(*arguments)  # type: ignore[operator]
        assert len(listener.calls) == 1
        assert not space.page_flags[FIRST + 1] & CODE

    expect(space.protect, BASE, 3 * PAGE, READ | EXEC)
    expect(space.unmap, BASE + PAGE, PAGE)
    expect(space.map_anonymous, BASE, 2 * PAGE, READ)
    expect(lambda: space.remap(BASE, 3 * PAGE, 4 * PAGE, BASE + 16 * PAGE, may_move=True))
    space.map_anonymous(BASE, PAGE, READ | EXEC)
    space.mark_code(FIRST)
    listener.calls.clear()
    space.prepare_write(BASE, 1)
    assert listener.calls == [], "the guest may not write there, so nothing will change"
    space.map_anonymous(BASE + PAGE, PAGE, READ)
    assert listener.calls == []


def _window(space: AddressSpace, address: int, length: int) -> ctypes.Array[ctypes.c_char]:
    return (ctypes.c_char * length).from_address(space.host_pointer(address, length))


ranges = st.tuples(st.integers(0, 15), st.integers(1, 6))
steps = st.lists(st.tuples(st.sampled_from(["add", "remove", "protect"]), ranges, st.integers(0, 3)))


@settings(max_examples=200, deadline=None)
@given(steps)
def test_region_map_agrees_with_an_array_of_pages(operations: list[tuple[str, tuple[int, int], int]]) -> None:
    regions, pages = RegionMap(), [None] * 32
    for kind, (first, count), protection in operations:
        start, end = first * PAGE, (first + count) * PAGE
        if kind == "add":
            regions.add(Region(start, end, protection))
            pages[first : first + count] = [protection] * count  # type: ignore[list-item]
        elif kind == "remove":
            regions.remove(start, end)
            pages[first : first + count] = [None] * count
        else:
            regions.update(start, end, protection=protection)
            for page in range(first, first + count):
                if pages[page] is not None:
                    pages[page] = protection  # type: ignore[call-overload]
        for page, expected in enumerate(pages):
            found = regions.find(page * PAGE + 5)
            assert (found.protection if found else None) == expected
        listed = list(regions)
        assert all(a.end <= b.start for a, b in pairwise(listed))
        assert all(a.end < b.start or a.protection != b.protection for a, b in pairwise(listed)), (
            "equal neighbours are joined"
        )
        gap = regions.highest_gap(2 * PAGE, 0, 32 * PAGE)
        free = [p for p in range(31) if pages[p] is None and pages[p + 1] is None]
        assert gap == (free[-1] * PAGE if free else None)
