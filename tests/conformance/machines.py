"""Machines by name, made once for all tests of a process."""

from __future__ import annotations

from functools import cache

from tests.conformance.engines import EngineMachine
from tests.conformance.machine import Machine


@cache
def make_machine(name: str, big_endian: bool, wide_fpu: bool) -> Machine:
    """An engine of ours by its name, or `unicorn`."""
    if name == "unicorn":
        from tests.conformance.unicorn_machine import UnicornMachine

        return UnicornMachine(big_endian, wide_fpu)
    return EngineMachine(name, big_endian, wide_fpu)
