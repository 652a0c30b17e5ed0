"""What a region is translated to, every line with the guest instruction it came from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from dbt_disco.dump.guest_code import GuestCode
from dbt_disco.dump.listing_compiler import CompilationFailed, ListingCompiler
from translator.decode import disassemble
from translator.region import Profile, Region, discover
from translator.region_ir import emit_region
from translator.source_lines import assembly_lines, ir_lines
from translator.translation import Mode
from translator.worker import STATIC_INSTRUCTIONS

STAGES: Final = {
    "guest": "guest assembly",
    "ir": "LLVM IR",
    "opt": "LLVM IR after optimisation",
    "host": "host assembly",
}
"""Stage → what it shows."""


@dataclass(frozen=True)
class Line:
    """A line of a stage."""

    address: int | None
    """Of the guest instruction it came from; None for what belongs to the region as a whole."""
    text: str
    executions: int | None = None
    """How often that instruction was executed, if the program was profiled."""


@dataclass(frozen=True)
class Listing:
    """A region in the stages asked for."""

    region: Region
    symbol: str
    stages: dict[str, list[Line]]
    executed: int | None
    """Instructions executed in it, if the program was profiled."""
    failure: str | None = None
    """Why LLVM cannot compile it, if that is so: it has no code of its own then, and runs in the interpreter."""

    def addresses(self) -> list[int]:
        """Its guest instructions, in order."""
        return sorted(self.region.words())


def find_region(code: GuestCode, seed: int) -> Region | None:
    """The region that would be translated for `seed`: by the profile if there is one; None if there is no code."""
    if code.is_profiled:
        return discover(seed, Profile(code.word, code.heat))
    return discover(seed, Profile(code.word, code.heat, warm=0, max_instructions=STATIC_INSTRUCTIONS))


def make_listing(
    code: GuestCode, region: Region, mode: Mode, stages: list[str], symbol: str, compiler: ListingCompiler
) -> Listing:
    """Translate a region and keep what the stages show."""
    found: dict[str, list[tuple[int | None, str]]] = {stage: [] for stage in STAGES if stage in stages}
    failure = None
    if "guest" in stages:
        found["guest"] = [
            (pc, f"{word:08x}  {disassemble(word, pc)}") for pc, word in sorted(region.words().items())
        ]
    if set(stages) - {"guest"}:
        text = emit_region(region, mode, source_lines=True).text
        found["ir"] = ir_lines(text)
        if "opt" in stages or "host" in stages:
            try:
                compiled = compiler.compile(text)
                found["opt"] = ir_lines(compiled.optimised_ir)
                found["host"] = assembly_lines(compiled.assembly)
            except CompilationFailed as error:
                failure = str(error)
    executions = {pc: code.executions(pc) for pc in region.words()} if code.is_profiled else {}
    lines = {
        stage: [Line(pc, text, executions.get(pc) if pc is not None else None) for pc, text in found[stage]]
        for stage in STAGES
        if stage in stages
    }
    executed = sum(executions.values()) if code.is_profiled else None
    return Listing(region, symbol, lines, executed, failure)
