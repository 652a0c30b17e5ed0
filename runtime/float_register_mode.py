"""What happens to the FPU registers when Status.FR changes."""

from __future__ import annotations

import ctypes

from translator.state import CpuState


def change_float_layout(state: CpuState, wide: bool) -> None:
    """Rearrange `state.fpr` for Status.FR = `wide`: f0 … f31 keep their words, high words become 0."""
    words = (ctypes.c_uint32 * 64).from_buffer(state.fpr)
    low = words[:32] if wide else words[0:64:2]
    ctypes.memset(words, 0, ctypes.sizeof(words))
    for number, word in enumerate(low):
        words[2 * number if wide else number] = word
