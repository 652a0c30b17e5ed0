"""What `--stats` and the monitor's prompt report about a virtual machine."""

from __future__ import annotations

import resource
from typing import Any, Final

from dbt_disco.virtual_machine.instruction_surroundings import InstructionSurroundings
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system.vcpu import CLOCK_PER_INSTRUCTION, SystemVcpu

_NANOSECONDS: Final = 1_000_000_000
_KIB: Final = 1024


def measure(virtual_machine: VirtualMachine, start_up: float | None = None) -> dict[str, Any]:
    """The statistics up to now, ready for JSON; times are in seconds.

    `start_up` is how long this process has worked before the virtual machine was made. Instructions that the
    configuration did not ask to have counted are left out.
    """
    vcpu, memory = virtual_machine.vcpu, virtual_machine.memory
    state, configuration = vcpu.state, virtual_machine.configuration
    surroundings = virtual_machine.surroundings
    run_seconds = virtual_machine.run_time / _NANOSECONDS
    skipped = surroundings.skipped if isinstance(surroundings, InstructionSurroundings) else 0
    statistics: dict[str, Any] = {
        "engine": configuration.engine,
        "clock": configuration.clock,
        "exits": {stop.name.lower(): count for stop, count in vcpu.stops.items() if count},
        "tlb": {
            "refills": state.refills,
            "second_level_hits": state.second_hits,
            "fills": state.fills,
        },
        "windows": {"faults": state.window_faults, "fills": state.window_fills},
        "direct_accesses": state.direct_accesses,
        "memory_kib": {
            "of_the_guest": configuration.memory_size // _KIB,
            "touched": sum(1 for _ in memory.frames()) * MACHINE_PAGE_SIZE // _KIB,
            "copied_on_write": memory.copied * MACHINE_PAGE_SIZE // _KIB,
            "resident": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
        },
    }
    if isinstance(vcpu, SystemVcpu):
        statistics["words_decoded"] = vcpu.entries.words_decoded
        statistics["translations"] = vars(vcpu.translations.counts)
        statistics["stencil_bytes"] = vcpu.variant.stencil_bytes
        statistics["failures"] = vcpu.translations.failures
    if configuration.counts_instructions:
        instructions = (state.clock - skipped) // CLOCK_PER_INSTRUCTION
        translated = state.translated_clock // CLOCK_PER_INSTRUCTION
        statistics["instructions"] = instructions
        statistics["instructions_by_tier"] = {
            "interpreter": instructions - translated,
            "translated": translated,
        }
        statistics["guest_mips"] = instructions / max(run_seconds, 1e-9) / 1e6
    usage = resource.getrusage(resource.RUSAGE_SELF)
    seconds = {
        "run": run_seconds,
        "idle": surroundings.slept / _NANOSECONDS,
        "processor": usage.ru_utime + usage.ru_stime,
    }
    if start_up is not None:
        seconds["start_up"] = start_up
    statistics["seconds"] = {name: round(value, 6) for name, value in seconds.items()}
    return statistics


TITLES: Final = (
    ("instructions", "instructions"),
    ("guest MIPS", "guest_mips"),
    ("  in the interpreter", "instructions_by_tier.interpreter"),
    ("  in translated code", "instructions_by_tier.translated"),
    ("seconds before the guest ran", "seconds.start_up"),
    ("seconds that it ran", "seconds.run"),
    ("  of them idle", "seconds.idle"),
    ("processor time, with start-up", "seconds.processor"),
    ("TLB refill exceptions", "tlb.refills"),
    ("hits of the second-level TLB", "tlb.second_level_hits"),
    ("translations entered in the tables", "tlb.fills"),
    ("host faults of accesses through windows", "windows.faults"),
    ("  after which a page has been mapped", "windows.fills"),
    ("device accesses in native code", "direct_accesses"),
    ("guest memory, KiB", "memory_kib.of_the_guest"),
    ("  touched", "memory_kib.touched"),
    ("  copied as it was stored to", "memory_kib.copied_on_write"),
    ("resident memory, KiB", "memory_kib.resident"),
    ("distinct words decoded", "words_decoded"),
    ("bytes of host code from stencils", "stencil_bytes"),
    ("regions requested", "translations.requested"),
    ("  known from before", "translations.from_cache"),
    ("  compiled", "translations.compiled"),
    ("  installed", "translations.installed"),
    ("  dropped as their code changed", "translations.invalidated"),
    ("  out of date when compiled", "translations.outdated"),
    ("guest instructions in regions", "translations.instructions"),
    ("bytes of host code in regions", "translations.code_bytes"),
)
"""What each line of the table for people is called, and where its number stands."""


def titles(statistics: dict[str, Any]) -> tuple[tuple[str, str], ...]:
    """`TITLES`, and a line for each cause that execution has left native code for."""
    causes = sorted(statistics["exits"], key=lambda cause: -statistics["exits"][cause])
    return (*TITLES, *((f"exits: {cause.replace('_', ' ')}", f"exits.{cause}") for cause in causes))
