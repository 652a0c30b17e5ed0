"""Reading a kernel: an ELF executable, Debian's `vmlinuz` (an ELF that extracts another kernel), or a raw image."""

from __future__ import annotations

import itertools
import os
import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from dbt_disco.virtual_machine import compressed_kernel
from dbt_disco.virtual_machine.memory_image import BootError, FileRange, Piece
from runtime.addresses import PhysicalAddress, VirtualAddress

RAW_IMAGE_ADDRESS: Final = VirtualAddress(0x8010_0000)
"""Where a raw image is loaded and starts."""

_ELF_MAGIC: Final = b"\x7fELF"
_HEADER_SIZE: Final = 52
_PROGRAM_HEADER_SIZE: Final = 32
_EM_MIPS: Final = 8
_CLASS_32: Final = 1
_BYTE_ORDERS: Final = {1: False, 2: True}
"""EI_DATA → big endian."""

_NO_KERNELS: Final = (
    (b"\x1f\x8b", "compressed with gzip; unpack it"),
    (b"\xfd7zXZ", "compressed with xz; unpack it"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd; unpack it"),
    (b"\x27\x05\x19\x56", "a U-Boot image; give the kernel in it"),
    (b"\xd0\x0d\xfe\xed", "a device tree or FIT image; give the kernel itself"),
    (b"070701", "a cpio archive; give it with --initrd"),
    (b"!<arch>", "an archive (a Debian package?); unpack it"),
    (b"MZ", "a Windows or EFI program"),
    (b"#!", "a script"),
)
"""What somebody may give by mistake, and would otherwise run as a raw image."""

_KSEG0: Final = 0x8000_0000
_KSEG2: Final = 0xC000_0000
_SEGMENT_MASK: Final = 0x1FFF_FFFF
"""Bits of an address in KSEG0 or KSEG1 that are the physical address (MIPS32 PRA, section 4.4)."""


@dataclass(frozen=True)
class KernelImage:
    """A kernel, ready to be put into memory."""

    path: Path
    pieces: tuple[Piece, ...]
    entry: VirtualAddress
    big_endian: bool | None
    """None if the image does not say."""


def read_kernel(path: Path) -> KernelImage:
    """Read a kernel. Raises BootError if it is missing, damaged or none for this machine."""
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            what = "a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file"
            raise BootError(f"{path}: {what}, not a kernel")
        known = compressed_kernel.recall(status)
        if known is not None:
            return _payload_image(path, known)
        data = path.read_bytes()
    except OSError as error:
        raise BootError(f"{path}: {error.strerror}") from error
    if data.startswith(_ELF_MAGIC):
        return _ElfReader(path, data).kernel(status)
    for magic, what in _NO_KERNELS:
        if data.startswith(magic):
            raise BootError(f"{path}: not a kernel but {what}")
    if not data:
        raise BootError(f"{path}: an empty file, not a kernel")
    piece = Piece(physical_address(RAW_IMAGE_ADDRESS), len(data), FileRange(path, 0, len(data)))
    return KernelImage(path, (piece,), RAW_IMAGE_ADDRESS, None)


def _payload_image(path: Path, payload: compressed_kernel.Payload) -> KernelImage:
    """The kernel that was inside another one."""
    piece = Piece(physical_address(payload.address), payload.size, payload.contents)
    return KernelImage(path, (piece,), payload.entry, payload.big_endian)


def physical_address(address: int) -> PhysicalAddress:
    """The physical address that a linker meant: KSEG0 and KSEG1 are fixed parts of physical memory."""
    return PhysicalAddress(address & _SEGMENT_MASK if _KSEG0 <= address < _KSEG2 else address)


class _ElfReader:
    def __init__(self, path: Path, data: bytes) -> None:
        self._path = path
        self._data = data

    def kernel(self, status: os.stat_result) -> KernelImage:
        header, program_headers = self._headers()
        pieces = tuple(
            self._piece(entry)
            for entry in program_headers
            if entry["p_type"] == "PT_LOAD" and entry["p_memsz"]
        )
        if not pieces:
            raise self._bad("has no segment to load")
        self._check_overlap(pieces)
        entry = header["e_entry"]
        start, code = min(piece.address for piece in pieces), self._code(entry, pieces)
        try:
            payload = compressed_kernel.find(self._data, start, code, self._big_endian)
        except compressed_kernel.DamagedKernel:
            raise self._bad("damaged: the compressed kernel in it cannot be unpacked") from None
        if payload is not None:
            compressed_kernel.remember(status, payload)
            return _payload_image(self._path, payload)
        return KernelImage(self._path, pieces, VirtualAddress(entry), self._big_endian)

    def _code(self, entry: int, pieces: tuple[Piece, ...]) -> bytes:
        """The segment that the kernel starts in, from there on."""
        address = physical_address(entry)
        for piece in pieces:
            if piece.address <= address < piece.end and isinstance(piece.contents, FileRange):
                contents = piece.contents
                return self._data[
                    contents.offset + address - piece.address : contents.offset + contents.length
                ]
        raise self._bad(f"starts at {entry:#010x}, which is in none of its segments")

    def _headers(self) -> tuple[Any, list[Any]]:
        from elftools.elf.structs import ELFStructs  # less than half of what ELFFile costs to import

        data = self._data
        if len(data) < _HEADER_SIZE:
            raise self._bad(f"cut short: {len(data)} bytes do not hold the ELF header")
        if data[5] not in _BYTE_ORDERS:
            raise self._bad("damaged: unknown byte order")
        self._big_endian = _BYTE_ORDERS[data[5]]
        machine = int.from_bytes(data[18:20], "big" if self._big_endian else "little")
        if machine != _EM_MIPS:
            raise self._bad(f"a program for another machine (ELF machine {machine}), not for MIPS")
        if data[4] != _CLASS_32:
            raise self._bad("a 64-bit program; this machine is a MIPS32")
        structs = ELFStructs(little_endian=not self._big_endian, elfclass=32)
        structs.create_basic_structs()
        structs.create_advanced_structs()
        header = structs.Elf_Ehdr.parse(data[:_HEADER_SIZE])
        if header["e_type"] != "ET_EXEC":
            raise self._bad(
                f"an ELF file, but not an executable linked to fixed addresses ({header['e_type']})"
            )
        start, size, count = header["e_phoff"], header["e_phentsize"], header["e_phnum"]
        if size != _PROGRAM_HEADER_SIZE:
            raise self._bad(f"damaged: program headers of {size} bytes")
        if start + size * count > len(data):
            raise self._bad("cut short: its program headers reach beyond its end")
        return header, [
            structs.Elf_Phdr.parse(data[at : at + size]) for at in range(start, start + size * count, size)
        ]

    def _piece(self, entry: Any) -> Piece:
        address, offset, file_size = entry["p_paddr"], entry["p_offset"], entry["p_filesz"]
        if file_size > entry["p_memsz"]:
            raise self._bad(f"damaged: segment at {address:#010x} is larger in the file than in memory")
        if offset + file_size > len(self._data):
            raise self._bad(
                f"cut short: segment at {address:#010x} reaches beyond its {len(self._data)} bytes"
            )
        return Piece(physical_address(address), entry["p_memsz"], FileRange(self._path, offset, file_size))

    def _check_overlap(self, pieces: tuple[Piece, ...]) -> None:
        ordered = sorted(pieces, key=lambda piece: piece.address)
        for lower, upper in itertools.pairwise(ordered):
            if upper.address < lower.end:
                raise self._bad(f"damaged: segments overlap at physical {upper.address:#010x}")

    def _bad(self, reason: str) -> BootError:
        return BootError(f"{self._path}: {reason}")
