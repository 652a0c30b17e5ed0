"""The frames Linux puts on a MIPS o32 stack to run a signal handler, and the way back.

Layouts: arch/mips/kernel/signal.c (struct sigframe, struct rt_sigframe), uapi asm/sigcontext.h, ucontext.h.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from dbt_disco.linux.guest_memory import GuestMemory
from dbt_disco.linux.layout import Layout
from dbt_disco.linux.signal_info import SIGNAL_INFO_SIZE, SignalInfo
from translator.state import CpuState

SIGNAL_RETURN_PAGE: Final = 0x7FFF_7000
"""The page that holds the two return trampolines, just below the end of user space (TASK_SIZE)."""
_RT_RETURN_OFFSET: Final = 8

_SIGCONTEXT: Final = Layout(
    "I _regmask, I status, Q pc, 32Q regs, 32Q fpregs, I _acx, I fpc_csr, I fpc_eir, I used_math, I _dsp, "
    "Q mdhi, Q mdlo, 6I _dsp_accumulators"
)
_MASK_WORDS: Final = 4
_SIGNAL_SET: Final = Layout(f"{_MASK_WORDS}I words")
_STACK: Final = Layout("I sp, I size, i flags")

# Offsets within struct sigframe: four argument words and two pad words come first.
_FRAME_HEAD: Final = 24
_FRAME_MASK: Final = _FRAME_HEAD + _SIGCONTEXT.size
_FRAME_SIZE: Final = _FRAME_MASK + _SIGNAL_SET.size
# Offsets within struct rt_sigframe.
_RT_INFO: Final = 24
_RT_CONTEXT: Final = _RT_INFO + SIGNAL_INFO_SIZE
_UC_STACK: Final = 8
_UC_MCONTEXT: Final = 24
_UC_MASK: Final = _UC_MCONTEXT + _SIGCONTEXT.size
_RT_SIZE: Final = _RT_CONTEXT + _UC_MASK + _SIGNAL_SET.size

_USED_FP: Final = 1
_USED_FR1: Final = 2
_RED_ZONE: Final = 32
"""Linux skips this much: its FPU emulator may be using the delay-slot area below the stack pointer."""


class AlternateStack(NamedTuple):
    """stack_t, as sigaltstack sets it."""

    address: int = 0
    size: int = 0
    flags: int = 2  # SS_DISABLE

    def holds(self, stack_pointer: int) -> bool:
        """Whether the stack pointer is on it (Linux: sas_ss)."""
        return self.size > 0 and 0 < stack_pointer - self.address <= self.size


def signal_return_code(big_endian: bool) -> bytes:
    """The trampolines: `li v0, number; syscall`, once for sigreturn and once for rt_sigreturn."""
    words = (0x2402_0000 | 4119, 0x0000_000C, 0x2402_0000 | 4193, 0x0000_000C)
    return b"".join(word.to_bytes(4, "big" if big_endian else "little") for word in words)


def signal_set_words(mask: int) -> tuple[int, ...]:
    """A 128-bit signal set as the guest's four words."""
    return tuple(mask >> (32 * i) & 0xFFFF_FFFF for i in range(_MASK_WORDS))


def signal_set_mask(words: list[int] | tuple[int, ...]) -> int:
    """The inverse of `signal_set_words`, for any number of words."""
    return sum(word << (32 * i) for i, word in enumerate(words))


def push_frame(
    memory: GuestMemory,
    state: CpuState,
    wide_fpu: bool,
    info: SignalInfo,
    mask: int,
    handler: int,
    with_info: bool,
    stack_top: int,
    stack: AlternateStack,
) -> None:
    """Build the handler's frame below `stack_top` and let the vCPU enter the handler.

    `mask` is what returning restores; `with_info` is SA_SIGINFO. `GuestFault` when the stack has no room, and
    then nothing has changed.
    """
    context = _context(state, wide_fpu)
    size = _RT_SIZE if with_info else _FRAME_SIZE
    frame = (stack_top - size) & 0xFFFF_FFF8
    packed_mask = _SIGNAL_SET.pack(memory.big_endian, {"words": signal_set_words(mask)})
    packed_context = _SIGCONTEXT.pack(memory.big_endian, context)
    if with_info:
        stack_values = {"sp": stack.address, "size": stack.size, "flags": stack.flags}
        head = bytes(_UC_STACK) + _STACK.pack(memory.big_endian, stack_values)
        body = info.packed(memory.big_endian) + head.ljust(_UC_MCONTEXT, b"\0") + packed_context + packed_mask
    else:
        body = packed_context + packed_mask
    memory.space.write(frame, (bytes(_FRAME_HEAD) + body).ljust(size, b"\0"))
    gpr = state.gpr
    gpr[4] = info.number
    gpr[5] = frame + _RT_INFO if with_info else 0
    gpr[6] = frame + (_RT_CONTEXT if with_info else _FRAME_HEAD)
    gpr[29] = frame
    gpr[31] = SIGNAL_RETURN_PAGE + (_RT_RETURN_OFFSET if with_info else 0)
    gpr[25] = handler
    state.pc = handler
    state.in_delay_slot = 0


def pop_frame(
    memory: GuestMemory, state: CpuState, wide_fpu: bool, with_info: bool
) -> tuple[int, AlternateStack | None]:
    """Restore the vCPU from the frame at its stack pointer.

    Returns the signal mask to restore and, from an rt frame, the alternate stack.
    """
    frame = state.gpr[29]
    context_address = frame + (_RT_CONTEXT + _UC_MCONTEXT if with_info else _FRAME_HEAD)
    mask_address = frame + (_RT_CONTEXT + _UC_MASK if with_info else _FRAME_MASK)
    context = memory.structure(_SIGCONTEXT, context_address)
    mask = signal_set_mask(memory.words(mask_address, _MASK_WORDS))
    stack = None
    if with_info:
        values = memory.structure(_STACK, frame + _RT_CONTEXT + _UC_STACK)
        stack = AlternateStack(values["sp"], values["size"], values["flags"])
    _restore(state, wide_fpu, context)
    return mask, stack


def stack_top(state: CpuState, stack: AlternateStack, wanted: bool) -> int:
    """Where a handler's frame goes: below the interrupted frame, or on the alternate stack (SA_ONSTACK)."""
    pointer = state.gpr[29]
    if wanted and stack.size and not stack.holds(pointer):
        return stack.address + stack.size
    return int(pointer - _RED_ZONE)


def _context(state: CpuState, wide_fpu: bool) -> dict[str, Any]:
    """The sigcontext of the current state. In a delay slot, pc is the branch, which is executed again."""
    from translator.float_unit import read_fcsr  # late: most programs never handle a signal

    pc = state.pc - 4 if state.in_delay_slot else state.pc
    registers = [_sign_extended(value) for value in state.gpr[:32]]
    registers[0] = 0
    floats = list(state.fpr)
    if not wide_fpu:
        floats = [floats[k // 2] if k % 2 == 0 else 0 for k in range(32)]
    return {
        "pc": _sign_extended(pc & 0xFFFF_FFFF),
        "regs": tuple(registers),
        "fpregs": tuple(floats),
        "fpc_csr": read_fcsr(state),
        "fpc_eir": state.fir,
        "used_math": _USED_FP | (_USED_FR1 if wide_fpu else 0),
        "mdhi": _sign_extended(state.hi),
        "mdlo": _sign_extended(state.lo),
    }


def _restore(state: CpuState, wide_fpu: bool, context: dict[str, Any]) -> None:
    for number in range(1, 32):
        state.gpr[number] = context["regs"][number] & 0xFFFF_FFFF
    state.pc = context["pc"] & 0xFFFF_FFFF
    state.in_delay_slot = 0
    state.hi = context["mdhi"] & 0xFFFF_FFFF
    state.lo = context["mdlo"] & 0xFFFF_FFFF
    state.link_valid = 0
    if not context["used_math"] & _USED_FP:
        return
    from translator.float_unit import write_fcsr

    floats = context["fpregs"]
    for number in range(32 if wide_fpu else 16):
        state.fpr[number] = floats[number if wide_fpu else 2 * number]
    write_fcsr(state, context["fpc_csr"])


def _sign_extended(value: int) -> int:
    """A 32-bit value in the 64-bit slot that sigcontext gives it."""
    return value | 0xFFFF_FFFF_0000_0000 if value & 0x8000_0000 else value
