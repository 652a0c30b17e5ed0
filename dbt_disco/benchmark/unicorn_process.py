"""Run a static little-endian MIPS program on Unicorn: `python -m … unicorn_process PROGRAM ARGUMENTS…`.

A yardstick for `dbt-disco bench` and nothing else: the handful of system calls that the benchmark programs
make, in the plainest way. Any other call ends the run.
"""

from __future__ import annotations

import errno
import os
import struct
import sys
from collections.abc import Callable
from typing import Any, Final

from elftools.elf.elffile import ELFFile
from unicorn import UC_ARCH_MIPS, UC_HOOK_INTR, UC_MODE_LITTLE_ENDIAN, UC_MODE_MIPS32, UC_PROT_ALL, Uc
from unicorn import mips_const as registers

PAGE: Final = 0x1000
STACK_TOP: Final = 0x7FFF_0000
STACK_SIZE: Final = 8 << 20
MAPPINGS: Final = 0x5000_0000
"""Where anonymous mappings start."""

STATUS_CU1: Final = 1 << 29
EXCEPTION_SYSCALL: Final = 17
EXCEPTION_RESERVED_INSTRUCTION: Final = 20
"""QEMU's numbers for exceptions, which Unicorn passes on."""

RDHWR_THREAD_POINTER: Final = 0x7C03_E83B
"""`rdhwr $v1, $29`: Linux emulates it where the processor lacks it, and so do we."""


class UnicornProcess:
    """One guest process: memory, program break, and the system calls."""

    def __init__(self, program: str, arguments: list[str]) -> None:
        self.unicorn = Uc(UC_ARCH_MIPS, UC_MODE_MIPS32 | UC_MODE_LITTLE_ENDIAN)
        self.unicorn.ctl_set_cpu_model(registers.UC_CPU_MIPS32_24KF)
        self.thread_pointer = 0
        self.next_mapping = MAPPINGS
        with open(program, "rb") as file:
            self.entry = self._load(ELFFile(file))
        self._make_stack([program, *arguments])
        self.calls: dict[int, Callable[..., int]] = {
            4001: self._exit,
            4004: self._write,
            4045: self._brk,
            4054: lambda *_: -errno.ENOTTY,  # ioctl
            4091: self._munmap,
            4125: lambda *_: 0,  # mprotect
            4146: self._writev,
            4195: lambda *_: 0,  # rt_sigprocmask
            4210: self._mmap2,
            4218: lambda *_: 0,  # madvise
            4246: self._exit,
            4252: lambda *_: 1,  # set_tid_address
            4283: self._set_thread_area,
        }

    def run(self) -> None:
        """Run the program to its end, which is the end of this host process."""
        status = self.unicorn.reg_read(registers.UC_MIPS_REG_CP0_STATUS)
        self.unicorn.reg_write(registers.UC_MIPS_REG_CP0_STATUS, status | STATUS_CU1)
        self.unicorn.hook_add(UC_HOOK_INTR, self._on_exception)
        self.unicorn.emu_start(self.entry, 0xFFFF_FFFF)

    def _load(self, elf: Any) -> int:
        end = 0
        for segment in elf.iter_segments("PT_LOAD"):
            address, size = segment["p_vaddr"], segment["p_memsz"]
            self._map(max(address & -PAGE, end), (address + size + PAGE - 1) & -PAGE)
            end = max(end, (address + size + PAGE - 1) & -PAGE)
            self.unicorn.mem_write(address, segment.data())
        self.program_break = end
        self.entry_headers = elf["e_phnum"], elf["e_phentsize"]
        self.headers_address = next(iter(elf.iter_segments("PT_LOAD")))["p_vaddr"] + elf["e_phoff"]
        return int(elf["e_entry"])

    def _map(self, start: int, end: int) -> None:
        if end > start:
            self.unicorn.mem_map(start, end - start, UC_PROT_ALL)

    def _make_stack(self, arguments: list[str]) -> None:
        self._map(STACK_TOP - STACK_SIZE, STACK_TOP)
        position = STACK_TOP - PAGE
        self.unicorn.mem_write(position, bytes(range(16)))
        vector = [(3, self.headers_address), (5, self.entry_headers[0]), (4, self.entry_headers[1])]
        vector += [
            (6, PAGE),
            (9, self.entry),
            (25, position),
            (0, 0),
        ]  # AT_PAGESZ, AT_ENTRY, AT_RANDOM, AT_NULL
        pointers = []
        for argument in arguments:
            data = os.fsencode(argument) + b"\0"
            position -= len(data)
            self.unicorn.mem_write(position, data)
            pointers.append(position)
        words = [len(pointers), *pointers, 0, 0, *(word for pair in vector for word in pair)]
        position = (position - 4 * len(words)) & -16
        self.unicorn.mem_write(position, struct.pack(f"<{len(words)}I", *words))
        self.unicorn.reg_write(registers.UC_MIPS_REG_SP, position)

    def _on_exception(self, unicorn: Uc, number: int, _: object) -> None:
        pc = unicorn.reg_read(registers.UC_MIPS_REG_PC)
        if number == EXCEPTION_SYSCALL:
            self._system_call()
            return
        word = struct.unpack("<I", unicorn.mem_read(pc, 4))[0]
        if number != EXCEPTION_RESERVED_INSTRUCTION or word != RDHWR_THREAD_POINTER:
            sys.exit(f"unicorn_process: exception {number} at {pc:#x}")
        unicorn.reg_write(registers.UC_MIPS_REG_V1, self.thread_pointer)
        unicorn.reg_write(registers.UC_MIPS_REG_PC, pc + 4)

    def _system_call(self) -> None:
        read = self.unicorn.reg_read
        number = read(registers.UC_MIPS_REG_V0)
        call = self.calls.get(number)
        if call is None:
            sys.exit(f"unicorn_process: system call {number} is not among those the benchmarks make")
        result = call(*(read(registers.UC_MIPS_REG_A0 + n) for n in range(4)))
        failed = -4096 < result < 0
        self.unicorn.reg_write(registers.UC_MIPS_REG_V0, -result if failed else result)
        self.unicorn.reg_write(registers.UC_MIPS_REG_A3, int(failed))

    def _exit(self, status: int, *_: int) -> int:
        os._exit(status & 0xFF)  # Unicorn would run on to the end of the block before it stops

    def _write(self, descriptor: int, address: int, size: int, _: int) -> int:
        return os.write(descriptor, self.unicorn.mem_read(address, size))

    def _writev(self, descriptor: int, vector: int, count: int, _: int) -> int:
        parts = struct.iter_unpack("<II", self.unicorn.mem_read(vector, 8 * count))
        return sum(self._write(descriptor, address, size, 0) for address, size in parts if size)

    def _brk(self, address: int, *_: int) -> int:
        end = (address + PAGE - 1) & -PAGE
        if end > self.program_break:
            self._map(self.program_break, end)
            self.program_break = end
        return address or self.program_break

    def _mmap2(self, _: int, size: int, *__: int) -> int:
        start = self.next_mapping
        self.next_mapping += (size + PAGE - 1) & -PAGE
        self._map(start, self.next_mapping)
        return start

    def _munmap(self, address: int, size: int, *_: int) -> int:
        self.unicorn.mem_unmap(address, (size + PAGE - 1) & -PAGE)
        return 0

    def _set_thread_area(self, address: int, *_: int) -> int:
        self.thread_pointer = address
        self.unicorn.reg_write(registers.UC_MIPS_REG_CP0_USERLOCAL, address)
        return 0


if __name__ == "__main__":
    UnicornProcess(sys.argv[1], sys.argv[2:]).run()
