"""Count and Compare. Time is counted in ticks of Count, 64 bits wide; Count is their low half plus an offset.

Under the host clock a tick is 6.25 ns of CLOCK_MONOTONIC; under the instruction clock it is COUNT_RESOLUTION
instructions. Cause.TI and IP7 are set when somebody looks (`update_timer`), and a POSIX timer sees to it that somebody
does in time.
"""

from __future__ import annotations

from typing import Final

from translator.cp0_registers import Cause
from translator.predecode import CLOCK_PER_COUNT
from translator.system.routine import Routine, argument

TICKS_PER_25_NANOSECONDS: Final = 4
_NANOSECONDS: Final = 25
"""160 MHz: 4 ticks in 25 ns."""
_SECOND: Final = 1_000_000_000
_CLOCK_MONOTONIC: Final = 1
_TIMER_ABSTIME: Final = 1


def timer_ir() -> str:
    """LLVM IR of reading and writing the two registers and of update_timer."""
    return "\n".join(
        [_ticks(), _read_count(), _update(), _write_count(), _write_compare(), _expect(), _stop_or_start()]
    )


def _ticks() -> str:
    """i64 ticks(state, clock)."""
    r = Routine()
    with r.when(r.read("counts_instructions").ne(0)):
        r.give(argument(r, "clock", 64).divide_unsigned(CLOCK_PER_COUNT))
    at = r.element_pointer("time_specification", r.constant(0, 32))
    gettime = r.pointer(r.read("clock_gettime"))
    r.emit(f"call i32 {gettime}(i32 {_CLOCK_MONOTONIC}, ptr {at})")
    seconds = r.element("time_specification", r.constant(0, 32))
    nanoseconds = r.element("time_specification", r.constant(1, 32))
    now = seconds * _SECOND + nanoseconds - r.read("start_time")
    r.give((now * TICKS_PER_25_NANOSECONDS).divide_unsigned(_NANOSECONDS))
    return r.function("ticks", "i64", ", i64 %clock", "noinline")


def _read_count() -> str:
    """i32 read_count(state, clock)."""
    r = Routine()
    with r.when((r.read("cause") & Cause.DC).ne(0), unlikely=True):
        r.give(r.read("stopped_count"))
    ticks = r.call("ticks", 64, argument(r, "clock", 64))
    r.give(ticks.trunc(32) + r.read("count_offset"))
    return r.function("read_count", "i32", ", i64 %clock")


def _update() -> str:
    """Has Count reached Compare since somebody looked last? Then the interrupt is pending."""
    r = Routine()
    cause = r.read("cause")
    with r.when((cause & Cause.DC).ne(0), unlikely=True):
        r.finish()
    due = r.read("compare_ticks")
    ticks = r.call("ticks", 64, argument(r, "clock", 64))
    with r.when(due.le_unsigned(ticks), unlikely=True):
        r.write("cause", cause | (Cause.TI | Cause.IP7))
        missed = (ticks - due).shift_right(32) + 1
        r.write("compare_ticks", due + (missed << 32))
    r.finish()
    return r.function("update_timer", "void", ", i64 %clock")


def _expect() -> str:
    """From now on, at `ticks`, wait for Count to reach Compare; a match at this very tick is a wrap away."""
    r = Routine()
    ticks = argument(r, "ticks", 64)
    count = ticks.trunc(32) + r.read("count_offset")
    distance = r.read("compare") - count
    wide = distance.eq(0).select(r.constant(1 << 32, 64), distance.zext(64))
    due = ticks + wide
    r.write("compare_ticks", due)
    timer = r.read("host_timer")
    with r.when(timer.ne(0)):
        time = (due * _NANOSECONDS).shift_right(2) + r.read("start_time") + 1
        no_period = r.constant(0, 64)
        parts = (no_period, no_period, time.divide_unsigned(_SECOND), time.remainder_unsigned(_SECOND))
        for place, value in enumerate(parts):
            r.set_element("time_specification", r.constant(place, 32), value)
        at = r.element_pointer("time_specification", r.constant(0, 32))
        settime = r.pointer(r.read("timer_settime"))
        r.emit(f"call i32 {settime}({timer.typed()}, i32 {_TIMER_ABSTIME}, ptr {at}, ptr null)")
    with r.when(r.read("counts_instructions").ne(0)):
        # Python plans the instructions up to the next event: have it look before the next one.
        r.write("resume_limit", 0)
        r.write("limit", 0)
    r.finish()
    return r.function("expect_compare", "void", ", i64 %ticks")


def _write_count() -> str:
    r = Routine()
    clock, value = argument(r, "clock", 64), argument(r, "value")
    r.call_for_effect("update_timer", clock)
    with r.when((r.read("cause") & Cause.DC).ne(0), unlikely=True):
        r.write("stopped_count", value)
        r.finish()
    ticks = r.call("ticks", 64, clock)
    r.write("count_offset", value - ticks.trunc(32))
    r.call_for_effect("expect_compare", ticks)
    r.finish()
    return r.function("write_count", "void", ", i32 %value, i64 %clock")


def _write_compare() -> str:
    """Writing Compare takes the interrupt back (MIPS32 PRA vol. III, 9.21)."""
    r = Routine()
    r.write("compare", argument(r, "value"))
    r.write("cause", r.read("cause") & ~(Cause.TI | Cause.IP7))
    r.call_for_effect("expect_compare", r.call("ticks", 64, argument(r, "clock", 64)))
    r.finish()
    return r.function("write_compare", "void", ", i32 %value, i64 %clock")


def _stop_or_start() -> str:
    """Cause is about to be written: its DC bit stops Count and lets it go on."""
    r = Routine()
    clock, value = argument(r, "clock", 64), argument(r, "value")
    was_stopped, stops = (r.read("cause") & Cause.DC).ne(0), (value & Cause.DC).ne(0)
    with r.when(stops & (was_stopped ^ 1), unlikely=True):
        r.call_for_effect("update_timer", clock)
        r.write("stopped_count", r.call("read_count", 32, clock))
    with r.when(was_stopped & (stops ^ 1), unlikely=True):
        ticks = r.call("ticks", 64, clock)
        r.write("count_offset", r.read("stopped_count") - ticks.trunc(32))
        r.call_for_effect("expect_compare", ticks)
    r.finish()
    return r.function("stop_or_start_count", "void", ", i32 %value, i64 %clock")
