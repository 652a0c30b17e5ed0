"""Regions: which blocks of guest code are translated together, found from a hot address.

A region follows branches, calls (into the callee) and returns (to the call sites within the region), as far as
the counters of tier 0 say that control has gone there. So a loop with the functions that it calls becomes one
piece of control flow, and guest registers stay in host registers across guest calls.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from heapq import heappop, heappush
from typing import Final

from translator.decode import Instruction, decode
from translator.encoding import Flow
from translator.predecode import COUNTER_PARKED

RETURN_ADDRESS: Final = 31
_SWITCH_REACH: Final = 4096
"""How far behind an indirect jump the cases of a switch are looked for, in bytes."""
_MAX_CASES: Final = 128
_FUNCTION_REACH: Final = 2048
"""How far from the last callee of a register call others are looked for, in bytes."""
_MAX_CALLEES: Final = 8
_RETURN_WORD: Final = 0x03E0_0008
"""jr $ra"""


@dataclass(frozen=True)
class Profile:
    """What discovery may look at."""

    word: Callable[[int], int | None]
    """The instruction word at an address; None where no code can be read."""
    heat: Callable[[int], int]
    """The counter of an address: how often a taken branch went there, perhaps with COUNTER_PARKED."""
    warm: int = 64
    """Heat from which an address belongs in a region; 0: follow every edge (no profile)."""
    is_entry: Callable[[int], bool] = lambda pc: False
    """Whether another region can be entered at an address: a region then ends there."""
    has_region: Callable[[int], bool] = lambda pc: False
    """Whether another region can be entered at an address: a call there stays a call, unless the callee is small."""
    is_translated: Callable[[int], bool] = lambda pc: False
    """Whether a block of another region begins at an address, and is to be part of this one, too: what goes there
    within regions is not counted."""
    max_inlined: int = 96
    """Instructions up to which a function that has a region of its own becomes part of its callers' too."""
    max_instructions: int = 1000
    decode: Callable[[int], Instruction | None] = decode
    """Words → instructions; None for what a region cannot contain."""
    max_doubt: int = 3
    """How many fall-through edges in a row are followed without evidence that control goes there."""


@dataclass
class Block:
    """Straight-line code: instructions, then perhaps a branch with its delay slot."""

    start: int
    body: list[tuple[int, Instruction]] = field(default_factory=list)
    branch: tuple[int, Instruction] | None = None
    slot: tuple[int, Instruction] | None = None
    end: int = 0
    """Address of what follows the block."""

    def instructions(self) -> Iterator[tuple[int, Instruction]]:
        """All of them in program order."""
        yield from self.body
        if self.branch:
            yield self.branch
        if self.slot:
            yield self.slot

    def __len__(self) -> int:
        return len(self.body) + (self.branch is not None) + (self.slot is not None)

    @property
    def branch_target(self) -> int | None:
        """Where the branch goes, if that is a constant."""
        if self.branch is None:
            return None
        pc, instruction = self.branch
        if instruction.flow in (Flow.BRANCH, Flow.BRANCH_LIKELY):
            return pc + 4 + 4 * instruction.offset & 0xFFFF_FFFF
        if instruction.flow is Flow.JUMP:
            return (pc + 4 & 0xF000_0000) | instruction.index << 2
        return None

    @property
    def is_call(self) -> bool:
        """Whether the branch links, so that control may come back to `end`."""
        if self.branch is None:
            return False
        instruction = self.branch[1]
        return instruction.mnemonic in ("jal", "bgezal", "bltzal", "bgezall", "bltzall") or (
            instruction.mnemonic == "jalr" and instruction.rd != 0
        )

    @property
    def is_return(self) -> bool:
        """Whether the block ends in `jr $ra`."""
        return (
            self.branch is not None
            and self.branch[1].mnemonic == "jr"
            and self.branch[1].rs == RETURN_ADDRESS
        )

    @property
    def falls_through(self) -> bool:
        """Whether control may reach `end` without a jump."""
        if self.branch is None:
            return not (self.body and self.body[-1][1].flow is Flow.EXCEPTION)
        instruction = self.branch[1]
        if instruction.flow not in (Flow.BRANCH, Flow.BRANCH_LIKELY):
            return False
        return not (instruction.mnemonic in ("beq", "bgezal") and _is_always_taken(instruction))


def _is_always_taken(instruction: Instruction) -> bool:
    if instruction.mnemonic == "beq":
        return instruction.rs == instruction.rt
    return instruction.rs == 0


@dataclass
class Region:
    """Blocks by address, and where control can enter."""

    seed: int
    blocks: dict[int, Block]
    entries: list[int]
    """Addresses at which tier 0 and other regions may enter; the seed first."""
    returns: dict[int, list[int]]
    """Block that ends in `jr $ra` → return points within the region."""
    predicted: dict[int, list[int]]
    """Block that ends in another `jr` or `jalr` → targets within the region that have been seen."""

    def targets(self, block: Block) -> list[int]:
        """Where the jump or branch at the end of a block goes within the region, other than by returning."""
        known = (
            [block.branch_target] if block.branch_target is not None else self.predicted.get(block.start, [])
        )
        return [target for target in known if target in self.blocks]

    def successors(self, block: Block) -> list[int]:
        """Blocks of the region that control may go to from `block`."""
        targets = self.targets(block) + self.returns.get(block.start, [])
        if block.falls_through:
            targets.append(block.end)
        return [target for target in targets if target in self.blocks]

    def entries_from_elsewhere(self) -> list[int]:
        """Those of the entries that are not return points: a region that control comes from could have its blocks."""
        return_points = {block.end for block in self.blocks.values() if block.is_call}
        return [pc for pc in self.entries if pc not in return_points]

    def words(self) -> dict[int, int]:
        """Every guest instruction word the region was made from, by address."""
        return {pc: i.word for block in self.blocks.values() for pc, i in block.instructions()}

    def retreating_edges(self) -> set[tuple[int, int]]:
        """Edges that close a cycle in a depth-first walk from the entries: every cycle has one."""
        edges: set[tuple[int, int]] = set()
        done: set[int] = set()
        for entry in self.entries:
            if entry in done:
                continue
            on_path = {entry}
            stack = [(entry, iter(self.successors(self.blocks[entry])))]
            done.add(entry)
            while stack:
                start, successors = stack[-1]
                for target in successors:
                    if target in on_path:
                        edges.add((start, target))
                    elif target not in done:
                        done.add(target)
                        on_path.add(target)
                        stack.append((target, iter(self.successors(self.blocks[target]))))
                        break
                else:
                    on_path.discard(start)
                    stack.pop()
        return edges


class _Discovery:
    """The walk that finds a region."""

    def __init__(self, profile: Profile) -> None:
        self.profile = profile
        self.leaders: dict[int, int] = {}
        """Address of a block → the least doubt with which it was reached."""
        self.size = 0

    def is_warm(self, pc: int) -> bool:
        profile = self.profile
        return profile.warm == 0 or self.heat(pc) >= profile.warm or profile.is_translated(pc)

    def scan(self, start: int, leaders: dict[int, int]) -> Block | None:
        """The block from `start`, ended by a branch, an exception, another leader or unknown code."""
        block = Block(start)
        pc = start
        while True:
            word = self.profile.word(pc)
            instruction = self.profile.decode(word) if word is not None else None
            if instruction is None or len(block.body) >= 256:
                break
            if instruction.flow.has_delay_slot:
                slot_word = self.profile.word(pc + 4)
                slot = self.profile.decode(slot_word) if slot_word is not None else None
                if slot is None or slot.flow is not Flow.NEXT:
                    break  # unpredictable, or not there: tier 0 does it
                block.branch = (pc, instruction)
                block.slot = (pc + 4, slot)
                pc += 8
                break
            block.body.append((pc, instruction))
            pc += 4
            if instruction.flow is Flow.EXCEPTION or pc in leaders:
                break
        block.end = pc & 0xFFFF_FFFF
        return block if len(block) else None

    def walk(self, seed: int) -> None:
        """Collect leaders, the hottest first."""
        queue: list[tuple[int, int, int]] = [(0, seed, 0)]
        while queue and self.size < self.profile.max_instructions:
            _, start, doubt = heappop(queue)
            if self.is_warm(start):
                doubt = 0
            known = self.leaders.get(start)
            if known is not None and known <= doubt:
                continue
            block = self.scan(start, self.leaders)
            if block is None:
                continue
            if known is None:
                self.size += len(block)
            self.leaders[start] = doubt
            for target, target_doubt in self.edges(block, doubt):
                if self.profile.is_entry(target) and target != seed:
                    continue
                heappush(queue, (-self.heat(target), target, target_doubt))

    def edges(self, block: Block, doubt: int) -> Iterator[tuple[int, int]]:
        """Where the walk goes on from a block: (address, doubt)."""
        target = block.branch_target
        if target is not None and self.is_warm(target) and not (block.is_call and self.stays_call(target)):
            yield target, 0
        if block.is_call:
            if self.is_warm(block.end):
                yield block.end, 0
        elif block.falls_through:
            # Where the branch is never taken, control falls through as often as it comes here.
            doubt += target is not None and self.is_warm(target)
            if doubt <= self.profile.max_doubt:
                yield block.end, doubt
        elif block.branch is None and block.body and block.body[-1][1].mnemonic == "syscall":
            yield block.end, doubt + 1
        for predicted in self.predicted(block):
            yield predicted, 0

    def stays_call(self, callee: int) -> bool:
        """Whether a function is worth calling in its own region rather than translating once more.

        The code of allocators and the like would otherwise be compiled again for every hot caller.
        """
        if not self.profile.has_region(callee):
            return False
        size, seen, waiting = 0, {callee}, [callee]
        while waiting and size <= self.profile.max_inlined:
            block = self.scan(waiting.pop(), {})
            if block is None:
                continue
            size += len(block)
            following = [target for target in self.within_function(block) if target not in seen]
            seen.update(following)
            waiting += following
        return size > self.profile.max_inlined

    def within_function(self, block: Block) -> Iterator[int]:
        """Where control has gone from a block without leaving its function."""
        target = block.branch_target
        if target is not None and not block.is_call and self.is_warm(target):
            yield target
        if block.is_call or block.falls_through:
            yield block.end

    def heat(self, pc: int) -> int:
        """How often a taken branch went to `pc`; no counter is kept for the delay slot of a register jump."""
        before = self.profile.word(pc - 4 & 0xFFFF_FFFF)
        instruction = decode(before) if before is not None else None
        if instruction is not None and instruction.flow is Flow.JUMP_REGISTER:
            return 0
        return self.profile.heat(pc) & ~COUNTER_PARKED

    def predicted(self, block: Block) -> list[int]:
        """Where a register jump that is no return has been seen to go."""
        if block.branch is None or block.branch[1].flow is not Flow.JUMP_REGISTER or block.is_return:
            return []
        if self.profile.warm == 0:
            return []
        assert block.slot is not None
        last = self.profile.heat(block.slot[0])
        targets = [last] if last and last & 3 == 0 and self.is_warm(last) else []
        if block.is_call:
            return targets + self.functions_near(targets)
        else:  # the cases of a switch lie behind it
            reach = range(block.end, block.end + _SWITCH_REACH, 4)
            targets += [at for at in reach if at != last and self.is_warm(at)][:_MAX_CASES]
        return targets

    def functions_near(self, targets: list[int]) -> list[int]:
        """Warm functions beside one that is called through a register: such calls seldom have one target only."""
        if not targets:
            return []
        near = range(max(targets[0] - _FUNCTION_REACH, 0), targets[0] + _FUNCTION_REACH, 4)
        others = [at for at in near if at not in targets and self.is_warm(at) and self.follows_function(at)]
        return sorted(others, key=self.heat, reverse=True)[:_MAX_CALLEES]

    def follows_function(self, pc: int) -> bool:
        """Whether a function ends before `pc`: a return and its delay slot stand there."""
        before = self.profile.word(pc - 8 & 0xFFFF_FFFF)
        return before == _RETURN_WORD


def discover(seed: int, profile: Profile) -> Region | None:
    """The region to translate because `seed` is hot; None if there is no translatable code there."""
    discovery = _Discovery(profile)
    discovery.walk(seed)
    blocks: dict[int, Block] = {}
    for start in sorted(discovery.leaders):
        block = discovery.scan(start, discovery.leaders)
        if block is not None:
            blocks[start] = block
    if seed not in blocks:
        return None
    region = Region(seed, blocks, [seed], {}, {})
    _find_predicted(region, discovery)
    _find_returns(region)
    region.entries += _other_entries(region, discovery)
    return region


def _find_predicted(region: Region, discovery: _Discovery) -> None:
    statically_reached = {target for block in region.blocks.values() for target in region.successors(block)}
    for block in region.blocks.values():
        targets = [at for at in discovery.predicted(block) if at in region.blocks]
        # Of what lies behind a switch, what is reached otherwise is hardly one of its cases.
        kept = targets[:1] + [at for at in targets[1:] if block.is_call or at not in statically_reached]
        if kept:
            region.predicted[block.start] = kept


def _find_returns(region: Region) -> None:
    """Which return points each `jr $ra` may go to: walk every callee without entering what it calls."""
    for caller in region.blocks.values():
        if not caller.is_call or caller.end not in region.blocks:
            continue
        for callee in region.targets(caller):
            for start in _body_of(region, callee):
                if region.blocks[start].is_return:
                    points = region.returns.setdefault(start, [])
                    if caller.end not in points:
                        points.append(caller.end)


def _body_of(region: Region, function: int) -> set[int]:
    seen: set[int] = set()
    stack = [function]
    while stack:
        start = stack.pop()
        block = region.blocks.get(start)
        if block is None or start in seen:
            continue
        seen.add(start)
        if block.is_call or block.falls_through:
            stack.append(block.end)
        if not block.is_call:
            stack += region.targets(block)
    return seen


def _other_entries(region: Region, discovery: _Discovery) -> list[int]:
    """Loop heads, functions, return points of calls that leave the region, what follows a system call.

    Never a delay slot: a predecoded entry that is entered as one must do one instruction, not run a region.
    """
    entries = {target for _, target in region.retreating_edges()}
    for block in region.blocks.values():
        targets = region.targets(block)
        if block.is_call:
            entries.update(targets)
        leaves = block.is_call and (not targets or block.branch_target is None)
        traps = block.branch is None and not block.falls_through
        if (leaves or traps) and block.end in region.blocks:
            entries.add(block.end)
    # What others are entered at, this one may be entered at in their place.
    profile = discovery.profile
    entries.update(at for at in region.blocks if profile.has_region(at) and profile.is_translated(at))
    entries.discard(region.seed)
    return [entry for entry in sorted(entries) if not follows_branch(entry, discovery.profile.word)]


def follows_branch(pc: int, word: Callable[[int], int | None]) -> bool:
    """Whether the instruction before `pc` has a delay slot, so that `pc` may be one."""
    before = word(pc - 4 & 0xFFFF_FFFF)
    instruction = decode(before) if before is not None else None
    return instruction is not None and instruction.flow.has_delay_slot
