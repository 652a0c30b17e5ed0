"""`dbt_disco.Cpu`: memory, registers, and runs that stop for the right reason after the right count."""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import dbt_disco
from dbt_disco import Cpu, ExceptionCode, StopReason
from tests.conformance.assembler import assemble

ENGINES = ("reference", "interpreter", "translator", "auto")
CODE = 0x40_0000
COUNT_TO_5000 = (
    "addiu r8, r0, 5000",
    "addiu r9, r9, 1",  # loop
    "addiu r8, r8, -1",
    "bne r8, r0, -3",
    "addu r10, r10, r8",
    "break",
)
LENGTH = 1 + 4 * 5000
"""Instructions executed before the break."""


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def make(engine: str) -> Iterator[Callable[..., Cpu]]:
    """Makes a processor with code at CODE and its pc there."""
    made: list[Cpu] = []

    def maker(*code: str, **options: Any) -> Cpu:
        cpu = Cpu(engine=engine, **options)  # type: ignore[arg-type]
        made.append(cpu)
        cpu.map(CODE, 0x1000, "rx")
        for number, line in enumerate(code):
            cpu.write_word(CODE + 4 * number, assemble(line))
        cpu.pc = CODE
        return cpu

    yield maker
    for cpu in made:
        cpu.close()


def test_runs_to_an_exception(make: Callable[..., Cpu]) -> None:
    cpu = make(*COUNT_TO_5000)
    result = cpu.run()
    assert result.reason is StopReason.EXCEPTION
    assert result.exception is ExceptionCode.BP
    assert result.bad_address is None
    assert (result.pc, result.instructions) == (CODE + 20, LENGTH)
    assert cpu.registers["t1"] == 5000
    assert cpu.registers["t2"] == 5000 * 4999 // 2


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 4095, 4096, 4097, 8190, 8191, 8192, 8193, 20_000])
def test_counts_are_exact(make: Callable[..., Cpu], count: int) -> None:
    cpu = make(*COUNT_TO_5000)
    result = cpu.run(count=count)
    assert result.reason is StopReason.COUNT
    assert result.instructions == count
    assert cpu.registers["t1"] == (count + 2) // 4
    assert cpu.run().instructions == LENGTH - count


def test_until(make: Callable[..., Cpu]) -> None:
    cpu = make(*COUNT_TO_5000)
    first = cpu.run(until=CODE + 8)
    assert (first.reason, first.instructions) == (StopReason.UNTIL, 2)
    again = cpu.run(until=CODE + 8)
    assert (again.reason, again.instructions, cpu.registers["t1"]) == (StopReason.UNTIL, 4, 2)
    in_slot = cpu.run(until=CODE + 16)
    assert (in_slot.pc, in_slot.in_delay_slot, in_slot.instructions) == (CODE + 16, True, 2)
    end = cpu.run(until=CODE + 20)
    assert (end.reason, end.pc) == (StopReason.UNTIL, CODE + 20)
    assert sum(run.instructions for run in (first, again, in_slot, end)) == LENGTH


def test_until_within_hot_code(make: Callable[..., Cpu]) -> None:
    """A loop that has been translated is left at an address in its middle; later it runs on translated."""
    cpu = make("addiu r8, r8, 1", "addiu r9, r9, 1", "beq r0, r0, -3", "nop")
    assert cpu.run(count=40_000).reason is StopReason.COUNT
    for _ in range(3):
        assert cpu.run(until=CODE + 4).pc == CODE + 4
        assert cpu.registers["t0"] == cpu.registers["t1"] + 1
        assert cpu.run(count=4001).instructions == 4001


def test_the_first_limit_counts(make: Callable[..., Cpu]) -> None:
    cpu = make(*COUNT_TO_5000)
    assert cpu.run(until=CODE + 20, count=10).reason is StopReason.COUNT
    assert cpu.run(until=CODE + 4, count=10).reason is StopReason.UNTIL


def test_timeout(make: Callable[..., Cpu]) -> None:
    cpu = make("beq r0, r0, -1", "addiu r8, r8, 1")
    cpu.run(count=1000)
    cpu.registers["t0"] = 0
    start = time.perf_counter()
    result = cpu.run(timeout=0.2)
    assert result.reason is StopReason.TIMEOUT
    assert 0.2 <= time.perf_counter() - start < 5
    assert result.instructions > 100
    assert abs(2 * cpu.registers["t0"] - result.instructions) < 2
    assert cpu.run(count=1000).reason is StopReason.COUNT, (
        "the timer of an earlier run must not end a later one"
    )


def test_stop_from_another_thread(make: Callable[..., Cpu]) -> None:
    cpu = make("beq r0, r0, -1", "nop")
    threading.Timer(0.2, cpu.stop).start()
    assert cpu.run(timeout=20).reason is StopReason.STOPPED
    assert cpu.run(count=100).reason is StopReason.COUNT


def test_keyboard_interrupt(make: Callable[..., Cpu]) -> None:
    """The loop itself never calls Python."""
    cpu = make("beq r0, r0, -1", "addiu r8, r8, 1")
    before = signal.getsignal(signal.SIGINT)
    threading.Timer(0.3, signal.raise_signal, [signal.SIGINT]).start()
    with pytest.raises(KeyboardInterrupt):
        cpu.run(timeout=20)
    assert signal.getsignal(signal.SIGINT) is before
    assert cpu.run(count=100).reason is StopReason.COUNT


def test_system_call_and_skip(make: Callable[..., Cpu]) -> None:
    cpu = make("syscall", "beq r0, r0, +1", "syscall", "addiu r8, r0, 1", "break")
    assert cpu.run().reason is StopReason.SYSTEM_CALL
    cpu.skip()
    result = cpu.run()
    assert (result.reason, result.pc, result.in_delay_slot) == (StopReason.SYSTEM_CALL, CODE + 8, True)
    cpu.skip()
    assert cpu.pc == CODE + 12
    assert cpu.run().exception is ExceptionCode.BP


@pytest.mark.parametrize(
    ("code", "exception", "address"),
    [
        ("lw r8, 16(r0)", ExceptionCode.TLBL, 16),
        ("sw r8, 16(r0)", ExceptionCode.TLBS, 16),
        ("sw r8, 16(r16)", ExceptionCode.MOD, CODE + 16),
        ("add r8, r17, r17", ExceptionCode.OV, None),
        ("teq r0, r0", ExceptionCode.TR, None),
        (".word 0x7c00003f", ExceptionCode.RI, None),
        ("jr r18", ExceptionCode.TLBL, 0x50_0000),
        ("ll r8, 1(r16)", ExceptionCode.ADEL, CODE + 1),
    ],
)
def test_exceptions(
    make: Callable[..., Cpu], code: str, exception: ExceptionCode, address: int | None
) -> None:
    cpu = make(code, "nop")
    cpu.registers.update(s0=CODE, s1=0x7FFF_FFFF, s2=0x50_0000)
    result = cpu.run()
    assert (result.exception, result.bad_address) == (exception, address)
    assert cpu.registers["t0"] == 0


@pytest.mark.parametrize("big_endian", [False, True])
def test_byte_order(make: Callable[..., Cpu], big_endian: bool) -> None:
    cpu = make("lbu r8, 0(r16)", "break", big_endian=big_endian)
    cpu.map(0x50_0000, 4, "rw")
    cpu.write_word(0x50_0000, 0x11223344)
    assert cpu.read(0x50_0000, 4) == (b"\x11\x22\x33\x44" if big_endian else b"\x44\x33\x22\x11")
    cpu.registers["s0"] = 0x50_0000
    cpu.run()
    assert cpu.registers["t0"] == (0x11 if big_endian else 0x44)


def test_written_code_takes_effect(make: Callable[..., Cpu]) -> None:
    cpu = make(*COUNT_TO_5000)
    cpu.run()
    cpu.write_word(CODE + 4, assemble("addiu r9, r9, 2"))
    cpu.registers.update(t1=0, pc=CODE)
    cpu.run()
    assert cpu.registers["t1"] == 10_000


def test_memory(engine: str) -> None:
    with Cpu(engine=engine) as cpu:  # type: ignore[arg-type]
        cpu.map(0x1_0123, 0x2000, "r")
        cpu.write(0x1_0FFE, b"over the page")
        assert cpu.read(0x1_0FFE, 13) == b"over the page"
        cpu.protect(0x1_0000, 0x1000, "rw")
        cpu.unmap(0x1_1000, 0x1000)
        with pytest.raises(dbt_disco.GuestFault):
            cpu.read(0x1_0FFE, 13)
        with pytest.raises(dbt_disco.GuestFault):
            cpu.write(0x1_0FFE, b"over the page")
        with pytest.raises(OSError, match="beyond the end of user space"):
            cpu.map(0x8000_0000, 0x1000)
        with pytest.raises(ValueError, match="'q' is no protection"):
            cpu.map(0, 0x1000, "rq")


def test_registers(engine: str) -> None:
    with Cpu(engine=engine) as cpu:  # type: ignore[arg-type]
        registers = cpu.registers
        for number, name in enumerate(registers):
            if name != "fcsr":
                registers[name] = 0x1000 + number
        values = dict(registers)
        assert values.pop("zero") == 0
        assert values.pop("fcsr") == 0
        assert values == {name: 0x1000 + k for k, name in enumerate(registers) if name in values}
        assert registers["$a0"] == registers["r4"] == registers["4"] == values["a0"]
        assert registers["s8"] == registers["fp"]
        registers["v0"] = -1
        assert registers["v0"] == 0xFFFF_FFFF
        registers.set_double(12, -2.5)
        assert registers.double(12) == -2.5
        assert (registers["f12"], registers["f13"]) == (0, 0xC004_0000)
        registers.set_single(7, 0.5)
        assert registers["f7"] == 0x3F00_0000
        registers["fcsr"] = 0x0080_0003
        assert registers["fcsr"] == 0x0080_0003
        for wrong in ("a4", "f32", "", "fir"):
            with pytest.raises(KeyError):
                registers[wrong] = 1
        with pytest.raises(KeyError, match="f13 does not hold a double"):
            registers.double(13)


def test_wide_fpu(engine: str) -> None:
    with Cpu(engine=engine, wide_fpu=True) as cpu:  # type: ignore[arg-type]
        cpu.registers["f13"] = 1 << 63
        assert str(cpu.registers.double(13)) == "-0.0"
        cpu.registers.set_single(13, 1.0)
        assert cpu.registers["f13"] == 1 << 63 | 0x3F80_0000


def test_rounding_mode_from_outside(make: Callable[..., Cpu]) -> None:
    """Setting fcsr between runs reaches code that was decoded and translated before."""
    cpu = make("div.d f4, f0, f2", "break")
    cpu.registers.set_double(0, 1.0)
    cpu.registers.set_double(2, 3.0)
    results = []
    for mode in (0, 2, 3, 0):
        cpu.registers.update(pc=CODE, fcsr=mode)
        cpu.run()
        results.append(cpu.registers.double(4))
    assert results[0] == results[2] == results[3] == 1 / 3
    assert results[1] > 1 / 3


def test_several_processors_take_turns(engine: str) -> None:
    """Also of both byte orders, and with faults in native code."""
    cpus = [Cpu(engine=engine, big_endian=big) for big in (False, True, False)]  # type: ignore[arg-type]
    for number, cpu in enumerate(cpus):
        cpu.map(CODE, 0x1000)
        cpu.write_word(CODE, assemble("addiu r8, r8, 1"))
        cpu.write_word(CODE + 4, assemble("lw r9, 0(r16)"))
        cpu.registers["s0"] = 16 * (number + 1)
    for turn in range(1, 4):
        for number, cpu in enumerate(cpus):
            cpu.pc = CODE
            assert cpu.run().bad_address == 16 * (number + 1)
            assert cpu.registers["t0"] == turn
    for cpu in cpus:
        cpu.close()


def test_counting_can_be_left_out() -> None:
    with Cpu(engine="auto", count_instructions=False) as cpu:
        cpu.map(CODE, 0x1000)
        cpu.write_word(CODE, assemble("break"))
        cpu.pc = CODE
        assert cpu.run().instructions == 0
        with pytest.raises(ValueError, match="count_instructions"):
            cpu.run(count=1)


def test_wrong_arguments() -> None:
    with pytest.raises(ValueError, match="no engine 'warp'"):
        Cpu(engine="warp")  # type: ignore[arg-type]
    with Cpu(engine="reference") as cpu, pytest.raises(ValueError, match="negative"):
        cpu.run(count=-1)
    with pytest.raises(AttributeError, match="no attribute 'Gpu'"):
        dbt_disco.Gpu  # noqa: B018


def test_every_public_name_is_there() -> None:
    for name in dbt_disco.__all__:
        assert getattr(dbt_disco, name) is not None
    assert set(dbt_disco.__all__) <= set(dir(dbt_disco))
