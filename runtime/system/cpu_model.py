"""The processors a virtual machine can have, and their state after reset."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from translator.cp0_registers import CONFIG1_FP, Status
from translator.fcsr import FIR_24KF
from translator.state import SECOND_LEVEL_EMPTY, SECOND_LEVEL_RINGS, SECOND_LEVEL_SIZE, TLB_SIZE, CpuState

_MORE: Final = 1 << 31
"""Config.M: the next Config register exists."""
_CONFIG0: Final = _MORE | 1 << 10 | 1 << 7 | 2
"""Release 2, TLB, KSEG0 cached."""
_CONFIG0_BE: Final = 1 << 15
_CACHES: Final = 1 << 22 | 4 << 19 | 3 << 16 | 1 << 13 | 4 << 10 | 3 << 7
"""Each: 128 sets x 32-byte lines = 4 KB a way, four ways."""
_CONFIG1_MMU_SHIFT: Final = 25
_CONFIG3_ULRI: Final = 1 << 13
_CONFIG7_WII: Final = 1 << 31
_PRID_24K: Final = 0x0001_9300
_NEVER_MATCHES: Final = 0xFFFF_FFFF


@dataclass(frozen=True)
class CpuModel:
    """What `--cpu` names."""

    name: str
    has_fpu: bool
    tlb_entries: int


CPU_MODELS: Final = {
    model.name: model
    for model in (
        CpuModel("24Kf", has_fpu=True, tlb_entries=64),
        CpuModel("24Kf-16", has_fpu=True, tlb_entries=16),
        CpuModel("24Kc", has_fpu=False, tlb_entries=64),
        CpuModel("24Kc-16", has_fpu=False, tlb_entries=16),
    )
}
"""24K with UserLocal; `f` has an FPU, 16 is QEMU's number of TLB entries."""


def reset(state: CpuState, model: CpuModel, *, big_endian: bool) -> None:
    """The coprocessor 0 state that `boot` enters a kernel with (DESIGN section 6)."""
    state.status = Status.BEV
    state.ebase = 0x8000_0000
    state.prid = _PRID_24K
    state.config0 = _CONFIG0 | (_CONFIG0_BE if big_endian else 0)
    state.config1 = (
        _MORE | model.tlb_entries - 1 << _CONFIG1_MMU_SHIFT | _CACHES | (CONFIG1_FP if model.has_fpu else 0)
    )
    state.config2 = _MORE
    state.config3 = _CONFIG3_ULRI
    state.config7 = _CONFIG7_WII
    state.int_ctl = 7 << 29 | 7 << 26
    state.fir = FIR_24KF if model.has_fpu else 0
    state.tlb_last = state.random = model.tlb_entries - 1
    state.compare_ticks = 1 << 32
    for index in range(TLB_SIZE):
        state.tlb_hi[index] = state.tlb_compared[index] = _NEVER_MATCHES
    for ring in range(SECOND_LEVEL_SIZE, SECOND_LEVEL_SIZE + SECOND_LEVEL_RINGS):
        state.second_next[ring] = state.second_previous[ring] = ring
    state.second_hi[:] = [SECOND_LEVEL_EMPTY] * SECOND_LEVEL_SIZE
