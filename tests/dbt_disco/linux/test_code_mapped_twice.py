"""Code written through one mapping of a file and run through another, as some JITs do it."""

from __future__ import annotations

from pathlib import Path

import pytest

from dbt_disco.linux_guest import LinuxGuest
from tests.conformance.assembler import assemble
from tests.conformance.elf_writer import EXECUTE, READ, WRITE, Segment, executable

CODE, DATA = 0x40_0000, 0x41_0000
EXIT, MMAP, FTRUNCATE, CACHEFLUSH, MEMFD_CREATE = 4001, 4210, 4093, 4147, 4354
MAP_SHARED, READ_WRITE, READ_EXECUTE = 1, 3, 5
JUMP_BACK, NAME = 0, 16
"""Offsets in DATA: `jr $ra`, a name."""


def call(number: int) -> list[str]:
    return [f"addiu r2, r0, {number}", "syscall 0"]


def map_file(protection: int, register: int) -> list[str]:
    """A shared mapping of the file in r17; the offset, the sixth argument, is zero on the stack."""
    lines = [
        "addu r4, r0, r0",
        "addiu r5, r0, 4096",
        f"addiu r6, r0, {protection}",
        f"addiu r7, r0, {MAP_SHARED}",
    ]
    return [*lines, "sw r17, 16(r29)", "sw r0, 20(r29)", *call(MMAP), f"addu r{register}, r2, r0"]


def write_and_run(value: int) -> list[str]:
    """Put `jr $ra; addiu $v0, $zero, value` behind r18, flush r19, and call that."""
    word = assemble(f"addiu r2, r0, {value}")
    lines = [f"lw r8, {JUMP_BACK}(r16)", "sw r8, 0(r18)"]
    lines += [f"lui r8, {word >> 16}", f"ori r8, r8, {word & 0xFFFF}", "sw r8, 4(r18)"]
    lines += ["addu r4, r19, r0", "addiu r5, r0, 8", "addiu r6, r0, 3", *call(CACHEFLUSH)]
    return [*lines, "jalr r31, r19", "nop"]


@pytest.mark.parametrize("engine", ["interpreter", "auto", "translator", "reference"])
@pytest.mark.parametrize("big_endian", [False, True], ids=["little", "big"])
def test_what_is_flushed_is_what_runs(tmp_path: Path, engine: str, big_endian: bool) -> None:
    lines = [f"lui r16, {DATA >> 16}", "addiu r29, r29, -32"]
    lines += [f"addiu r4, r16, {NAME}", "addu r5, r0, r0", *call(MEMFD_CREATE), "addu r17, r2, r0"]
    lines += ["addu r4, r17, r0", "addiu r5, r0, 4096", *call(FTRUNCATE)]
    lines += [*map_file(READ_WRITE, 18), *map_file(READ_EXECUTE, 19)]
    lines += [*write_and_run(3), "sll r20, r2, 4", *write_and_run(5), "addu r4, r20, r2", *call(EXIT)]
    order = "big" if big_endian else "little"
    text = b"".join(assemble(line).to_bytes(4, order) for line in lines)  # type: ignore[arg-type]
    data = assemble("jr r31").to_bytes(4, order).ljust(NAME, b"\0") + b"code\0"  # type: ignore[arg-type]
    segments = [Segment(CODE, text, READ | EXECUTE), Segment(DATA, data, READ | WRITE)]
    path = tmp_path / "guest"
    path.write_bytes(executable(CODE, segments, big_endian=big_endian, wide_fpu=False))
    path.chmod(0o755)
    guest = LinuxGuest(str(path), engine=engine)
    try:
        assert guest.run().code == 0x35
    finally:
        guest.close()
