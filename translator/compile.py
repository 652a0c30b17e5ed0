"""LLVM: from IR text to relocatable object code for this host.

Importing this module loads llvmlite (0.14 s); the run time does so only in the compile worker, or when the
interpreter's object code is not in the disk cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import llvmlite.binding as llvm


@dataclass(frozen=True)
class Compiled:
    """What a compilation can give; only what was asked for is set."""

    object_code: bytes
    optimised_ir: str | None = None
    assembly: str | None = None


@cache
def _target_machine(codegen_level: int, reloc: str) -> Any:
    # Loop strength reduction gives loops more variables than the guest's own; hot loops are 5 % faster without.
    llvm.set_option("dbt-disco", "-disable-lsr")
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    llvm.initialize_native_asmparser()
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(
        cpu=llvm.get_host_cpu_name(),
        features=_features(),
        opt=codegen_level,
        reloc=reloc,
        codemodel="small",
    )


def _features() -> str:
    """Those of the host CPU, without AVX-512: the host saves its upper registers neither in preserve_allcc
    calls nor where a fault's handler would find them."""
    features = str(llvm.get_host_cpu_features().flatten())
    return f"{features},-avx512f" if "+avx512f" in features else features


def host_key() -> str:
    """Names the code generator and the host CPU: object code is good only where both agree."""
    features = llvm.get_host_cpu_features().flatten()
    return f"{llvm.llvm_version_info} {llvm.get_host_cpu_name()} {features}"


@contextmanager
def no_coalescing() -> Iterator[None]:
    """Compile without LLVM's register coalescer, which ends the process on a few valid functions.

    "Instruction is reading nonexistent value": llvm-project issues 202263 and 220302, mended in LLVM 23. The code
    has more moves, and is otherwise the same.
    """
    llvm.set_option("dbt-disco", "-join-liveintervals=false")
    try:
        yield
    finally:
        llvm.set_option("dbt-disco", "-join-liveintervals=true")


def compile_ir(
    text: str,
    *,
    codegen_level: int = 1,
    passes: bool = True,
    verify: bool = False,
    listing: bool = False,
    holes: bool = False,
) -> Compiled:
    """Parse, optimise with the three passes that pay (DESIGN section 3), and generate object code.

    `listing` also keeps the optimised IR and the host assembly, `verify` runs LLVM's verifier first
    (`parse_assembly` alone lets invalid SSA pass). `holes`: the addresses of undefined symbols become operands of 32
    bits.
    """
    machine = _target_machine(codegen_level, "static" if holes else "pic")
    module = llvm.parse_assembly(text)
    module.triple = machine.triple
    if verify:
        module.verify()
    if passes:
        options = llvm.create_pipeline_tuning_options(speed_level=1)
        # A module pass manager reused across modules crashes (DESIGN section 8).
        builder = llvm.create_pass_builder(machine, options)
        manager = llvm.create_new_module_pass_manager()
        manager.add_sroa_pass()
        manager.add_instruction_combine_pass()
        manager.add_simplify_cfg_pass()
        manager.run(module, builder)
    if not listing:
        return Compiled(machine.emit_object(module))
    optimised = str(module)  # generating code changes the module
    assembly = machine.emit_assembly(llvm.parse_assembly(optimised))
    return Compiled(machine.emit_object(module), optimised, assembly)
