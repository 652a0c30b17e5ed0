"""What `--stats` reports about a run, and how it is measured.

Exact: the instructions of each tier (counted by the guest's clock, and again where translated code is
entered and left), the time in native code, in the engine's own Python code (decoding, installing
translations), in system calls and signals, and before the run; the processor time of the compile worker.
How native time is shared between the tiers is an estimate, from samples: see `runtime.tier_sampler`.
"""

from __future__ import annotations

import json
import resource
from collections.abc import Sequence
from time import perf_counter
from typing import TYPE_CHECKING, Any, Final

from dbt_disco.engine import native_vcpu

if TYPE_CHECKING:
    from dbt_disco.linux_guest import LinuxGuest
    from dbt_disco.observed_vcpu import TimedVcpu

_CLOCK_PER_INSTRUCTION: Final = 16


def measure(
    guest: LinuxGuest, timed: TimedVcpu, engine: str, started: float, run_started: float
) -> dict[str, Any]:
    """The statistics of a run that has just ended, ready for JSON; times are in seconds.

    `timed` is what the guest's process ran on. `started` and `run_started`: when this process began its work,
    and when the guest began to run, in terms of `time.perf_counter`.
    """
    now = perf_counter()
    run_seconds = now - run_started
    state = guest.vcpu.state
    instructions = state.clock // _CLOCK_PER_INSTRUCTION
    statistics: dict[str, Any] = {
        "engine": engine,
        "instructions": instructions,
        "guest_mips": round(instructions / run_seconds / 1e6, 3),
        "system_calls": guest.process.system_calls,
        "resident_kib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss,
    }
    seconds = {"total": now - started, "start_up": run_started - started}
    native = native_vcpu(guest.vcpu)
    if native is not None:
        translated = state.translated_clock // _CLOCK_PER_INSTRUCTION
        statistics["instructions_by_tier"] = {
            "interpreter": instructions - translated,
            "translated": translated,
        }
        statistics["words_decoded"] = native.entries.words.count
        statistics["translations"] = vars(native.translations.counts)
        native.translations.close()
        statistics["failures"] = native.translations.failures
        seconds["native"] = native.native_seconds
        _divide_native_time(timed, statistics, seconds)
        seconds["engine"] = timed.seconds - native.native_seconds
        seconds["compile_worker"] = native.translations.worker_seconds
    else:
        seconds["engine"] = timed.seconds
    seconds["system_calls"] = run_seconds - timed.seconds
    statistics["seconds"] = {name: round(value, 6) for name, value in seconds.items()}
    return statistics


def _divide_native_time(timed: TimedVcpu, statistics: dict[str, Any], seconds: dict[str, float]) -> None:
    """By tier, if there are samples that tell."""
    sampler = timed.sampler
    assert sampler is not None
    sampler.stop()
    statistics["samples"] = sampler.samples
    share = sampler.interpreter_share
    if share is not None:
        seconds["interpreter"] = share * seconds["native"]
        seconds["translated"] = (1 - share) * seconds["native"]


def as_json(statistics: dict[str, Any]) -> str:
    """One JSON object, for programs."""
    return json.dumps(statistics, indent=1) + "\n"


TITLES: Final = (
    ("instructions", "instructions"),
    ("guest MIPS", "guest_mips"),
    ("  in the interpreter", "instructions_by_tier.interpreter"),
    ("  in translated code", "instructions_by_tier.translated"),
    ("distinct words decoded", "words_decoded"),
    ("system calls", "system_calls"),
    ("seconds in all", "seconds.total"),
    ("  before the guest ran", "seconds.start_up"),
    ("  in native code", "seconds.native"),
    ("    of the interpreter, estimated", "seconds.interpreter"),
    ("    of translations, estimated", "seconds.translated"),
    ("    samples for that", "samples"),
    ("  in the engine's Python code", "seconds.engine"),
    ("  in system calls and signals", "seconds.system_calls"),
    ("  of the compile worker, meanwhile", "seconds.compile_worker"),
    ("single instructions of side exits", "translations.stepped"),
    ("regions requested", "translations.requested"),
    ("  known from before", "translations.from_cache"),
    ("  compiled", "translations.compiled"),
    ("  installed", "translations.installed"),
    ("  dropped as their code changed", "translations.invalidated"),
    ("  out of date when compiled", "translations.outdated"),
    ("guest instructions in regions", "translations.instructions"),
    ("bytes of host code in regions", "translations.code_bytes"),
    ("resident memory, KiB", "resident_kib"),
)


def as_text(statistics: dict[str, Any], titles: Sequence[tuple[str, str]] = TITLES) -> str:
    """A table for people; `titles` has what each line is called, and the path of names to its number."""
    lines = [f"dbt-disco: engine {statistics['engine']}"]
    for title, path in titles:
        value: Any = statistics
        for name in path.split("."):
            value = value.get(name) if isinstance(value, dict) else None
        if value is not None:
            lines.append(f"{title:36}{_number(value):>18}")
    lines += [
        f"translation failed: {failure.strip().splitlines()[-1]}"
        for failure in statistics.get("failures", ())
    ]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return f"{value:,}" if isinstance(value, int) else f"{value:,.3f}"
