"""A guest program that applies one FPU instruction to many operands, and the ELF file around it.

Standard input is a sequence of records, which come back on standard output with the results filled in. An FPE
signal marks the record and skips the instruction.
"""

from __future__ import annotations

import struct
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.conformance import elf_writer
from tests.conformance.assembler import assemble
from tests.conformance.elf_writer import EXECUTE, READ, WRITE, Segment

RECORD = struct.Struct("<QQQIIQIIII8x")
"""a, b, c, FCSR before, -, result, trapped, -, FCSR after, -"""
ORIGIN = 0x0001_0000
BUFFER = 0x0100_0000
BUFFER_SIZE = 0x0100_0000
SIGFPE, SA_SIGINFO = 8, 8
SYS_EXIT, SYS_READ, SYS_WRITE, SYS_RT_SIGACTION = 4001, 4003, 4004, 4194
CONTEXT_PC = 32
"""Where the low word of the pc stands in a little-endian o32 ucontext."""


@dataclass(frozen=True)
class Case:
    """What to execute the instruction on."""

    operands: tuple[int, ...]
    fcsr: int


@dataclass(frozen=True)
class Result:
    """What the instruction did. `result` is the whole of the destination register, 0 before."""

    result: int
    trapped: bool
    fcsr: int


def pack(cases: Sequence[Case]) -> bytes:
    """The program's input."""
    blank = (0, 0, 0)
    return b"".join(RECORD.pack(*(case.operands + blank)[:3], case.fcsr, 0, 0, 0, 0, 0, 0) for case in cases)


def unpack(output: bytes) -> list[Result]:
    """The program's output."""
    fields = RECORD.iter_unpack(output)
    return [Result(result, bool(trapped), fcsr) for _, _, _, _, _, result, trapped, _, fcsr, _ in fields]


def assemble_listing(text: str) -> list[int]:
    """Assembly with labels: `label:` stands on a line of its own; a branch names it as `@label`."""
    labels: dict[str, int] = {}
    instructions: list[str] = []
    for line in filter(None, map(str.strip, text.splitlines())):
        if line.endswith(":"):
            labels[line[:-1]] = len(instructions)
        else:
            instructions.append(line)
    words = []
    for index, line in enumerate(instructions):
        plain, at, label = line.partition("@")
        words.append(assemble(plain + (str(labels[label] - index - 1) if at else "")))
    return words


HANDLER = ORIGIN + 8
"""The signal handler comes first, after a branch around it."""


def record_loop(instruction: str, load: str) -> str:
    """Apply `instruction` (on f2, f4, f6 to f0 or cc0) to the records from r16 to r17; `load`: lwc1 or
    ldc1."""
    return f"""
      record:
        lw r8, 24(r16)
        ctc1.fcsr r8
        {load} f2, 0(r16)
        {load} f4, 8(r16)
        {load} f6, 16(r16)
        ldc1 f0, 32(r16)
        {instruction}
        nop
        cfc1.fcsr r9, 31
        sw r9, 48(r16)
        sdc1 f0, 32(r16)
        addiu r16, r16, {RECORD.size}
        bne r16, r17, @record
        nop
    """


def program(instruction: str, load: str) -> list[int]:
    """Machine code of the whole program, around `record_loop`."""
    return assemble_listing(f"""
        beq r0, r0, @start
        nop
        lw r8, {CONTEXT_PC}(r6)
        addiu r8, r8, 4
        sw r8, {CONTEXT_PC}(r6)
        addiu r8, r0, 1
        sw r8, 40(r16)
        jr r31
        nop
      start:
        lui r16, {BUFFER >> 16}
        addiu r8, r0, {SA_SIGINFO}
        sw r8, -64(r16)
        lui r9, {HANDLER >> 16}
        ori r9, r9, {HANDLER & 0xFFFF}
        sw r9, -60(r16)
        addiu r4, r0, {SIGFPE}
        addiu r5, r16, -64
        addu r6, r0, r0
        addiu r7, r0, 16
        addiu r2, r0, {SYS_RT_SIGACTION}
        syscall 0
        addu r17, r16, r0
      read:
        addu r4, r0, r0
        addu r5, r17, r0
        lui r6, 1
        addiu r2, r0, {SYS_READ}
        syscall 0
        addu r17, r17, r2
        bne r2, r0, @read
        nop
        {record_loop(instruction, load)}
        lui r16, {BUFFER >> 16}
      write:
        addiu r4, r0, 1
        addu r5, r16, r0
        subu r6, r17, r16
        addiu r2, r0, {SYS_WRITE}
        syscall 0
        addu r16, r16, r2
        bne r16, r17, @write
        nop
        addu r4, r0, r0
        addiu r2, r0, {SYS_EXIT}
        syscall 0
    """)


def executable(instruction: str, load: str, wide_fpu: bool) -> bytes:
    """A little-endian o32 executable; `wide_fpu` asks for the 64-bit FPU registers (Status.FR = 1)."""
    code = b"".join(word.to_bytes(4, "little") for word in program(instruction, load))
    segments = [
        Segment(ORIGIN, code, READ | EXECUTE),
        Segment(BUFFER - 0x1000, b"", READ | WRITE, size=BUFFER_SIZE + 0x1000),
    ]
    return elf_writer.executable(ORIGIN, segments, big_endian=False, wide_fpu=wide_fpu)


def run_under_qemu(
    qemu: str, directory: Path, instruction: str, load: str, wide_fpu: bool, cases: Sequence[Case]
) -> list[Result]:
    """What qemu-mipsel's 24Kf does; CalledProcessError if the program is killed."""
    path = directory / "program"
    path.write_bytes(executable(instruction, load, wide_fpu))
    path.chmod(0o755)
    command = [qemu, "-cpu", "24Kf", str(path)]
    run = subprocess.run(command, input=pack(cases), capture_output=True, timeout=60, check=True)
    results = unpack(run.stdout)
    assert len(results) == len(cases)
    return results
