"""A `Start` as a whole Linux program, and the `Outcome` that it writes to its standard output.

A prologue sets every register and jumps to the code; whatever stops the code is a signal, whose handler (on a
stack of its own) writes out the registers it was given, the FPU and the data.
"""

from __future__ import annotations

import struct

from tests.conformance.assembler import assemble
from tests.conformance.elf_writer import EXECUTE, READ, WRITE, Segment, executable
from tests.conformance.machine import CODE, DATA, DATA_SIZE, READ_ONLY, Outcome, Registers, Start

_PROLOGUE = 0x0010_0000
_AREA = 0x2000_0000
"""Initial registers, the dump of the FPU, and the signal stack."""
_AREA_SIZE = 0x2_0000
_FCSR, _HI, _LO, _GPR, _FPR, _ACTION, _STACK, _DUMP = 0, 4, 8, 16, 144, 512, 544, 1024
_DUMP_SIZE = 16 + 8 * 32
_SIGNAL_STACK_AT, _SIGNAL_STACK_SIZE = 0x1_0000, 0x1_0000
_SYS_EXIT, _SYS_WRITE, _SYS_SIGALTSTACK, _SYS_RT_SIGACTION, _SYS_SET_THREAD_AREA = (
    4001,
    4004,
    4206,
    4194,
    4283,
)
_SA_SIGINFO_ONSTACK = 0x0800_0008
SIGNALS = {4: "ILL", 5: "TRAP", 8: "FPE", 10: "BUS", 11: "SEGV"}
_SIGNAL_OF_EXCEPTION = {
    "BP": "TRAP",
    "TR": "TRAP",
    "OV": "FPE",
    "FPE": "FPE",
    "RI": "ILL",
    "CPU": "ILL",
    "ADEL": "BUS",
}

# struct ucontext of o32: the sigcontext starts at 24.
_CONTEXT_SIZE, _CONTEXT_PC, _CONTEXT_GPR, _CONTEXT_HI, _CONTEXT_LO = 600, 32, 40, 576, 584
_SIGINFO_ADDRESS = 12


def build(start: Start, *, big_endian: bool, wide_fpu: bool) -> bytes:
    """The executable."""
    order = ">" if big_endian else "<"
    registers = start.registers
    area = bytearray(_DUMP)
    struct.pack_into(f"{order}3I", area, _FCSR, registers.fcsr, registers.hi, registers.lo)
    struct.pack_into(f"{order}32I", area, _GPR, *registers.gpr)
    kind = "Q" if wide_fpu else "I"
    struct.pack_into(f"{order}32{kind}", area, _FPR, *registers.fpr)
    handler_at = _PROLOGUE + 0x800
    struct.pack_into(f"{order}2I", area, _ACTION, _SA_SIGINFO_ONSTACK, handler_at)
    struct.pack_into(f"{order}3I", area, _STACK, _AREA + _SIGNAL_STACK_AT, _SIGNAL_STACK_SIZE, 0)
    prologue = _assemble(_prologue(start, wide_fpu), big_endian)
    assert len(prologue) <= 0x800
    text = prologue.ljust(0x800, b"\0") + _assemble(_handler(wide_fpu), big_endian)
    segments = [
        Segment(_PROLOGUE, text, READ | EXECUTE),
        Segment(CODE, start.code(big_endian), READ | EXECUTE),
        Segment(DATA, start.data, READ | WRITE),
        Segment(READ_ONLY, start.read_only, READ),
        Segment(_AREA, bytes(area), READ | WRITE, size=_AREA_SIZE),
    ]
    return executable(_PROLOGUE, segments, big_endian=big_endian, wide_fpu=wide_fpu)


def _assemble(lines: list[str], big_endian: bool) -> bytes:
    return b"".join(assemble(line).to_bytes(4, "big" if big_endian else "little") for line in lines)


def _load_address(register: int, address: int) -> list[str]:
    return [f"lui r{register}, {address >> 16}", f"ori r{register}, r{register}, {address & 0xFFFF}"]


def _call(number: int) -> list[str]:
    return [f"addiu r2, r0, {number}", "syscall 0"]


def _prologue(start: Start, wide_fpu: bool) -> list[str]:
    lines = _load_address(16, _AREA)
    lines += [f"addiu r4, r16, {_STACK}", "addu r5, r0, r0", *_call(_SYS_SIGALTSTACK)]
    for signal in SIGNALS:
        lines += [f"addiu r4, r0, {signal}", f"addiu r5, r16, {_ACTION}", "addu r6, r0, r0"]
        lines += ["addiu r7, r0, 16", *_call(_SYS_RT_SIGACTION)]
    lines += [*_load_address(4, start.user_local), *_call(_SYS_SET_THREAD_AREA)]
    load, size = ("ldc1", 8) if wide_fpu else ("lwc1", 4)
    lines += [f"{load} f{number}, {_FPR + size * number}(r16)" for number in range(32)]
    lines += [f"lw r2, {_HI}(r16)", "mthi r2", f"lw r2, {_LO}(r16)", "mtlo r2"]
    lines += [f"lw r2, {_FCSR}(r16)", "ctc1.fcsr r2", "addu r1, r16, r0"]
    lines += [f"lw r{number}, {_GPR + 4 * number}(r1)" for number in range(2, 32)]
    return [*lines, f"j {start.pc // 4}", f"lw r1, {_GPR + 4}(r1)"]


def _handler(wide_fpu: bool) -> list[str]:
    """With r4: signal, r5: siginfo, r6: ucontext."""
    lines = [*_load_address(16, _AREA + _DUMP), "sw r4, 0(r16)", f"lw r8, {_SIGINFO_ADDRESS}(r5)"]
    lines += ["sw r8, 4(r16)", "cfc1.fcsr r8, 31", "sw r8, 8(r16)"]
    store = "sdc1" if wide_fpu else "swc1"
    lines += [f"{store} f{number}, {16 + 8 * number}(r16)" for number in range(32)]
    for address, size in (("r6", _CONTEXT_SIZE), ("r16", _DUMP_SIZE), ("r17", DATA_SIZE)):
        lines += _load_address(17, DATA)
        lines += ["addiu r4, r0, 1", f"addu r5, {address}, r0", f"addiu r6, r0, {size}", *_call(_SYS_WRITE)]
    return [*lines, "addu r4, r0, r0", *_call(_SYS_EXIT)]


def parse(output: bytes, *, big_endian: bool, wide_fpu: bool) -> Outcome:
    """The outcome in terms of signals: see `as_signal`."""
    assert len(output) == _CONTEXT_SIZE + _DUMP_SIZE + DATA_SIZE, f"{len(output)} bytes of output"
    order = ">" if big_endian else "<"
    context, dump = output[:_CONTEXT_SIZE], output[_CONTEXT_SIZE : _CONTEXT_SIZE + _DUMP_SIZE]

    def low_word(offset: int) -> int:
        return int(struct.unpack_from(f"{order}Q", context, offset)[0]) & 0xFFFF_FFFF

    signal, address, fcsr = struct.unpack_from(f"{order}3I", dump)
    cells = [16 + 8 * number for number in range(32)]
    fpr = [struct.unpack_from(f"{order}{'Q' if wide_fpu else 'I'}", dump, at)[0] for at in cells]
    gpr = [0] + [low_word(_CONTEXT_GPR + 8 * number) for number in range(1, 32)]
    registers = Registers(gpr, low_word(_CONTEXT_HI), low_word(_CONTEXT_LO), fpr, fcsr)
    event = f"signal {SIGNALS[signal]}"
    return Outcome(
        event=event,
        pc=low_word(_CONTEXT_PC),
        in_delay_slot=False,
        bad_address=address if event == "signal SEGV" else None,
        retired=0,
        registers=registers,
        data=output[-DATA_SIZE:],
    )


def as_signal(outcome: Outcome) -> Outcome:
    """What a signal handler sees of an outcome: the signal, and the address at which to go on."""
    _, _, code = outcome.event.partition("exception ")
    return Outcome(
        event=f"signal {_SIGNAL_OF_EXCEPTION[code] if code else 'SEGV'}",
        pc=outcome.pc - 4 * outcome.in_delay_slot,
        in_delay_slot=False,
        bad_address=outcome.bad_address if outcome.event == "fault" else None,
        retired=0,
        registers=outcome.registers,
        data=outcome.data,
    )
