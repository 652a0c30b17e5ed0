"""/proc/self/status, stat and statm: the host's, with the guest's memory, signals and name in place of ours.

Format: Documentation/filesystems/proc.rst.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from dbt_disco.linux.memory_usage import MappedMemory, ResidentMemory, mapped_memory, resident_memory
from dbt_disco.linux.signal_numbers import LAST
from runtime.address_space import EXEC, PAGE_SIZE, WRITE

if TYPE_CHECKING:
    from dbt_disco.linux.process import LinuxProcess

_X86_LINES: Final = ("x86_", "untag_mask")
"""Beginnings of lines that only this host's architecture has."""

# Fields of /proc/self/stat after the name, counted from 3 as in the documentation.
_THREADS: Final = 20
_SIZE: Final = 23
_RESIDENT: Final = 24
_LIMIT: Final = 25
_FIRST_ADDRESS: Final = 26
_LAST_ADDRESS: Final = 37
_START_DATA: Final = 45
_LAST: Final = 51


def status(process: LinuxProcess) -> bytes:
    """/proc/self/status."""
    mapped, resident, program_code = _memory(process)
    ignored, caught = process.signals.ignored_and_caught()
    changed = {
        "Name": process.command_name.decode(errors="replace"),
        "State": "R (running)",
        "VmPeak": _kib(mapped.total),
        "VmSize": _kib(mapped.total),
        "VmHWM": _kib(resident.anonymous + resident.file),
        "VmRSS": _kib(resident.anonymous + resident.file),
        "RssAnon": _kib(resident.anonymous),
        "RssFile": _kib(resident.file),
        "RssShmem": _kib(0),
        "VmData": _kib(mapped.data),
        "VmStk": _kib(mapped.stack),
        "VmExe": _kib(program_code),
        "VmLib": _kib(mapped.code - program_code),
        "VmPTE": _kib(0),
        "VmSwap": _kib(resident.swapped),
        "Threads": "1",
        "SigPnd": _signal_set(0),
        "ShdPnd": _signal_set(process.signals.pending_on_both()),
        "SigBlk": _signal_set(process.signals.mask),
        "SigIgn": _signal_set(ignored),
        "SigCgt": _signal_set(caught),
    }
    lines = []
    with open("/proc/self/status", encoding="utf-8", errors="surrogateescape") as file:
        for line in file:
            name = line.partition(":")[0]
            if not name.startswith(_X86_LINES):
                lines.append(f"{name}:\t{changed[name]}\n" if name in changed else line)
    return os.fsencode("".join(lines))


def stat(process: LinuxProcess) -> bytes:
    """/proc/self/stat."""
    with open("/proc/self/stat", "rb") as file:
        pid, _, rest = file.read().partition(b" (")
    fields = [pid, b"(" + process.command_name + b")", *rest.rpartition(b") ")[2].split()]
    mapped, resident, _ = _memory(process)
    ignored, caught = process.signals.ignored_and_caught()
    code = [region for region in _program_regions(process) if region[2]]
    changed = dict.fromkeys([*range(_FIRST_ADDRESS, _LAST_ADDRESS + 1), *range(_START_DATA, _LAST + 1)], 0)
    changed |= {
        _THREADS: 1,
        _SIZE: mapped.total,
        _RESIDENT: (resident.anonymous + resident.file) // PAGE_SIZE,
        _LIMIT: (1 << 32) - 1,
        26: min((start for start, _, _ in code), default=0),  # start_code
        27: max((end for _, end, _ in code), default=0),  # end_code
        28: process.program.stack_pointer,  # start_stack
        31: process.signals.pending_on_both() & 0x7FFF_FFFF,
        32: process.signals.mask & 0x7FFF_FFFF,
        33: ignored & 0x7FFF_FFFF,
        34: caught & 0x7FFF_FFFF,
        47: process.program.program_break,  # start_brk
    }
    for number, value in changed.items():
        fields[number - 1] = b"%d" % value
    return b" ".join(fields) + b"\n"


def statm(process: LinuxProcess) -> bytes:
    """/proc/self/statm, in pages."""
    mapped, resident, program_code = _memory(process)
    sizes = (
        mapped.total,
        resident.anonymous + resident.file,
        resident.file,
        program_code,
        0,
        mapped.data + mapped.stack,
        0,
    )
    return b" ".join(b"%d" % (size // PAGE_SIZE) for size in sizes) + b"\n"


def _memory(process: LinuxProcess) -> tuple[MappedMemory, ResidentMemory, int]:
    """What is mapped, what of it is resident, and how much code the program itself has."""
    regions = list(process.space.regions)
    program_code = sum(end - start for start, end, is_code in _program_regions(process) if is_code)
    parts = [resident_memory(process.space, region.start, region.end) for region in regions]
    resident = ResidentMemory(*map(sum, zip(*parts, strict=True))) if parts else ResidentMemory()
    return mapped_memory(regions), resident, program_code


def _program_regions(process: LinuxProcess) -> list[tuple[int, int, bool]]:
    """(start, end, is it code) of what is mapped of the program's own file."""
    path = os.fsdecode(process.program.path)
    return [
        (region.start, region.end, bool(region.protection & EXEC) and not region.protection & WRITE)
        for region in process.space.regions
        if region.name == path
    ]


def _kib(size: int) -> str:
    return f"{size >> 10:8d} kB"


def _signal_set(mask: int) -> str:
    """As the kernel of a machine with 128 signals prints it."""
    return f"{mask:0{(LAST + 1) // 4}x}"
