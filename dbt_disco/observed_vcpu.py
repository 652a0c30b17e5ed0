"""A vCPU with something put in front of it: what `--stats`, `--trace` and the API build on."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING

from dbt_disco.engine import native_vcpu
from translator.state import CpuState, Stop

if TYPE_CHECKING:
    from dbt_disco.engine import AnyVcpu
    from runtime.address_space import AddressSpace
    from runtime.tier_sampler import TierSampler


class ObservedVcpu:
    """Stands for a vCPU towards the Linux personality; subclasses change what `run` does."""

    def __init__(self, vcpu: AnyVcpu) -> None:
        self.vcpu = vcpu
        self.state: CpuState = vcpu.state
        self.address_space: AddressSpace = vcpu.address_space
        self.big_endian: bool = vcpu.big_endian

    @property
    def wide_fpu(self) -> bool:
        """See `dbt_disco.linux.vcpu.Vcpu`."""
        return self.vcpu.wide_fpu

    @wide_fpu.setter
    def wide_fpu(self, wide: bool) -> None:
        self.vcpu.wide_fpu = wide

    @property
    def precise_faults(self) -> bool:
        """See `runtime.vcpu.Vcpu`."""
        return self.vcpu.precise_faults

    @precise_faults.setter
    def precise_faults(self, precise: bool) -> None:
        self.vcpu.precise_faults = precise

    def run(self) -> Stop:
        """See `dbt_disco.linux.vcpu.Vcpu`."""
        return self.vcpu.run()

    def request_stop(self) -> None:
        """See `dbt_disco.linux.vcpu.Vcpu`."""
        self.vcpu.request_stop()


class TimedVcpu(ObservedVcpu):
    """Counts the seconds that its engine runs, and samples what it runs in native code."""

    def __init__(self, vcpu: AnyVcpu, *, use_cache: bool = True) -> None:
        super().__init__(vcpu)
        self.seconds = 0.0
        self.sampler: TierSampler | None = None
        """Of a native engine: of the thread that makes it."""
        native = native_vcpu(vcpu)
        if native is not None:
            from runtime.tier_sampler import TierSampler  # late: few runs are measured

            native.measure_native_time()
            self.sampler = TierSampler(native.native, use_cache=use_cache)

    def run(self) -> Stop:
        """As the vCPU's."""
        start = perf_counter()
        try:
            return self.vcpu.run()
        finally:
            self.seconds += perf_counter() - start
