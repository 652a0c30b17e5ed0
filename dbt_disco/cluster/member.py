"""A virtual machine of the cluster through its lives: started, paused, ended, started again."""

from __future__ import annotations

import threading
from enum import Enum
from time import monotonic, monotonic_ns
from typing import TYPE_CHECKING, Final, Protocol

from dbt_disco.cluster.configuration import MemberConfiguration, Restart
from dbt_disco.cluster.console_buffer import ConsoleBuffer
from dbt_disco.cluster.scheduler import Scheduler
from dbt_disco.cluster.task import End, Task, TaskState
from dbt_disco.command_error import CommandError
from dbt_disco.virtual_machine.outcome import Ending, Outcome

if TYPE_CHECKING:
    from dbt_disco.virtual_machine.machine import Machine

_FIRST_DELAY: Final = 1.0
_LONGEST_DELAY: Final = 60.0
"""Seconds before a restart; they double with each one that is followed by an early end."""


class MemberState(Enum):
    """Where a member is in its life."""

    DEFINED = "defined"
    RUNNING = "running"
    IDLE = "idle"
    PAUSED = "paused"
    STOPPED = "stopped"
    FAILED = "failed"
    RESTARTING = "restarting"

    @property
    def is_alive(self) -> bool:
        """Whether there is a virtual machine."""
        return self in (MemberState.RUNNING, MemberState.IDLE, MemberState.PAUSED)


class Observer(Protocol):
    """Who is told what happens to members, on any thread; may only take a note."""

    def state_changed(self, member: Member, reason: str) -> None: ...
    def console_changed(self, member: Member) -> None: ...
    def made(self, task: Task) -> None:
        """A virtual machine has been made, and is going to run."""

    def ended(self, member: Member, end: End) -> None:
        """The virtual machine does not run any more: `Member.bury` is to be called, on the keeper's thread."""


class Member:
    """Methods are for the keeper's thread, one at a time; what only looks is for any."""

    def __init__(
        self, configuration: MemberConfiguration, machine: Machine, scheduler: Scheduler, observer: Observer
    ) -> None:
        self.configuration: Final = configuration
        self.name: Final = configuration.name
        self.console: Final = ConsoleBuffer(lambda: observer.console_changed(self))
        self.reason = ""
        """Why it is STOPPED, FAILED or RESTARTING."""
        self.restarts = 0
        self.has_ended: Final = threading.Event()
        """Set while there is no virtual machine."""
        self.has_ended.set()
        self.task: Task | None = None
        self.life = MemberState.DEFINED
        """As far as others have brought it there: never IDLE."""
        self._machine = machine
        self._scheduler = scheduler
        self._observer = observer
        self._is_unwanted = False
        """Somebody has ended it, so that it is not to be started again."""
        self._past_time = 0
        """Nanoseconds of processors that earlier lives have had."""
        self._paused_at: int | None = None
        self._started_at = 0.0
        self._delay = _FIRST_DELAY

    @property
    def state(self) -> MemberState:
        """Now; a virtual machine changes between RUNNING and IDLE by itself."""
        task = self.task
        if self.life is MemberState.RUNNING and task is not None and task.state is TaskState.IDLE:
            return MemberState.IDLE
        return self.life

    def processor_time(self) -> int:
        """Nanoseconds of host processors that it has had, in all its lives."""
        task = self.task
        return self._past_time + (0 if task is None else self._scheduler.processor_time(task))

    def start(self) -> float | None:
        """Make the virtual machine and let it run, unless there is one. If that fails, that is its end: see `bury`."""
        from dbt_disco.virtual_machine.virtual_machine import VirtualMachine

        if self.life.is_alive:
            return None
        self._is_unwanted = False
        self._started_at = monotonic()
        try:
            configuration = self.configuration
            home, memory_node = configuration.home_node, configuration.memory_node
            virtual_machine = VirtualMachine(
                configuration.virtual_machine,
                self.console,
                machine=self._machine,
                memory_node=home if memory_node is None else memory_node,
            )
        except Exception as error:
            return self._end(error)
        task = Task(virtual_machine, home, lambda end: self._observer.ended(self, end), memory_node)
        self._observer.made(task)

        def attention() -> None:
            virtual_machine.vcpu.request_stop()
            self._scheduler.attend(task)

        virtual_machine.surroundings.descriptors.attention = attention
        self.console.start(virtual_machine.surroundings)
        self.task = task
        self.has_ended.clear()
        self._enter(MemberState.RUNNING, "")
        self._scheduler.add(task)
        return None

    def pause(self) -> bool:
        """Have it stand still, its time, too; False if it did not run."""
        if self.life is not MemberState.RUNNING or self.task is None:
            return False
        self._scheduler.pause(self.task)
        self._paused_at = monotonic_ns()
        self._enter(MemberState.PAUSED, "")
        return True

    def resume(self) -> bool:
        """Let it go on; False if it was not paused."""
        if self._paused_at is None or self.task is None:
            return False
        if self.task.state is not TaskState.ENDED:
            self.task.virtual_machine.surroundings.paused(monotonic_ns() - self._paused_at)
        self._paused_at = None
        self._enter(MemberState.RUNNING, "")
        self._scheduler.resume(self.task)
        return True

    def press_sysrq(self, key: bytes) -> None:
        """Type a magic SysRq key on the serial line, and do not start again what ends of that."""
        task = self.task
        if task is not None:
            self._is_unwanted = True
            with self._scheduler.hold(task):
                self.console.send_break()
            self.console.type(key)
            task.vcpu.request_stop()
            self._scheduler.attend(task)

    def kill(self, reason: str) -> None:
        """End it, whatever it is doing, and for good; `has_ended` is set when it has."""
        self._is_unwanted = True
        if self.task is not None:
            self.task.virtual_machine.stop(Outcome(Ending.STOPPED, reason=reason))
            self.resume()
        elif self.life is MemberState.RESTARTING:
            self._enter(MemberState.STOPPED, reason)

    def bury(self, end: End) -> float | None:
        """The virtual machine has come to its end: give its memory and disks back.

        The result is in how many seconds it is to be started again; None: not by itself.
        """
        task, self.task = self.task, None
        assert task is not None
        self._past_time += task.processor_time
        self._paused_at = None
        try:
            self.console.stop()
            task.virtual_machine.close()
        except Exception as error:
            end = end if isinstance(end, Exception) else error
        return self._end(end)

    def _end(self, end: End) -> float | None:
        failed = isinstance(end, Exception) or end.ending is Ending.FAILED
        reason = reason_of(end)
        wants = self.configuration.restart
        unsuccessful = failed or (isinstance(end, Outcome) and end.status != 0)
        again = wants is Restart.ALWAYS or (wants is Restart.ON_FAILURE and unsuccessful)
        delay = None
        if again and not self._is_unwanted:
            if monotonic() - self._started_at > _LONGEST_DELAY:
                self._delay = _FIRST_DELAY
            delay, self._delay = self._delay, min(2 * self._delay, _LONGEST_DELAY)
            self.restarts += 1
            self._enter(MemberState.RESTARTING, f"{reason}; starts again in {delay:g} s")
        else:
            self._enter(MemberState.FAILED if failed else MemberState.STOPPED, reason)
        self.has_ended.set()
        return delay

    def _enter(self, state: MemberState, reason: str) -> None:
        self.life, self.reason = state, reason
        self._observer.state_changed(self, reason)


def reason_of(end: End) -> str:
    """One line that says how it came to its end."""
    if isinstance(end, Outcome):
        status = f", status {end.status}" if end.status else ""
        return (end.reason or end.ending.value) + status
    text = " ".join(str(end).split()) or "no message"
    if isinstance(end, (CommandError, OSError)):
        return text
    return f"an error in the monitor: {type(end).__name__}: {text}"
