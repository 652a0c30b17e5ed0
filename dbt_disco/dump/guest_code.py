"""The code of a loaded program, and how often it was executed if the program has been run."""

from __future__ import annotations

import os
from collections.abc import Iterator

from dbt_disco.engine import native_vcpu
from dbt_disco.linux_guest import LinuxGuest
from runtime.address_space import EXEC, PAGE_SHIFT, PAGE_SIZE, GuestFault
from translator.decode import Instruction, decode
from translator.encoding import Flow


class GuestCode:
    """What region discovery asks for, answered from the guest's memory and the profiler's counters."""

    def __init__(self, guest: LinuxGuest) -> None:
        self._guest = guest
        self._space = guest.space
        self._order = "big" if guest.vcpu.big_endian else "little"
        self.is_profiled = False
        self._leaders: dict[int, int] = {}

    def word(self, pc: int) -> int | None:
        """The instruction word at an address; None where there is no code."""
        if not self._space.page_flags[(pc & 0xFFFF_FFFF) >> PAGE_SHIFT] & EXEC:
            return None
        try:
            return int.from_bytes(self._space.read(pc, 4), "big" if self._order == "big" else "little")
        except GuestFault:
            return None

    def instruction(self, pc: int) -> Instruction | None:
        """The instruction at an address; None for a reserved one too."""
        word = self.word(pc)
        return None if word is None else decode(word)

    def program_code(self) -> list[tuple[int, int]]:
        """(start, end) of the executable mappings of the program's file, which is where its functions are."""
        regions = [region for region in self._space.regions if region.protection & EXEC]
        own = [region for region in regions if region.name == os.fsdecode(self._guest.program.path)]
        return [(region.start, region.end) for region in own]

    # The profile.

    def take_profile(self) -> None:
        """The program has been run by the profiler; find out what control went to."""
        self.is_profiled = True
        self._leaders = {pc: self.executions(pc) for pc in self._found_leaders()}

    def executions(self, pc: int) -> int:
        """How often the instruction at `pc` was executed."""
        before = self.instruction(pc - 4)
        if before is not None and before.flow is Flow.JUMP_REGISTER:
            pc -= 4  # a delay slot whose counter holds the jump's target
        return self._counter(pc)

    def heat(self, pc: int) -> int:
        """What the counters of a run without profiler would say: of blocks, and where register jumps went."""
        before = self.instruction(pc - 4)
        if before is not None and before.flow is Flow.JUMP_REGISTER:
            return self._counter(pc) & ~3
        return self._leaders.get(pc, 0)

    def hottest(self) -> list[int]:
        """Addresses of executed blocks, the most often executed first."""
        return sorted(self._leaders, key=lambda pc: (-self._leaders[pc], pc))

    def _counter(self, pc: int) -> int:
        native = native_vcpu(self._guest.vcpu)
        assert native is not None
        return native.entries.counter(pc & 0xFFFF_FFFF)

    def _executed(self) -> Iterator[int]:
        native = native_vcpu(self._guest.vcpu)
        assert native is not None
        for page, flags in enumerate(bytes(self._space.page_flags)):
            if flags & EXEC:
                counters = memoryview(native.entries.counters(page << PAGE_SHIFT, PAGE_SIZE // 4)).cast("I")
                yield from ((page << PAGE_SHIFT) + 4 * at for at, count in enumerate(counters) if count)

    def _found_leaders(self) -> set[int]:
        """Executed targets of branches, return points, and what follows code that was never executed or left."""
        executed = set(self._executed())
        leaders: set[int] = set()
        for pc in executed:
            instruction = self.instruction(pc)
            if pc - 4 not in executed:
                leaders.add(pc)
            if instruction is None:
                continue
            if instruction.flow in (Flow.BRANCH, Flow.BRANCH_LIKELY):
                leaders.add(pc + 4 + 4 * instruction.offset & 0xFFFF_FFFF)
            elif instruction.flow is Flow.JUMP:
                leaders.add((pc + 4 & 0xF000_0000) | instruction.index << 2)
            if instruction.flow.has_delay_slot:
                leaders.add(pc + 8)
        return {pc for pc in leaders & executed if self.executions(pc)}
