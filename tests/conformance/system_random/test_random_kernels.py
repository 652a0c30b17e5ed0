"""Random kernels – TLB, modes, exceptions, interrupts – on native engines, in lockstep with the reference engine.

The interpreter is compared at every taken branch; regions are left near a limit, so the translator runs stretches.
`auto` runs stencils for all that a branch has gone to once, and is compared after every instruction, or after some.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from dbt_disco.lockstep.machine_lockstep import MachineLockstep
from runtime.decoded_words import DecodedWords
from runtime.system.vcpu import SystemVcpu
from tests.conformance.system_random.kernels import CODE, Kernel, KernelLost, KernelMachine, random_kernel
from tests.deadline import deadline
from tests.runtime.system.bare_machine import Engine

BLOCK_BY_BLOCK = 0
STRETCHES: dict[Engine, int] = {"interpreter": BLOCK_BY_BLOCK, "translator": 100, "auto": 40}
"""Engine → instructions between two comparisons."""
KERNELS: dict[Engine, int] = {"interpreter": 10, "translator": 3, "auto": 10}
"""Engine → kernels by default; regions of the translator take time to compile."""
INSTRUCTIONS = 4_000
LONG = 20_000
MANY = 150
PARTS = 15
MOVED = 40
LONGEST = 240
"""Seconds after which a kernel is taken to hang; it takes 1 to 20."""
CPUS = ("24Kf", "24Kf-16", "24Kc")


def machine(kernel: Kernel, engine: Engine, seed: int, big_endian: bool) -> KernelMachine:
    return KernelMachine(kernel, engine, big_endian=big_endian, cpu=CPUS[seed % len(CPUS)])


def check(
    engine: Engine,
    seed: int,
    instructions: int,
    big_endian: bool,
    *,
    moved: bool = False,
    stretch: int | None = None,
) -> int:
    """One kernel, up to where it is lost, if so; the number of instructions executed in regions."""
    kernel = random_kernel(seed, instructions, moved=moved)
    leader = machine(kernel, "reference", seed, big_endian)
    follower = machine(kernel, engine, seed, big_endian)
    try:
        names = f"reference (seed {seed})", engine
        with suppress(KernelLost), deadline(LONGEST, " beside ".join(names)):
            stretch = STRETCHES[engine] if stretch is None else stretch
            MachineLockstep(leader, follower, names, stretch=stretch).run(instructions)
        assert isinstance(follower.vcpu, SystemVcpu)
        assert bool(follower.vcpu.variant.stencil_bytes) == (engine == "auto")
        assert not follower.vcpu.translations.failures
        return int(follower.vcpu.state.translated_clock) // 16
    finally:
        leader.close()
        follower.close()


def test_a_kernel_without_handlers_is_lost() -> None:
    """An undefined instruction raises, and so does the one at the general exception vector, for ever."""
    undefined = 0xFFFF_FFFF
    kernel = Kernel(0x8000_0000 | CODE, [0] * 32, {CODE: [undefined], 0x180: [undefined]})
    leader = machine(kernel, "reference", 0, big_endian=False)
    with pytest.raises(KernelLost, match="at 0x80000180"):
        leader.run(LONG)
    leader.close()


@pytest.mark.parametrize("seed", [2, 118, 131])
def test_kernels_that_once_failed(seed: int) -> None:
    """2: user code reads Count in a region, after the kernel has written it.
    118: a region writes to BadVAddr, which changes nothing, and then has an exception.
    131: LLVM's register coalescer ends the process on one of its regions.
    """
    check("translator", seed, LONG, big_endian=False)


def check_many(
    engine: Engine, seeds: range, instructions: int, big_endian: bool, *, moved: bool = False
) -> None:
    translated = sum(check(engine, seed, instructions, big_endian, moved=moved) for seed in seeds)
    least = instructions * len(seeds) // 20 if engine == "translator" else 0
    assert translated >= least


def test_native_code_that_finds_no_decoded_words(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """As if words of earlier runs had taken their places in the hash: kernels once hung in front of a region then."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(DecodedWords, "_publish", lambda *_: None)
    check_many("interpreter", range(1, 4), INSTRUCTIONS, big_endian=False)
    check_many("translator", range(1, 4), INSTRUCTIONS, big_endian=False)


@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
@pytest.mark.parametrize("engine", KERNELS)
def test_random_kernels(engine: Engine, big_endian: bool, first_seed: int) -> None:
    check_many(engine, range(first_seed, first_seed + KERNELS[engine]), INSTRUCTIONS, big_endian)


@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
def test_random_kernels_that_stop_between_any_two_stencils(big_endian: bool, first_seed: int) -> None:
    for seed in range(first_seed, first_seed + KERNELS["auto"]):
        check("auto", seed, INSTRUCTIONS, big_endian, stretch=1)


@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
def test_random_kernels_whose_code_is_at_many_addresses(big_endian: bool, first_seed: int) -> None:
    seeds = range(first_seed, first_seed + KERNELS["translator"])
    check_many("translator", seeds, INSTRUCTIONS, big_endian, moved=True)


@pytest.mark.slow
@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
def test_many_random_kernels_whose_code_is_at_many_addresses(big_endian: bool, first_seed: int) -> None:
    check_many("translator", range(first_seed, first_seed + MOVED), LONG, big_endian, moved=True)


@pytest.mark.slow
@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("big_endian", [False, True], ids=["le", "be"])
@pytest.mark.parametrize("engine", KERNELS)
def test_many_random_kernels(engine: Engine, big_endian: bool, part: int, first_seed: int) -> None:
    """In parts, for several processors, and so that none comes to its time-out."""
    size = MANY // PARTS
    first = first_seed + part * size
    check_many(engine, range(first, first + size), LONG, big_endian)


@pytest.mark.soak
def test_random_kernels_soak(soak_seeds: Iterator[int]) -> None:
    for seed in soak_seeds:
        for engine in KERNELS:
            check(engine, seed, LONG, bool(seed & 1), moved=bool(seed & 2))
