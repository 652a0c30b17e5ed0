"""A machine with its virtual machines: starts them, keeps them, and ends them."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import Any, Final, Protocol, TypeVar

from dbt_disco.cluster.configuration import ClusterConfiguration
from dbt_disco.cluster.member import Member, MemberState
from dbt_disco.cluster.page_sharing import PageSharing
from dbt_disco.cluster.placement import Placement
from dbt_disco.cluster.scheduler import Scheduler
from dbt_disco.cluster.shutdown import shut_down
from dbt_disco.cluster.task import End, Task
from dbt_disco.virtual_machine.machine import Machine
from runtime.system.auditor import Disagreement
from runtime.system.placement_policy import load_policy

_log: Final = logging.getLogger("dbt_disco.cluster")
_Result = TypeVar("_Result")


class Listener(Protocol):
    """Who is told what happens, on any thread; may only take a note."""

    def state_changed(self, member: Member, reason: str) -> None: ...
    def console_changed(self, member: Member) -> None: ...


class Cluster:
    """Made from its configuration; `start`, then anything, then `close`.

    What changes members' lives is done on one thread, the keeper's, in order: `do` hands it over.
    """

    def __init__(self, configuration: ClusterConfiguration) -> None:
        """ValueError if a virtual machine's time is not to be the host's."""
        if any(member.virtual_machine.clock != "host" for member in configuration.members):
            raise ValueError("a cluster's virtual machines run under the host's clock")
        self.configuration: Final = configuration
        self.started: Final = monotonic()
        machine = configuration.machine
        self.machine: Final = Machine(machine.memory_size, nodes=machine.nodes)
        self.scheduler: Final = Scheduler([machine.cpus_per_node] * machine.nodes)
        self.members: Final[dict[str, Member]] = {
            member.name: Member(member, self.machine, self.scheduler, self)
            for member in configuration.members
        }
        self.listener: Listener | None = None
        self.page_sharing: Final = (
            PageSharing(self.machine.memory, self.members.values(), self.scheduler, self.do)
            if machine.content_sharing
            else None
        )
        """None: pages that hold the same are left alone."""
        self._keeper: Final = ThreadPoolExecutor(1, "dbt-disco-keeper")
        self._timers: Final[dict[Member, threading.Timer]] = {}
        self._is_closing = False
        policy = load_policy(machine.policy) if machine.nodes > 1 else None
        self.placement: Final = (
            None
            if policy is None
            else Placement(self.machine.memory, policy, self.scheduler, self._tasks, self.do)
        )
        """Moves pages to where they are used, if there are several nodes; None: all stay where they are."""

    def start(self) -> None:
        """Start the processors, and the members, one after the other; returns at once."""
        self.scheduler.start()
        if self.page_sharing is not None:
            self.page_sharing.start()
        for member in self.members.values():
            if member.configuration.autostart:
                self.do(self.start_member, member)
        if self.placement is not None:
            self.placement.start()

    def close(self) -> None:
        """End what still runs, write out the disks, and give everything back."""
        self._is_closing = True
        if self.page_sharing is not None:
            self.page_sharing.close()
        shut_down(self, list(self.members.values()), "the cluster goes down")
        for timer in list(self._timers.values()):
            timer.cancel()
        if self.placement is not None:
            self.placement.close()
        self._keeper.shutdown()
        self.scheduler.close()
        for member in self.members.values():
            member.console.close()
        self.machine.close()

    def do(self, action: Callable[..., _Result], *arguments: Any) -> Future[_Result]:
        """Have the keeper do something to a member, after what it has been given before."""

        def guarded() -> _Result:
            try:
                return action(*arguments)
            except Exception:
                _log.exception("an error in the monitor")
                raise

        return self._keeper.submit(guarded)

    def audit(self) -> list[str]:
        """Recompute who uses which machine page while all stand still; what disagrees, a line for each.

        On the keeper's thread.
        """
        tasks = self._tasks()
        with self.scheduler.hold(*tasks):
            held = [] if self.placement is None else [self.placement.held()]
            try:
                self.machine.audit([task.virtual_machine for task in tasks], held)
            except Disagreement as disagreement:
                return disagreement.found
        return []

    def _tasks(self) -> list[Task]:
        return [member.task for member in self.members.values() if member.task is not None]

    @property
    def has_ended(self) -> bool:
        """Whether nothing runs, nor will without being told to."""
        at_rest = (MemberState.STOPPED, MemberState.FAILED)
        return all(member.state in at_rest for member in self.members.values())

    # The members' observer.

    def state_changed(self, member: Member, reason: str) -> None:
        """See `Observer`."""
        _log.info("%s: %s%s", member.name, member.life.value, f": {reason}" if reason else "")
        if self.listener is not None:
            self.listener.state_changed(member, reason)

    def console_changed(self, member: Member) -> None:
        """See `Observer`."""
        if self.listener is not None:
            self.listener.console_changed(member)

    def made(self, task: Task) -> None:
        """See `Observer`."""
        if self.placement is not None:
            self.placement.add(task)

    def ended(self, member: Member, end: End) -> None:
        """See `Observer`."""
        self.do(self._bury, member, end)

    # On the keeper's thread.

    def start_member(self, member: Member) -> None:
        """Start a member; if it fails to, perhaps it is tried again later."""
        if not self._is_closing:
            self._start_later(member, member.start())
            if self.page_sharing is not None:
                self.page_sharing.look_soon()

    def _bury(self, member: Member, end: End) -> None:
        if isinstance(end, Exception):
            _log.error("%s: an error in the monitor", member.name, exc_info=end)
        self._start_later(member, member.bury(end))

    def _start_later(self, member: Member, delay: float | None) -> None:
        if delay is not None and not self._is_closing:
            timer = threading.Timer(delay, self._time_to_start_again, (member,))
            timer.daemon = True
            self._timers[member] = timer
            timer.start()

    def _time_to_start_again(self, member: Member) -> None:
        """On a timer's thread, which another one for the same member may have replaced: the cluster may be closed."""
        if not self._is_closing:
            self.do(self._start_again, member)

    def _start_again(self, member: Member) -> None:
        self._timers.pop(member, None)
        if member.state is MemberState.RESTARTING:
            self.start_member(member)
