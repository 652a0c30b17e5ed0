"""Engines by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

if TYPE_CHECKING:
    from runtime.address_space import AddressSpace
    from runtime.reference import ReferenceEngine
    from runtime.vcpu import Vcpu

    AnyVcpu: TypeAlias = Vcpu | ReferenceEngine
    """What executes guest code, whatever the engine."""

EngineName = Literal["reference", "interpreter", "translator", "auto"]

ENGINES: Final[dict[str, str]] = {
    "auto": "threaded interpreter, hot regions translated in the background",
    "translator": "every block translated before it first runs",
    "interpreter": "threaded interpreter alone",
    "reference": "instruction semantics evaluated on Python integers: slow, and obviously right",
}
"""Engine → what it is."""


def make_vcpu(
    space: AddressSpace, engine: str, *, big_endian: bool, wide_fpu: bool = False, **native_options: Any
) -> AnyVcpu:
    """A vCPU on an address space, for which `native_options` are those of `runtime.vcpu.Vcpu`.

    ValueError if there is no such engine.
    """
    if engine not in ENGINES:
        raise ValueError(f"there is no engine {engine!r}; there are {', '.join(ENGINES)}")
    if engine == "reference":
        from runtime.reference import ReferenceEngine

        return ReferenceEngine(space, big_endian=big_endian, wide_fpu=wide_fpu)
    from runtime.vcpu import Vcpu

    return Vcpu(space, engine=cast(Any, engine), big_endian=big_endian, wide_fpu=wide_fpu, **native_options)


def native_vcpu(vcpu: AnyVcpu) -> Vcpu | None:
    """The vCPU if its engine generates native code; None if it is the reference engine."""
    return cast("Vcpu", vcpu) if hasattr(vcpu, "native") else None
