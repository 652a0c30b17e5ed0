"""The vCPU of a virtual machine, with the engine that is asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dbt_disco.command_error import CommandError
from runtime.system.cpu_model import CPU_MODELS
from runtime.system.physical_memory import PhysicalMemory

if TYPE_CHECKING:
    from dbt_disco.virtual_machine.bus import Bus
    from dbt_disco.virtual_machine.configuration import Configuration
    from runtime.shared_compile_service import SharedCompileService
    from runtime.system.reference.vcpu import ReferenceVcpu
    from runtime.system.vcpu import SystemVcpu

    AnyVcpu = SystemVcpu | ReferenceVcpu


class EngineError(CommandError):
    """An engine cannot do what the configuration wants."""


def make_vcpu(
    configuration: Configuration,
    memory: PhysicalMemory,
    bus: Bus,
    *,
    big_endian: bool,
    compile_service: SharedCompileService | None = None,
) -> AnyVcpu:
    """A vCPU after reset. EngineError if the engine does not go with the clock.

    `compile_service`: see SystemTranslations.
    """
    model = CPU_MODELS[configuration.cpu]
    if configuration.engine == "reference":
        from runtime.system.reference.vcpu import ReferenceVcpu

        if configuration.clock != "instructions":
            raise EngineError(
                "the reference engine knows only time in instructions; add --clock instructions"
            )
        return ReferenceVcpu(
            memory,
            bus,  # type: ignore[arg-type]  # physical addresses are plain numbers in the runtime
            model,
            big_endian=big_endian,
            has_privileged_page=configuration.privileged_page,
        )
    from runtime.system.vcpu import SystemVcpu

    return SystemVcpu(
        memory,
        bus,  # type: ignore[arg-type]
        model,
        big_endian=big_endian,
        engine=configuration.engine,
        use_cache=configuration.use_cache,
        count_instructions=configuration.count_instructions,
        instruction_clock=configuration.clock == "instructions",
        has_privileged_page=configuration.privileged_page,
        rewrites_privileged_page=configuration.rewrites_privileged_page,
        program_key=str(configuration.kernel),
        compile_service=compile_service,
    )
