"""Pages go where they are used: finds those that other nodes use, asks a policy, and has them moved.

The virtual machines whose pages move stand still meanwhile. How many pages move at a time is limited, and so is how
long that takes: most are memory of one virtual machine's own, and are moved natively; others take longer and are fewer.
Regions of a page with code have to be installed again where it is then, so that pages with code are fewest.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Final

from runtime.system.access_counts import AccessCounts
from runtime.system.machine_memory import MachineMemory
from runtime.system.page_moves import PageMoves
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.placement_policy import Migrate, PageUse, Policy, Replicate

_LISTED_AT_ONCE: Final = 8192
_CONSIDERED_AT_ONCE: Final = 512
"""Pages that the policy is asked about; those that can be are moved natively, about 4 µs each."""
_OTHERS_AT_ONCE: Final = 64
_WITH_CODE_AT_ONCE: Final = 24
_STEPS_TO_STAY: Final = 10
"""Steps before the policy is asked again about a page that was to stay."""
_STEPS_WITHOUT_ROOM: Final = 8
"""The same for one that there was no room for in the plan."""

Hold = Callable[[frozenset[int]], AbstractContextManager[object]]
"""Has virtual machines, known by the numbers of their memories, stand still."""


@dataclass
class _Plan:
    """What is to move."""

    private: dict[tuple[int, int], list[int]] = field(default_factory=dict)
    """By virtual machine and node."""
    others: list[tuple[int, Migrate | Replicate]] = field(default_factory=list)
    with_code: int = 0
    """How many of the others."""
    holds: set[int] = field(default_factory=set)
    """Virtual machines that have to stand still."""


class PagePlacement:
    """On a machine of several nodes, under a policy; for one thread, on which no virtual machine comes or goes."""

    def __init__(
        self,
        machine: MachineMemory,
        moves: PageMoves,
        memories: Callable[[], Mapping[int, PhysicalMemory]],
        policy: Policy,
    ) -> None:
        """`memories`: see PageMoves."""
        assert machine.counts is not None, "there is nowhere to move to on a machine of one node"
        self._counts: Final[AccessCounts] = machine.counts
        self._machine: Final = machine
        self._moves: Final = moves
        self._memories: Final = memories
        self.policy: Final = policy
        self._steps = 0
        self._rests_until: dict[int, int] = {}
        """Pages that are not looked at before that step."""

    def step(self, hold: Hold) -> int:
        """Move some of what is hot; returns how many pages have been looked at."""
        hot = self._counts.hot(self.policy.trigger, _LISTED_AT_ONCE)
        self._steps += 1
        now, rests_until = self._steps, self._rests_until
        considered = [page for page in hot if rests_until.get(page, 0) <= now][:_CONSIDERED_AT_ONCE]
        if not considered:
            return 0
        memories = self._memories()
        plan = _Plan()
        with self._machine.lock:
            for page in considered:
                self._consider(page, memories, plan)
        if plan.holds:
            with hold(frozenset(plan.holds)):
                self._carry_out(plan, memories)
        return len(considered)

    def halve(self) -> None:
        """Let what was sampled long ago count less."""
        self._counts.halve()
        now = self._steps
        self._rests_until = {page: until for page, until in self._rests_until.items() if until > now}

    def forget_moves(self) -> None:
        """Let pages that have moved often long ago move again."""
        self._counts.halve_moves()

    def _consider(self, page: int, memories: Mapping[int, PhysicalMemory], plan: _Plan) -> None:
        """Ask the policy about a page, under the machine's lock."""
        machine = self._machine
        node = machine.node_of(page)
        users = machine.users[page]
        if users == 1:  # the usual case, in less time
            place = machine.sole_place(page)
            places = [] if place is None else [place]
        else:
            places = list(machine.places(page))
        mapped = [(memories[number], frame) for number, frame in places if number in memories]
        has_code = may_store = False
        for memory, frame in mapped:
            has_code = has_code or memory.has_code(frame)
            may_store = may_store or memory.may_store(frame)
        is_private = users == 1 and not has_code
        if (not is_private and len(plan.others) >= _OTHERS_AT_ONCE) or (
            has_code and plan.with_code >= _WITH_CODE_AT_ONCE
        ):
            self._rests_until[page] = self._steps + _STEPS_WITHOUT_ROOM
            return
        reads, writes = self._counts.of_page(page)
        moves = self._counts.moves[page]
        use = PageUse(node, reads, writes, moves, users != len(places), may_store, has_code)
        decision = self.policy.decide(use) if mapped else None
        if decision is None:
            self._rests_until[page] = self._steps + _STEPS_TO_STAY
            return
        self._counts.forget(page)
        if is_private and isinstance(decision, Migrate):
            number = places[0][0]
            plan.private.setdefault((number, decision.node), []).append(page)
            plan.holds.add(number)
            return
        plan.others.append((page, decision))
        plan.with_code += has_code
        plan.holds |= self._users(page)

    def _carry_out(self, plan: _Plan, memories: Mapping[int, PhysicalMemory]) -> None:
        """While they stand still, after having run since the plan was made: what is not as it was then stays."""
        moves = self._moves
        for (number, node), pages in plan.private.items():
            moves.migrate_run(pages, memories[number], node)
        for page, decision in plan.others:
            with self._machine.lock:
                if not self._users(page) <= plan.holds:
                    continue  # somebody who runs has got it meanwhile
                if isinstance(decision, Migrate):
                    moves.migrate(page, decision.node)
                else:
                    for node in decision.nodes:
                        moves.replicate(page, node)

    def _users(self, page: int) -> set[int]:
        """The virtual machines that have a page, or a copy of it, mapped."""
        members = self._moves.members(page)
        return {number for member in members for number, _ in self._machine.places(member)}
