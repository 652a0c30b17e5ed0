"""What a host thread does while the guests it sees to are idle: it sleeps, and runs each one's tick when that is due,
native from end to end.

A *loop* belongs to one thread. A *vCPU* that stands at a `wait` which Compare ends may be lent to it. `idle` sleeps
until the first one's Compare matches, runs that vCPU on behind its `wait`, and goes on like that as long as all that
comes of it is another such `wait`. It returns when the loop is wanted, when what it polls is ready, and with a vCPU
that has stopped for anything else.

Who may touch a vCPU is decided by its *claim*, a word that only changes by atomic operations once it is lent:

    loop << 2 | 0   idle: whoever gets it out of this state first has it
    loop << 2 | 1   TICKING: the loop runs it
          ... | 2   TAKEN: it is not the loop's any more
          ... | 3   TICKING and wanted (TAKEN): the loop is to give it up when it stops

`take` sets TAKEN, and says by the old value whether the vCPU stands still; if not, `idle` will return with it, and its
thread is who clears TICKING, or lends it again. The loop exchanges idle for TICKING and back by compare-exchange, so
that it sees when it has come too late. That the loop's number is part of the word keeps a loop from mistaking a vCPU
that was taken and lent to another one for its own.

A vCPU that has been asked to stop (`stop_requested`) is looked at after its claim has been given back: who asks, and
then takes, either has it or has made `idle` return with it. `wanted` is looked at after `running` has been
published: who sets it, and then looks there, finds what still runs, and can have it preempted.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from translator.cp0_registers import Cause
from translator.ir import UNLIKELY_METADATA, IrValue
from translator.state import Stop
from translator.system.heat import TICK_HEAT
from translator.system.routine import Routine, argument

TICKING: Final = 1
TAKEN: Final = 2
OWNER_SHIFT: Final = 2
FOR_EVER: Final = (1 << 63) - 1
"""A deadline that never comes."""
LATENESS_SHIFT: Final = 2
"""A vCPU that has waited for its deadline for so long may wait a fourth of that longer for others' deadlines: each time
that the host wakes up costs as much as half a tick, and ticks cost less one after the other."""
MOST_LATENESS: Final = 1_000_000
"""Nanoseconds; what a tick at 250 Hz may be late."""
STILL_WAITS: Final = 2
"""In `VcpuRecord.left`: beside the two results of `enter`, that it stands at its `wait`."""

_SECOND: Final = 1_000_000_000
_CLOCK_MONOTONIC: Final = 1
_CLOCK_THREAD_CPUTIME_ID: Final = 3
_TIMER_ABSTIME: Final = 1
_TIMER_INTERRUPT_MASK: Final = 1 << 15
"""Status.IM7."""
_INSTRUCTION: Final = 16
"""Of the vCPU's clock."""
_FIELDS_OF_TIMES: Final = 4
NOTES: Final = 16
"""Hot addresses that ticks note at most before Python is told of them …"""
_TICKS_PER_TELLING: Final = 256
"""… which it is after so many ticks in any case: a power of two."""
SPACE_SHIFT: Final = 32
"""In a note: the address space, above the address."""


class VcpuRecord(ctypes.Structure):
    """A vCPU, as loops know it. Times are nanoseconds of CLOCK_MONOTONIC."""

    _fields_ = [
        ("state", ctypes.c_uint64),  # host address of its CpuState
        ("enter", ctypes.c_uint64),  # of its interpreter's `enter`
        ("update_timer", ctypes.c_uint64),
        ("fault_key", ctypes.c_uint64),  # thread-specific data where host faults find the state
        ("deadline", ctypes.c_int64),  # when Compare matches
        ("latest", ctypes.c_int64),  # so late is soon enough, if others are due until then
        ("time", ctypes.c_uint64),  # nanoseconds of processor time that loops have spent on it
        ("ticks", ctypes.c_uint64),  # how often they have run it
        ("claim", ctypes.c_uint32),
        ("left", ctypes.c_uint32),  # result of `enter`, or STILL_WAITS
        ("timer_is_off", ctypes.c_uint32),  # 1: its host timer is not set, as the loop sees to Compare
        ("noted", ctypes.c_uint32),  # how many of `notes` there are
        ("notes", ctypes.c_uint64 * NOTES),  # addresses that ticks have found to be hot, with their spaces
    ]


class LoopRecord(ctypes.Structure):
    """A loop. Times are nanoseconds of CLOCK_MONOTONIC."""

    _fields_ = [
        ("vcpus", ctypes.c_uint64),  # host address of the addresses of what has been lent
        ("count", ctypes.c_uint32),
        ("owner", ctypes.c_uint32),  # the claim of what is idle here
        ("wanted", ctypes.c_uint32),  # 1: return as soon as nothing runs
        ("first", ctypes.c_int64),  # `first`: deadline of the first of those that are idle here
        ("until", ctypes.c_int64),  # `first`: to sleep so long finds more of them due, and none too late
        ("slept", ctypes.c_uint64),  # nanoseconds that have been slept
        ("time", ctypes.c_uint64),  # of processor time that has been spent on vCPUs
        ("clock", ctypes.c_uint64),  # the thread's processor time when that was looked at last
        ("running_at", ctypes.c_uint64),  # host address of `running`: the state of the vCPU that runs, or 0
        ("preemption_timer", ctypes.c_uint64),
        ("preempts_at", ctypes.c_int64),  # when it expires
        ("patience", ctypes.c_int64),  # a tick may take so long at least, and twice as long at most
        ("mask", ctypes.c_uint64),  # host address of the signals that wait until a sleep has ended, or 0
        ("polled", ctypes.c_uint64),  # struct pollfd
        ("times", ctypes.c_int64 * _FIELDS_OF_TIMES),  # struct timespec or itimerspec in the making
        ("ppoll", ctypes.c_uint64),  # host addresses of the C library's functions
        ("clock_gettime", ctypes.c_uint64),
        ("timer_settime", ctypes.c_uint64),
        ("setspecific", ctypes.c_uint64),
    ]


def idle_loop_ir() -> str:
    """LLVM IR of the module."""
    return "\n".join([_take(), _first(), _note_hot(), _tick(), _idle(), UNLIKELY_METADATA])


class _LoopRoutine(Routine):
    """A routine with the parameters `loop` and mostly `vcpu`, host addresses of the records; %state is the vCPU's."""

    def __init__(self) -> None:
        super().__init__()
        self.vcpu = argument(self, "vcpu", 64)

    def at(self, field: str, index: int = 0) -> IrValue:
        """Host address of a field; `vcpu.…` and `loop.…`."""
        record, _, name = field.partition(".")
        structure = VcpuRecord if record == "vcpu" else LoopRecord
        offset: int = getattr(structure, name).offset
        start = self.vcpu if record == "vcpu" else argument(self, record, 64)
        return start + (offset + 8 * index)

    def get(self, field: str) -> IrValue:
        record, _, name = field.partition(".")
        structure = VcpuRecord if record == "vcpu" else LoopRecord
        return self.load(self.at(field), 8 * getattr(structure, name).size)

    def put(self, field: str, value: IrValue) -> None:
        self.store(self.at(field), value)

    def get_atomic(self, address: IrValue) -> IrValue:
        """A word that other threads write."""
        return self.value("seen", f"load atomic i32, ptr {self.pointer(address)} seq_cst, align 4", 32)

    def exchange(self, address: IrValue, old: IrValue, new: IrValue) -> IrValue:
        """Compare-exchange of a word; whether it was `old`."""
        at = self.pointer(address)
        pair = self.assign("pair", f"cmpxchg ptr {at}, {old.typed()}, {new.typed()} seq_cst seq_cst")
        return self.value("is_ours", f"extractvalue {{ i32, i1 }} {pair}, 1", 1)

    def call_library(self, field: str, arguments: str) -> IrValue:
        """Call a function whose address is in a field; its result."""
        return self.value("result", f"call i32 {self.pointer(self.get(field))}({arguments})", 32)

    def now(self, clock: int) -> IrValue:
        """Nanoseconds of a host clock."""
        times = self.pointer(self.at("loop.times"))
        self.call_library("loop.clock_gettime", f"i32 {clock}, ptr {times}")
        seconds = self.load(self.at("loop.times"), 64)
        return seconds * _SECOND + self.load(self.at("loop.times", 1), 64)

    def put_time(self, place: int, time: IrValue) -> None:
        """Seconds and nanoseconds, into `times`."""
        self.store(self.at("loop.times", place), time.divide_unsigned(_SECOND))
        self.store(self.at("loop.times", place + 1), time.remainder_unsigned(_SECOND))

    def set_timer(self, timer: IrValue, time: IrValue) -> None:
        """Have a POSIX timer expire once at a time; 0: not at all."""
        for place in range(2):
            self.store(self.at("loop.times", place), self.constant(0, 64))
        self.put_time(2, time)
        times = self.pointer(self.at("loop.times"))
        self.call_library(
            "loop.timer_settime", f"{timer.typed()}, i32 {_TIMER_ABSTIME}, ptr {times}, ptr null"
        )

    def publish_running(self, state: IrValue) -> None:
        """What the preemption timer's handler may ask to stop."""
        at = self.pointer(self.get("loop.running_at"))
        self.emit(f"store atomic {state.typed()}, ptr {at} seq_cst, align 8")

    @contextmanager
    def endless(self) -> Iterator[str]:
        """A loop that only `ret` ends; gives the label of its beginning."""
        again = self.label("again")
        self.emit(f"br label %{again}")
        self.block(again)
        yield again
        self.emit(f"br label %{again}")

    def define(self, name: str, result: str, parameters: str) -> str:
        body = "\n".join(self.lines)
        return f"define dso_local {result} @{name}({parameters}) nounwind {{\n{body}\n}}\n"


def _take() -> str:
    """i32 take(vcpu): from now on no loop starts to run it; 0 if one does, and will come by with it."""
    r = _LoopRoutine()
    at = r.pointer(r.at("vcpu.claim"))
    old = r.value("old", f"atomicrmw or ptr {at}, i32 {TAKEN} seq_cst", 32)
    r.give((old & TICKING).eq(0).zext(32))
    return r.define("take", "i32", "i64 %vcpu")


def _first() -> str:
    """i64 first(loop): the record of the vCPU that is due first, 0 if none is idle here; `first` is when, and `until`
    the last deadline that can be waited for with nobody later than their `latest`.
    """
    r = _LoopRoutine()
    for name, start in (("best", 0), ("latest", FOR_EVER)):
        r.emit(f"%{name} = alloca i64")
        r.emit(f"store i64 {start}, ptr %{name}")
    r.put("loop.first", r.constant(FOR_EVER, 64))
    with _each_idle(r) as vcpu:
        deadline, latest = r.get("vcpu.deadline"), r.get("vcpu.latest")
        with r.when(deadline.lt_signed(r.get("loop.first"))):
            r.put("loop.first", deadline)
            r.emit(f"store {vcpu.typed()}, ptr %best")
        with r.when(latest.lt_signed(r.value("latest.yet", "load i64, ptr %latest", 64))):
            r.emit(f"store {latest.typed()}, ptr %latest")
    # Others may take some of them between the two looks.
    r.put("loop.until", r.get("loop.first"))
    with _each_idle(r):
        deadline, latest = r.get("vcpu.deadline"), r.value("latest", "load i64, ptr %latest", 64)
        with r.when(r.get("loop.until").lt_signed(deadline) & deadline.le_signed(latest)):
            r.put("loop.until", deadline)
    r.give(r.value("best", "load i64, ptr %best", 64))
    return r.define("first", "i64", "i64 %loop")


@contextmanager
def _each_idle(r: _LoopRoutine) -> Iterator[IrValue]:
    """Code for the record of each vCPU that is idle here."""
    count = r.get("loop.count")
    with r.when(count.ne(0)), r.repeat(count) as place:
        r.vcpu = r.load(r.get("loop.vcpus") + (place.zext(64) << 3), 64)
        with r.when(r.get_atomic(r.at("vcpu.claim")).eq(r.get("loop.owner"))):
            yield r.vcpu


def _tick() -> str:
    """i32 tick(state, loop, vcpu): run a vCPU that is due until its next `wait`; 1 if Python has to look at it.

    Where the result is 1, the vCPU stays TICKING, and is the thread's.
    """
    r = _LoopRoutine()
    idle, claim_at = r.get("loop.owner"), r.at("vcpu.claim")
    with r.when(r.exchange(claim_at, idle, idle | TICKING) ^ 1):
        r.give(0)
    r.put("vcpu.left", r.constant(STILL_WAITS, 32))
    r.publish_running(r.value("state", "ptrtoint ptr %state to i64", 64))
    _see_to_preemption(r)
    with r.when(r.get_atomic(r.at("loop.wanted")).eq(0)):
        clock = r.read("clock")
        r.emit(f"call void {r.pointer(r.get('vcpu.update_timer'))}(ptr %state, {clock.typed()})")
        with r.when((r.read("cause") & Cause.TI).ne(0)):
            _run(r)
            with r.when(_python_is_needed(r)):
                r.give(1)
        r.put("vcpu.left", r.constant(STILL_WAITS, 32))
        ticks = r.read("compare_ticks")
        deadline = (ticks * 25 + 3).shift_right(2) + r.read("start_time")
        r.put("vcpu.deadline", deadline)
        part = (deadline - r.now(_CLOCK_MONOTONIC)).shift_right_signed(LATENESS_SHIFT)
        most = r.constant(MOST_LATENESS, 64)
        r.put("vcpu.latest", deadline + part.lt_signed(most).select(part, most))
    r.publish_running(r.constant(0, 64))
    with r.when(r.exchange(claim_at, idle | TICKING, idle) ^ 1):
        r.give(1)
    requested = r.get_atomic(r.field_address("stop_requested"))
    is_told = r.get("vcpu.noted").ne(0) & (r.get("vcpu.ticks") & _TICKS_PER_TELLING - 1).eq(0)
    with r.when(requested.ne(0) | is_told):
        r.give(r.exchange(claim_at, idle, idle | TICKING).zext(32))
    r.give(0)
    return r.define("tick", "i32", "ptr %state, i64 %loop, i64 %vcpu")


def _see_to_preemption(r: _LoopRoutine) -> None:
    """A tick may turn out to be the beginning of work. A timer that is set anew before it expires costs least."""
    now = r.now(_CLOCK_MONOTONIC)
    patience = r.get("loop.patience")
    with r.when(r.get("loop.preempts_at").lt_signed(now + patience)):
        time = now + (patience << 1)
        r.put("loop.preempts_at", time)
        r.set_timer(r.get("loop.preemption_timer"), time)


def _run(r: _LoopRoutine) -> None:
    """Go on behind the `wait`, where the timer's interrupt is pending.

    Whenever the guest writes Compare the vCPU's own timer would be set, and expire just when the loop's sleep ends. It
    is taken away meanwhile: who does not come to a `wait` soon is preempted, and has it set then.
    """
    in_slot = r.read("in_delay_slot").ne(0)
    r.write("pc", in_slot.select(r.read("branch_target"), r.read("pc") + 4))
    r.write("in_delay_slot", 0)
    clock = r.read("clock") + _INSTRUCTION
    timer = r.read("host_timer")
    r.write("host_timer", 0)
    r.put("vcpu.timer_is_off", r.constant(1, 32))
    r.call_library("loop.setspecific", f"i32 {r.get('vcpu.fault_key').trunc(32).name}, ptr %state")
    r.emit(f"store atomic i64 0, ptr {r.pointer(r.field_address('limit'))} seq_cst, align 8")
    r.write("clock", clock)
    r.write("heat", TICK_HEAT)
    left = _enter(r)
    r.write("heat", 1)
    r.write("host_timer", timer)
    r.publish_running(r.constant(0, 64))
    r.put("vcpu.left", left)
    r.put("vcpu.ticks", r.get("vcpu.ticks") + 1)
    after = r.now(_CLOCK_THREAD_CPUTIME_ID)
    used = after - r.get("loop.clock")
    r.put("loop.clock", after)
    r.put("loop.time", r.get("loop.time") + used)
    r.put("vcpu.time", r.get("vcpu.time") + used)


def _enter(r: _LoopRoutine) -> IrValue:
    """Enter native code where the vCPU stands, and again when it has only found an address to be hot."""
    again, done = r.label("again"), r.label("done")
    r.emit(f"br label %{again}")
    r.block(again)
    resume = r.pointer(r.field_address("resume_entry"))
    clock = r.read("clock")
    left = r.call_library("vcpu.enter", f"ptr %state, ptr {resume}, ptr null, {clock.typed()}")
    noted = r.value("noted", f"call i32 @note_hot(ptr %state, i64 %vcpu, {left.typed()})", 32)
    r.branch_if(noted.ne(0), again, done)
    r.block(done)
    return left


def _note_hot() -> str:
    """i32 note_hot(state, vcpu, left): 1 if it has stopped for a hot address, which has been noted for Python.

    That is not urgent; and each time that Python has a vCPU costs as much as many ticks.
    """
    r = _LoopRoutine()
    is_hot = argument(r, "left").eq(0) & r.read("stop").eq(int(Stop.HOT))
    count = r.get("vcpu.noted")
    with r.when((is_hot & count.lt_unsigned(NOTES)) ^ 1):
        r.give(0)
    note = r.read("hot_target").zext(64) | (r.read("space").zext(64) << SPACE_SHIFT)
    r.store(r.at("vcpu.notes") + (count.zext(64) << 3), note)
    r.put("vcpu.noted", count + 1)
    r.give(1)
    return r.define("note_hot", "i32", "ptr %state, i64 %vcpu, i32 %left")


def _python_is_needed(r: _LoopRoutine) -> IrValue:
    """Whether it has stopped for anything but another `wait` that Compare ends."""
    waits = r.get("vcpu.left").eq(0) & r.read("stop").eq(int(Stop.WAIT))
    for_timer = (r.read("status") & _TIMER_INTERRUPT_MASK).ne(0) & (r.read("cause") & Cause.DC).eq(0)
    return (waits & for_timer & r.read("collected_count").eq(0)) ^ 1


def _idle() -> str:
    """i64 idle(loop): see the module; the record of the vCPU that has stopped, or 0."""
    r = _LoopRoutine()
    r.put("loop.clock", r.now(_CLOCK_THREAD_CPUTIME_ID))
    with r.endless() as again:
        with r.when(r.get_atomic(r.at("loop.wanted")).ne(0)):
            r.give(0, 64)
        best = r.value("best", "call i64 @first(i64 %loop)", 64)
        now, first = r.now(_CLOCK_MONOTONIC), r.get("loop.first")
        with r.when(first.le_signed(now)):
            r.vcpu = best
            state = r.pointer(r.get("vcpu.state"))
            stopped = r.value("stopped", f"call i32 @tick(ptr {state}, i64 %loop, {best.typed()})", 32)
            with r.when(stopped.ne(0)):
                r.give(best)
            r.emit(f"br label %{again}")
        with r.when(_sleep(r, now).ne(0)):
            r.give(0, 64)
    return r.define("idle", "i64", "i64 %loop")


def _sleep(r: _LoopRoutine, now: IrValue) -> IrValue:
    """Until `until`, or until what is polled is ready, or for a signal: in these cases the result is not 0."""
    r.put_time(0, r.get("loop.until") - now)
    is_endless = r.get("loop.first").eq(FOR_EVER)
    times, mask = r.pointer(r.at("loop.times")), r.pointer(r.get("loop.mask"))
    limit = r.assign("limit", f"select i1 {is_endless.name}, ptr null, ptr {times}")
    polled = r.pointer(r.get("loop.polled"))
    ready = r.call_library("loop.ppoll", f"ptr {polled}, i64 1, ptr {limit}, ptr {mask}")
    r.put("loop.slept", r.get("loop.slept") + (r.now(_CLOCK_MONOTONIC) - now))
    return ready
