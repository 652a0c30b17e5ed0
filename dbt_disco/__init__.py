"""dbt-disco: a virtual machine monitor with a dynamic binary translator for MIPS guests.

The Python API, all of which is in this module's names:

    import dbt_disco

    program = dbt_disco.load("hello")
    print(program.run())

    with dbt_disco.Cpu(engine="interpreter") as cpu:
        cpu.map(0x40_0000, 0x1000)
        cpu.write_word(0x40_0000, 0x2402_002A)  # addiu $v0, $zero, 42
        cpu.pc = 0x40_0000
        cpu.run(count=1)
        print(cpu.registers["v0"])
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from dbt_disco.cpu import Cpu
    from dbt_disco.linux.load_error import LoadError
    from dbt_disco.program import Program, load
    from dbt_disco.registers import Registers
    from dbt_disco.run_result import RunResult, StopReason
    from runtime.address_space import GuestFault
    from translator.state import ExceptionCode

_MODULES: Final = {
    "Cpu": "dbt_disco.cpu",
    "ExceptionCode": "translator.state",
    "GuestFault": "runtime.address_space",
    "LoadError": "dbt_disco.linux.load_error",
    "Program": "dbt_disco.program",
    "Registers": "dbt_disco.registers",
    "RunResult": "dbt_disco.run_result",
    "StopReason": "dbt_disco.run_result",
    "load": "dbt_disco.program",
}
"""Where each public name is; imported when first used, since the command line must start fast."""

__all__ = [
    "Cpu",
    "ExceptionCode",
    "GuestFault",
    "LoadError",
    "Program",
    "Registers",
    "RunResult",
    "StopReason",
    "load",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module 'dbt_disco' has no attribute {name!r}")
    value = getattr(import_module(_MODULES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
