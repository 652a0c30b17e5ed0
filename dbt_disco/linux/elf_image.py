"""Reading and judging an ELF file: what to map where, or why it cannot run here."""

from __future__ import annotations

import os
import stat
from typing import IO, Any, Final, NamedTuple

from dbt_disco.linux.load_error import NOT_FOUND, LoadError
from runtime.address_space import EXEC, PAGE_MASK, READ, USER_END, WRITE, page_end

_PT_LOAD: Final = "PT_LOAD"
_EM_MIPS: Final = 8
_HEADER_SIZE: Final = 52
_PROGRAM_HEADER_SIZE: Final = 32
_MAXIMUM_PROGRAM_HEADERS: Final = 65536 // _PROGRAM_HEADER_SIZE  # as Linux: one 64 KiB read

# e_flags (MIPS ABI supplement; binutils' elf/mips.h)
_EF_ABI2: Final = 0x20
_EF_FP64: Final = 0x200
_EF_NAN2008: Final = 0x400
_EF_ABI_MASK: Final = 0xF000
_EF_ABI_NAMES: Final = {0: "o32", 0x1000: "o32", 0x2000: "o64", 0x3000: "EABI32", 0x4000: "EABI64"}
_EF_MICROMIPS: Final = 0x0200_0000
_EF_MIPS16: Final = 0x0400_0000
_EF_ARCHITECTURES: Final = {
    0x0: "MIPS I",
    0x1: "MIPS II",
    0x2: "MIPS III",
    0x3: "MIPS IV",
    0x4: "MIPS V",
    0x5: "MIPS32",
    0x6: "MIPS64",
    0x7: "MIPS32r2",
    0x8: "MIPS64r2",
    0x9: "MIPS32r6",
    0xA: "MIPS64r6",
}
_RUNNABLE_ARCHITECTURES: Final = frozenset({0x0, 0x1, 0x5, 0x7})

_OTHER_FORMATS: Final = (
    (b"#!", "a script; name its interpreter as the program"),
    (b"MZ", "a Windows program"),
)

# .MIPS.abiflags fp_abi values (elf/mips.h) that need, or prefer as Linux does, 64-bit FPU registers.
_FP_ABI_OFFSET: Final = 7
_FP_ABI_WIDE: Final = frozenset({5, 6, 7})  # FPXX, FP64, FP64A


class Segment(NamedTuple):
    """One PT_LOAD entry, addresses not yet moved by the load bias."""

    address: int
    offset: int
    file_size: int
    memory_size: int
    protection: int


class ElfImage(NamedTuple):
    """An ELF executable or interpreter that this machine can run."""

    path: bytes
    big_endian: bool
    position_independent: bool
    entry: int
    segments: tuple[Segment, ...]
    interpreter: bytes | None
    """PT_INTERP's path."""
    program_headers_address: int
    """Where the program headers are in memory (before the bias); 0 when no segment holds them."""
    program_header_count: int
    executable_stack: bool
    wide_fpu: bool
    """Wants Status.FR = 1."""
    alignment: int
    """Greatest segment alignment."""

    @property
    def low(self) -> int:
        """Lowest address of any segment, rounded down to a page."""
        return min(segment.address for segment in self.segments) & ~PAGE_MASK

    @property
    def high(self) -> int:
        """End of the highest segment, rounded up to a page."""
        return max(page_end(segment.address + segment.memory_size) for segment in self.segments)


def open_program(path: bytes, what: str = "") -> int:
    """Open a file for execution; returns its descriptor. `what` tells an interpreter from a program."""
    try:
        status = os.stat(path)
        if stat.S_ISDIR(status.st_mode):
            raise LoadError(path, f"{what}is a directory")
        if not stat.S_ISREG(status.st_mode):
            raise LoadError(path, f"{what}is not a regular file")
        if not os.access(path, os.X_OK):
            raise LoadError(path, f"{what}no permission to execute it (chmod +x?)")
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except ValueError:
        raise LoadError(path, f"{what}the name contains a zero byte", NOT_FOUND) from None
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        reason = f"{what}no such file" if missing else f"{what}cannot be opened: {error.strerror}"
        if missing:
            raise LoadError(path, reason, NOT_FOUND) from None
        raise LoadError(path, reason) from None


def read_elf_image(fd: int, path: bytes) -> ElfImage:
    """Parse the open file; `LoadError` when it is not an ELF this machine runs."""
    with os.fdopen(os.dup(fd), "rb") as stream:
        return _Reader(stream, path).image()


class _Reader:
    def __init__(self, stream: IO[bytes], path: bytes) -> None:
        self._stream = stream
        self._path = path
        self._size = os.fstat(stream.fileno()).st_size

    def image(self) -> ElfImage:
        big_endian = self._check_identification()
        # Not ELFFile: it reads the section headers too, which nobody needs to run a program, and its
        # import costs twice as much.
        from elftools.elf.structs import ELFStructs

        structs = ELFStructs(little_endian=not big_endian, elfclass=32)
        structs.create_basic_structs()
        structs.create_advanced_structs()
        header = structs.Elf_Ehdr.parse(self._bytes(0, _HEADER_SIZE, "ELF header"))
        self._check_header(header)
        size, count = header["e_phentsize"], header["e_phnum"]
        table = self._bytes(header["e_phoff"], size * count, "program headers")
        entries = [structs.Elf_Phdr.parse(table[i * size : (i + 1) * size]) for i in range(count)]
        segments = tuple(self._segment(entry) for entry in entries if entry["p_type"] == _PT_LOAD)
        segments = tuple(segment for segment in segments if segment.memory_size)
        if not segments:
            raise self._bad("has no segment to load")
        return ElfImage(
            path=self._path,
            big_endian=big_endian,
            position_independent=header["e_type"] == "ET_DYN",
            entry=header["e_entry"],
            segments=segments,
            interpreter=self._interpreter(entries),
            program_headers_address=_headers_address(header["e_phoff"], size * count, segments),
            program_header_count=count,
            executable_stack=not any(
                entry["p_type"] == "PT_GNU_STACK" and not entry["p_flags"] & 1 for entry in entries
            ),
            wide_fpu=bool(header["e_flags"] & _EF_FP64) or self._abi_flags_want_wide_fpu(entries),
            alignment=max((e["p_align"] for e in entries if e["p_type"] == _PT_LOAD), default=0),
        )

    def _bad(self, reason: str) -> LoadError:
        return LoadError(self._path, reason)

    def _bytes(self, offset: int, length: int, what: str) -> bytes:
        if offset + length > self._size:
            raise self._bad(f"truncated ELF file: {what} at {offset:#x} reach beyond its {self._size} bytes")
        self._stream.seek(offset)
        data = self._stream.read(length)
        if len(data) != length:
            raise self._bad(f"truncated ELF file: {what} cannot be read")
        return data

    def _check_identification(self) -> bool:
        """Judge e_ident; returns whether the file is big endian."""
        self._stream.seek(0)
        identification = self._stream.read(16)
        if identification[:4] != b"\x7fELF":
            for magic, description in _OTHER_FORMATS:
                if identification.startswith(magic):
                    raise self._bad(f"not an ELF file but {description}")
            raise self._bad("not an ELF file" if identification else "not an ELF file: it is empty")
        if len(identification) < 16 or self._size < _HEADER_SIZE:
            raise self._bad(f"truncated ELF file: {self._size} bytes do not hold the header")
        if identification[4] == 2:
            self._check_machine(identification[5] == 2)
            raise self._bad("a 64-bit program (n64); only 32-bit o32 programs can be run")
        if identification[4] != 1 or identification[5] not in (1, 2):
            raise self._bad("not a valid ELF file: unknown class or byte order")
        self._check_machine(identification[5] == 2)
        return identification[5] == 2

    def _check_machine(self, big_endian: bool) -> None:
        self._stream.seek(18)
        machine = int.from_bytes(self._stream.read(2), "big" if big_endian else "little")
        if machine != _EM_MIPS:
            from elftools.elf.enums import ENUM_E_MACHINE

            names = {number: name for name, number in ENUM_E_MACHINE.items() if isinstance(number, int)}
            name = names.get(machine, f"machine {machine}").removeprefix("EM_")
            raise self._bad(f"a program for another machine ({name}); only MIPS programs can be run")

    def _check_header(self, header: Any) -> None:
        flags = header["e_flags"]
        architecture = flags >> 28
        abi = flags & _EF_ABI_MASK
        if header["e_type"] not in ("ET_EXEC", "ET_DYN"):
            kind = {"ET_REL": "an object file", "ET_CORE": "a core dump"}.get(header["e_type"], "no program")
            raise self._bad(f"an ELF file, but {kind}: link it into an executable")
        if flags & _EF_ABI2:
            raise self._bad("an n32 program; only o32 programs can be run")
        if _EF_ABI_NAMES.get(abi) != "o32":
            raise self._bad(
                f"a program of ABI {_EF_ABI_NAMES.get(abi, hex(abi))}; only o32 programs can be run"
            )
        if architecture not in _RUNNABLE_ARCHITECTURES:
            name = _EF_ARCHITECTURES.get(architecture, f"architecture {architecture}")
            raise self._bad(f"a {name} program; only MIPS32 up to release 2 can be run")
        if flags & _EF_NAN2008:
            raise self._bad("a program with IEEE 754-2008 NaNs; only legacy NaN encoding can be run")
        if flags & _EF_MICROMIPS:
            raise self._bad("a microMIPS program; only MIPS32 encoding can be run")
        if flags & _EF_MIPS16:
            raise self._bad("a program with MIPS16 code; only MIPS32 encoding can be run")
        if header["e_phentsize"] != _PROGRAM_HEADER_SIZE:
            raise self._bad(f"not a valid ELF file: program headers of {header['e_phentsize']} bytes")
        if not 0 < header["e_phnum"] <= _MAXIMUM_PROGRAM_HEADERS:
            raise self._bad(f"not a valid ELF file: {header['e_phnum']} program headers")

    def _segment(self, entry: Any) -> Segment:
        address, offset = entry["p_vaddr"], entry["p_offset"]
        file_size, memory_size = entry["p_filesz"], entry["p_memsz"]
        if file_size > memory_size:
            raise self._bad(
                f"not a valid ELF file: segment at {address:#x} is larger in the file than in memory"
            )
        if offset + file_size > self._size:
            raise self._bad(
                f"truncated ELF file: segment at {address:#x} reaches beyond its {self._size} bytes"
            )
        if file_size and (address - offset) & PAGE_MASK:
            raise self._bad(
                f"not a valid ELF file: segment at {address:#x} is not aligned with its file offset"
            )
        if address + memory_size > USER_END:
            raise self._bad(f"segment at {address:#x} of {memory_size:#x} bytes does not fit in user space")
        flags = entry["p_flags"]
        protection = (READ if flags & 4 else 0) | (WRITE if flags & 2 else 0) | (EXEC if flags & 1 else 0)
        return Segment(address, offset, file_size, memory_size, protection)

    def _interpreter(self, entries: list[Any]) -> bytes | None:
        for entry in entries:
            if entry["p_type"] == "PT_INTERP":
                if not 2 <= entry["p_filesz"] <= 4096:
                    raise self._bad("not a valid ELF file: the interpreter's name has an impossible length")
                name = self._bytes(entry["p_offset"], entry["p_filesz"], "the interpreter's name")
                if name[-1]:
                    raise self._bad("not a valid ELF file: the interpreter's name is not terminated")
                return name.split(b"\0")[0]
        return None

    def _abi_flags_want_wide_fpu(self, entries: list[Any]) -> bool:
        for entry in entries:
            if entry["p_type"] in ("PT_MIPS_ABIFLAGS", 0x7000_0003):
                flags = self._bytes(entry["p_offset"], 24, "the ABI flags")
                return flags[_FP_ABI_OFFSET] in _FP_ABI_WIDE
        return False


def _headers_address(offset: int, size: int, segments: tuple[Segment, ...]) -> int:
    for segment in segments:
        if segment.offset <= offset and offset + size <= segment.offset + segment.file_size:
            return segment.address + offset - segment.offset
    return 0
