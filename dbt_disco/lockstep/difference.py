"""The first difference between two engines, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from runtime.address_space import PAGE_SIZE, AddressSpace, GuestFault
from translator.decode import decode, disassemble
from translator.encoding import Flow

if TYPE_CHECKING:
    from dbt_disco.lockstep.lockstep_vcpu import LockstepVcpu

_SHOWN_BLOCKS: Final = 16
_LONGEST_BLOCK: Final = 256


class Difference(BaseException):
    """Ends a lockstep run. Not an `Exception`, so that nothing on the way out handles it.

    `before`: the registers at the start of the stretch; `after`: the leader's and the follower's now;
    `ends`: how each ended it; `blocks`: where the follower's blocks began; `page`: address of a page whose
    contents differ.
    """

    def __init__(
        self,
        vcpu: LockstepVcpu,
        before: dict[str, int],
        after: tuple[dict[str, int], dict[str, int]],
        ends: tuple[str, str],
        blocks: list[int],
        page: int | None = None,
    ) -> None:
        self._vcpu = vcpu
        self._before = before
        self._after = after
        self._ends = ends
        self._blocks = blocks
        self._page = page
        super().__init__(self.headline())

    def headline(self) -> str:
        """What differs, in one line."""
        first, second = self._vcpu.names
        what = f"memory at {self._page:#010x}" if self._page is not None else ", ".join(self.names())
        instructions = self._before["instructions"]
        where = f"after {instructions:,} instructions, at {self._before['pc']:#010x}"
        return f"lockstep: {first} and {second} differ {where}: {what}"

    def names(self) -> list[str]:
        """The registers that differ, and `end` if one engine stopped otherwise than the other."""
        leading, following = self._after
        differing = [name for name in leading if leading[name] != following.get(name)]
        return differing + (["end"] if self._ends[0] != self._ends[1] else [])

    def report(self) -> str:
        """Both states, and the code that made them."""
        return "\n".join([*self._states(), *self._memory(), *self._code()]) + "\n"

    def _states(self) -> Iterator[str]:
        first, second = self._vcpu.names
        yield f"{'':15}{'before':>18}{first:>18}{second:>18}"
        leading, following = self._after
        for name, value in leading.items():
            other = following.get(name, 0)
            mark = "  <-- differs" if value != other else ""
            yield f"{name:15}{self._before[name]:18x}{value:18x}{other:18x}{mark}"
        if self._ends[0] or self._ends[1]:
            mark = "  <-- differs" if self._ends[0] != self._ends[1] else ""
            yield f"{'end':15}{'':18}{self._ends[0]:>18}{self._ends[1]:>18}{mark}"

    def _memory(self) -> Iterator[str]:
        if self._page is None:
            return
        leading = self._vcpu.address_space.read(self._page, PAGE_SIZE)
        following = self._vcpu.follower.address_space.read(self._page, PAGE_SIZE)
        for at in range(0, PAGE_SIZE, 16):
            ours, theirs = leading[at : at + 16], following[at : at + 16]
            if ours != theirs:
                yield f"{self._page + at:08x}: {ours.hex(' ', 4)} | {theirs.hex(' ', 4)}"

    def _code(self) -> Iterator[str]:
        """The blocks of the stretch, the last ones if there are many."""
        if len(self._blocks) > _SHOWN_BLOCKS:
            yield f"({len(self._blocks) - _SHOWN_BLOCKS} blocks before these)"
        for start in self._blocks[-_SHOWN_BLOCKS:]:
            yield f"block {start:#010x}:"
            yield from _disassembly(self._vcpu.address_space, start, self._vcpu.big_endian)


def _disassembly(space: AddressSpace, start: int, big_endian: bool) -> Iterator[str]:
    """A block's instructions, up to its branch with the delay slot."""
    remaining = _LONGEST_BLOCK
    pc = start
    while remaining:
        try:
            word = int.from_bytes(space.read(pc, 4), "big" if big_endian else "little")
        except GuestFault:
            return
        yield f"  {pc:08x}: {word:08x}  {disassemble(word, pc)}"
        instruction = decode(word)
        if instruction is None or instruction.flow is Flow.EXCEPTION:
            return
        remaining = 1 if instruction.flow.has_delay_slot else remaining - 1
        pc += 4
