"""What a kernel and an initrd become in memory, and what a user hears of those that cannot be booted."""

from __future__ import annotations

import os
import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from dbt_disco.virtual_machine import compressed_kernel
from dbt_disco.virtual_machine.boot_loader import DEVICE_TREE_ROOM, BootMemory, load
from dbt_disco.virtual_machine.kernel_image import read_kernel
from dbt_disco.virtual_machine.memory_image import BootError, FileRange
from tests.conformance.elf_writer import EXECUTE, READ, WRITE, Segment, executable
from tests.dbt_disco.virtual_machine.vmlinuz import COMPRESSORS, LOAD_ADDRESS, self_extracting

MEBIBYTE = 1 << 20
PAYLOAD = random.Random(1).randbytes(70_000) + bytes(100_000)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "dbt-disco" / "unpacked-kernels"


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """Two segments, one with a bss; linked to KSEG0 and KSEG1."""
    path = tmp_path / "kernel"
    path.write_bytes(
        elf(Segment(0x8010_0000, b"code" * 4, READ | EXECUTE), Segment(0xA020_0000, b"data", WRITE, 99))
    )
    return path


def elf(*segments: Segment, entry: int = 0x8010_0004, big_endian: bool = False) -> bytes:
    return executable(entry, list(segments), big_endian=big_endian, wide_fpu=False)


def contents(memory: BootMemory) -> dict[int, bytes]:
    return {piece.address: piece.bytes() for piece in memory.pieces}


def refusal(kernel: Path, memory_size: int = 64 * MEBIBYTE, initrd: Path | None = None) -> str:
    with pytest.raises(BootError) as raised:
        load(kernel, memory_size, initrd)
    message = str(raised.value)
    assert "\n" not in message
    assert message.startswith((f"{kernel}: ", f"{initrd}: "))
    return message.partition(": ")[2]


@pytest.mark.parametrize("big_endian", [False, True])
def test_elf_segments(big_endian: bool, tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    code, data = Segment(0x8010_0000, b"code" * 4, EXECUTE), Segment(0xA020_0000, b"data", WRITE, 99)
    kernel.write_bytes(elf(code, data, big_endian=big_endian))
    memory = load(kernel, 16 * MEBIBYTE)
    assert contents(memory) == {0x10_0000: b"code" * 4, 0x20_0000: b"data" + bytes(95)}
    assert (memory.entry, memory.big_endian, memory.initrd) == (0x8010_0004, big_endian, None)
    assert all(isinstance(piece.contents, FileRange) for piece in memory.pieces)


def test_raw_images(tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(b"\x08\0\0\0" * 3)
    memory = load(kernel, 2 * MEBIBYTE)
    assert contents(memory) == {0x10_0000: b"\x08\0\0\0" * 3}
    assert (memory.entry, memory.big_endian) == (0x8010_0000, None)


@pytest.mark.parametrize("big_endian", [False, True])
@pytest.mark.parametrize("add", [False, True])
@pytest.mark.parametrize("compressor", COMPRESSORS)
def test_self_extracting_kernels(
    compressor: str, add: bool, big_endian: bool, tmp_path: Path, cache: Path
) -> None:
    kernel = tmp_path / "vmlinuz"
    entry = LOAD_ADDRESS + 0x1_8760
    kernel.write_bytes(self_extracting(PAYLOAD, entry, compressor, big_endian=big_endian, add=add))
    memory = load(kernel, 16 * MEBIBYTE)
    assert contents(memory) == {0x10_0000: PAYLOAD}
    assert (memory.entry, memory.big_endian) == (entry, big_endian)
    assert [piece.contents for piece in memory.pieces] == [FileRange(next(cache.iterdir()), 0, len(PAYLOAD))]


def test_a_kernel_is_extracted_once(tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = tmp_path / "vmlinuz"
    kernel.write_bytes(self_extracting(PAYLOAD, LOAD_ADDRESS, "xz", big_endian=False))
    load(kernel, 16 * MEBIBYTE)
    (kept,) = cache.iterdir()
    before = kept.stat().st_mtime_ns
    load(kernel, 16 * MEBIBYTE)
    assert kept.stat().st_mtime_ns == before
    for damage in (kept.read_bytes()[:-1], b"", b"x" + kept.read_bytes()[1:]):
        kept.write_bytes(damage)
        assert contents(load(kernel, 16 * MEBIBYTE)) == {0x10_0000: PAYLOAD}
        assert kept.read_bytes()[: len(PAYLOAD)] == PAYLOAD
    monkeypatch.setenv("XDG_CACHE_HOME", "/proc/nowhere")
    memory = load(kernel, 16 * MEBIBYTE)
    assert contents(memory) == {0x10_0000: PAYLOAD}


def test_a_file_that_has_not_changed_is_not_read_again(
    tmp_path: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kernel = tmp_path / "vmlinuz"
    kernel.write_bytes(self_extracting(PAYLOAD, LOAD_ADDRESS, "xz", big_endian=True))
    first = read_kernel(kernel)
    with monkeypatch.context() as patch:
        patch.setattr(compressed_kernel, "find", lambda *arguments: pytest.fail("it is looked into"))
        assert read_kernel(kernel) == first
    other = bytes(reversed(PAYLOAD))
    kernel.write_bytes(self_extracting(other, LOAD_ADDRESS, "xz", big_endian=False))
    second = read_kernel(kernel)
    assert second.pieces[0].bytes() == other and second.big_endian is False
    next(path for path in cache.iterdir() if path.read_bytes().startswith(other)).unlink()
    assert read_kernel(kernel).pieces[0].bytes() == other


def test_what_cannot_be_extracted_here_extracts_itself(tmp_path: Path) -> None:
    kernel = tmp_path / "vmlinuz"
    data = self_extracting(PAYLOAD, LOAD_ADDRESS, "xz", big_endian=False)
    at = data.rindex(b"\xfd7zXZ")
    kernel.write_bytes(data[:at] + b"\x28\xb5\x2f\xfd\0\0" + data[at + 6 :])
    memory = load(kernel, 16 * MEBIBYTE)
    assert memory.entry == LOAD_ADDRESS + 0x3_0000
    assert [piece.address for piece in memory.pieces] == [0x13_0000]


@pytest.mark.parametrize("compressor", ["xz", "gzip"])
def test_a_kernel_that_is_damaged_inside(tmp_path: Path, compressor: str) -> None:
    kernel = tmp_path / "vmlinuz"
    payload = random.Random(1).randbytes(1 << 20)
    data = bytearray(self_extracting(payload, LOAD_ADDRESS, compressor, big_endian=False))
    data[-100_000] ^= 0x55
    kernel.write_bytes(data)
    assert refusal(kernel) == "damaged: the compressed kernel in it cannot be unpacked"


def test_an_ordinary_kernel_with_something_compressed_in_it_stays_as_it_is(tmp_path: Path) -> None:
    kernel = tmp_path / "vmlinux"
    data = b"\x08\0\0\0" * 64 + COMPRESSORS["gzip"](PAYLOAD)
    kernel.write_bytes(elf(Segment(0x8020_0000, data, EXECUTE), entry=0x8020_0000))
    assert contents(load(kernel, 16 * MEBIBYTE)) == {0x20_0000: data}


@pytest.mark.parametrize("size", [1, 4096, 5 * MEBIBYTE + 7])
@pytest.mark.parametrize("memory_size", [8, 64, 256, 512])
def test_initrd_and_device_tree_are_high_and_apart(
    kernel: Path, tmp_path: Path, size: int, memory_size: int
) -> None:
    initrd = tmp_path / "initrd"
    initrd.write_bytes(os.urandom(size))
    memory = load(kernel, memory_size * MEBIBYTE, initrd)
    low_end = min(memory_size, 256) * MEBIBYTE
    tree, place = memory.device_tree, memory.initrd
    assert place is not None
    assert (tree.size, tree.end) == (DEVICE_TREE_ROOM, low_end)
    assert place.size == size and place.start % 4096 == 0
    assert place.start >= 0x20_0000 + 99 and tree.start - 4096 < place.end <= tree.start
    assert contents(memory)[place.start] == initrd.read_bytes()


def test_an_initrd_fits_exactly_or_not_at_all(kernel: Path, tmp_path: Path) -> None:
    initrd = tmp_path / "initrd"
    free = 8 * MEBIBYTE - DEVICE_TREE_ROOM - 0x20_1000  # a page holds the kernel's last 99 bytes
    initrd.write_bytes(bytes([1]) * free)
    assert load(kernel, 8 * MEBIBYTE, initrd).initrd is not None
    initrd.write_bytes(bytes([1]) * (free + 1))
    message = refusal(kernel, 8 * MEBIBYTE, initrd)
    assert message.startswith(f"an initrd of {free + 1} bytes") and "--memory" in message


@pytest.mark.parametrize(
    ("segment", "fits"),
    [
        (Segment(0x8000_0000, b"x" * 16, EXECUTE), True),
        (Segment(0x81FF_0000, b"x" * 16, EXECUTE, 0x1_0000), True),
        (Segment(0x81FF_0000, b"x" * 16, EXECUTE, 0x1_0001), False),
        (Segment(0x9FC0_0000, b"x" * 16, EXECUTE, 0x1000), True),
        (Segment(0xBFC0_0000, b"x" * 16, EXECUTE, 0x1001), False),
        (Segment(0x8200_0000, b"x" * 16, EXECUTE), False),
        (Segment(0xC000_0000, b"x" * 16, EXECUTE), False),
    ],
)
def test_segments_outside_memory(segment: Segment, fits: bool, tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(elf(segment, entry=segment.address))
    room = 32 * MEBIBYTE
    if not fits:
        assert "needs memory from" in refusal(kernel, room)
    elif segment.size == 0x1_0000:
        assert "no room for a device tree" in refusal(kernel, room)
    else:
        assert load(kernel, room).entry == segment.address


def test_high_memory(tmp_path: Path) -> None:
    kernel = tmp_path / "kernel"
    kernel.write_bytes(elf(Segment(0x8010_0000, b"code" * 4, EXECUTE), Segment(0x2000_0000, b"high", READ)))
    assert contents(load(kernel, 257 * MEBIBYTE))[0x2000_0000] == b"high"
    assert "needs memory from 0x20000000" in refusal(kernel, 256 * MEBIBYTE)


def changed(data: bytes, offset: int, value: int, size: int) -> bytes:
    return data[:offset] + value.to_bytes(size, "little") + data[offset + size :]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda data: b"", "an empty file"),
        (lambda data: data[:40], "cut short: 40 bytes do not hold the ELF header"),
        (lambda data: data[:80], "cut short: its program headers"),
        (lambda data: data[:0x1008], "cut short: segment at 0x80100000"),
        (lambda data: changed(data, 4, 2, 1), "a 64-bit program"),
        (lambda data: changed(data, 5, 3, 1), "damaged: unknown byte order"),
        (lambda data: changed(data, 18, 62, 2), "another machine (ELF machine 62)"),
        (lambda data: changed(data, 16, 1, 2), "not an executable linked to fixed addresses (ET_REL)"),
        (lambda data: changed(data, 42, 56, 2), "damaged: program headers of 56 bytes"),
        (lambda data: changed(data, 24, 0x8030_0000, 4), "starts at 0x80300000, which is in none"),
        (lambda data: changed(data, 52 + 32 + 20, 3, 4), "larger in the file than in memory"),
        (lambda data: changed(data, 52 + 32 + 12, 0x8020_0000, 4), "segments overlap at physical 0x00200000"),
        (lambda data: changed(changed(data, 52 + 32, 4, 4), 52 + 64, 4, 4), "has no segment to load"),
        (lambda data: b"\x1f\x8b" + data, "not a kernel but compressed with gzip"),
        (lambda data: b"\x27\x05\x19\x56" + data, "not a kernel but a U-Boot image"),
        (lambda data: b"070701" + data, "give it with --initrd"),
    ],
)
def test_damaged_kernels(kernel: Path, change: Callable[[bytes], bytes], reason: str) -> None:
    kernel.write_bytes(change(kernel.read_bytes()))
    assert reason in refusal(kernel)


def test_damaged_kernels_at_random(kernel: Path) -> None:
    """Whatever is wrong with the headers: a kernel, or one line."""
    data = kernel.read_bytes()
    choices = random.Random(5)
    refused = 0
    for _ in range(400):
        damaged = bytearray(data)
        for _ in range(choices.randint(1, 4)):
            damaged[choices.randrange(4, 180)] = choices.choice(
                (0, 1, 0x7F, 0x80, 0xFF, choices.randrange(256))
            )
        kernel.write_bytes(damaged[: choices.choice((len(damaged), choices.randrange(len(damaged))))])
        try:
            load(kernel, 64 * MEBIBYTE)
        except BootError as error:
            refused += 1
            assert "\n" not in str(error)
    assert 100 < refused < 400


def test_missing_files(kernel: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path / "none") == "No such file or directory"
    assert "a directory" in refusal(tmp_path)
    assert refusal(kernel, initrd=tmp_path / "none") == "No such file or directory"
    assert "not a regular file" in refusal(kernel, initrd=Path("/dev/null"))
    (tmp_path / "empty").touch()
    assert "an empty file" in refusal(kernel, initrd=tmp_path / "empty")


def test_a_file_that_becomes_shorter(kernel: Path) -> None:
    memory = load(kernel, 16 * MEBIBYTE)
    kernel.write_bytes(b"")
    with pytest.raises(BootError, match="changed while it was read"):
        contents(memory)


def test_readelf_agrees(kernel: Path, program: Callable[[str], str]) -> None:
    """The table of segments as binutils shows it."""
    text = subprocess.run(
        [program("mipsel-linux-gnu-readelf"), "-lW", kernel], capture_output=True, text=True, check=True
    ).stdout
    rows = [line.split() for line in text.splitlines() if line.split()[:1] == ["LOAD"]]
    expected = {int(row[3], 16) & 0x1FFF_FFFF: (int(row[4], 16), int(row[5], 16)) for row in rows}
    pieces = load(kernel, 16 * MEBIBYTE).pieces
    found = {
        piece.address: (piece.contents.length, piece.size)
        for piece in pieces
        if isinstance(piece.contents, FileRange)
    }
    assert found == expected and len(rows) == 2
