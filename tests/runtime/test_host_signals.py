"""Host signals: noted with what they carry, and never overlooked by a system call that waits."""

from __future__ import annotations

import ctypes
import errno
import os
import random
import signal
import struct
import threading
import time
from collections.abc import Iterator

import pytest

from runtime.host_signals import NOT_MADE, CaughtSignal, HostSignals, host_signals
from translator.state import CpuState

READ, WRITE, GETPID = 0, 1, 39
"""System call numbers of x86-64."""
QUEUED = signal.SIGRTMIN + 3
CAPACITY = 512
SI_USER, SI_QUEUE, SI_KERNEL = 0, -1, 0x80

libc = ctypes.CDLL(None, use_errno=True)


@pytest.fixture
def state() -> CpuState:
    return CpuState()


@pytest.fixture
def signals(state: CpuState) -> Iterator[HostSignals]:
    """Bound to `state`, and catching three signals."""
    bound = host_signals()
    bound.bind(state)
    caught = (signal.SIGUSR1, signal.SIGALRM, QUEUED)
    for number in caught:
        bound.catch(number)
    yield bound
    for number in caught:
        bound.release(number)
    bound.take()


def queue_to_self(number: int, value: int) -> None:
    assert libc.sigqueue(os.getpid(), number, ctypes.c_void_p(value)) == 0


def sender_and_value(caught: CaughtSignal) -> tuple[int, int, int]:
    pid, uid, value = struct.unpack_from("=IIQ", caught.union)
    return pid, uid, value


def test_a_signal_asks_for_a_stop_and_carries_its_sender(signals: HostSignals, state: CpuState) -> None:
    state.limit = 12345
    os.kill(os.getpid(), signal.SIGUSR1)
    assert (state.pending_signals, state.limit) == (1 << signal.SIGUSR1, 0)
    (caught,) = signals.take()
    assert (caught.number, caught.code) == (signal.SIGUSR1, SI_USER)
    assert sender_and_value(caught)[:2] == (os.getpid(), os.getuid())
    assert state.pending_signals == 0
    assert signals.take() == []


def test_queued_signals_come_in_order_each_with_its_value(signals: HostSignals) -> None:
    for _ in range(3):  # more than once around the ring
        for value in range(300):
            queue_to_self(QUEUED, 0x1234_0000 + value)
        caught = signals.take()
        assert [sender_and_value(one) for one in caught] == [
            (os.getpid(), os.getuid(), 0x1234_0000 + value) for value in range(300)
        ]
        assert {(one.number, one.code) for one in caught} == {(QUEUED, SI_QUEUE)}


def test_standard_signals_are_pending_once(signals: HostSignals) -> None:
    for _ in range(5):
        os.kill(os.getpid(), signal.SIGUSR1)
    queue_to_self(QUEUED, 1)
    assert [one.number for one in signals.take()] == [signal.SIGUSR1, QUEUED]


def test_a_full_ring_keeps_what_it_has(signals: HostSignals) -> None:
    for value in range(CAPACITY + 10):
        queue_to_self(QUEUED, value)
    assert [sender_and_value(one)[2] for one in signals.take()] == list(range(CAPACITY))
    queue_to_self(QUEUED, 7)
    assert [sender_and_value(one)[2] for one in signals.take()] == [7]


def test_what_another_vcpu_has_left_is_not_passed_on(signals: HostSignals) -> None:
    os.kill(os.getpid(), signal.SIGUSR1)
    other = CpuState()
    signals.bind(other)
    assert signals.take() == []
    os.kill(os.getpid(), signal.SIGUSR1)
    assert other.pending_signals == 1 << signal.SIGUSR1


def test_release_gives_the_old_action_back(signals: HostSignals, state: CpuState) -> None:
    seen: list[int] = []
    before = signal.signal(signal.SIGUSR2, lambda number, frame: seen.append(number))
    try:
        for _ in range(2):
            signals.catch(signal.SIGUSR2)
            signals.catch(signal.SIGUSR2)  # twice: the handler must not be taken for what was before
            os.kill(os.getpid(), signal.SIGUSR2)
            assert not seen
            assert [one.number for one in signals.take()] == [signal.SIGUSR2]
            signals.release(signal.SIGUSR2)
            signals.release(signal.SIGUSR2)
            os.kill(os.getpid(), signal.SIGUSR2)
            assert seen.pop() == signal.SIGUSR2
    finally:
        signal.signal(signal.SIGUSR2, before)


def test_calls_are_made_when_nothing_is_pending(signals: HostSignals, state: CpuState) -> None:
    assert signals.caller(state)(GETPID) == os.getpid()
    assert signals.caller(state)(READ, -1, None, 0) == -errno.EBADF
    reading, writing = os.pipe()
    try:
        assert signals.caller(state)(WRITE, writing, b"text", 4) == 4
        buffer = ctypes.create_string_buffer(8)
        assert signals.caller(state)(READ, reading, buffer, 8) == 4
        assert buffer.value == b"text"
    finally:
        os.close(reading)
        os.close(writing)


def test_no_call_is_made_when_a_signal_is_pending(signals: HostSignals, state: CpuState) -> None:
    reading, writing = os.pipe()
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        assert signals.caller(state)(WRITE, writing, b"text", 4) == NOT_MADE
        os.set_blocking(reading, False)
        with pytest.raises(BlockingIOError):
            os.read(reading, 4)
        signals.take()
        assert signals.caller(state)(WRITE, writing, b"text", 4) == 4
    finally:
        os.close(reading)
        os.close(writing)


def test_the_handler_prevents_a_call_that_is_about_to_be_made(signals: HostSignals) -> None:
    """The handler called with every program counter in and around the look and the call."""
    handler = ctypes.CFUNCTYPE(None, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)(signals.handler)
    information = struct.pack("=iii", signal.SIGUSR1, 0, 0).ljust(128, b"\0")
    rip_at = 40 + 16 * 8
    prevented = set()
    places = range(signals.call_range.start - 16, signals.call_range.stop + 16)
    for place in places:
        context = ctypes.create_string_buffer(1024)
        struct.pack_into("=Q", context, rip_at, place)
        handler(signal.SIGUSR1, information, context)
        (after,) = struct.unpack_from("=Q", context, rip_at)
        assert after in (place, signals.not_made)
        if after == signals.not_made != place:
            prevented.add(place)
        assert context.raw[:rip_at] + context.raw[rip_at + 8 :] == bytes(1024 - 8)
    assert prevented == set(signals.call_range)
    assert 2 < len(prevented) < 64
    code = ctypes.string_at(signals.call_range.start, len(prevented))
    syscall = b"\x0f\x05"
    assert code.endswith(syscall), "behind the range the call has been made"


@pytest.fixture
def rescue() -> Iterator[tuple[int, int]]:
    """A pipe to wait for in vain; something comes through it when a wait has lasted for 20 seconds."""
    reading, writing = os.pipe()
    timer = threading.Timer(20, os.write, (writing, b"waited in vain"))
    timer.start()
    yield reading, writing
    timer.cancel()
    timer.join()
    os.close(reading)
    os.close(writing)


def test_a_signal_interrupts_a_waiting_call_whenever_it_comes(
    signals: HostSignals, state: CpuState, rescue: tuple[int, int]
) -> None:
    chance = random.Random(1)
    buffer = ctypes.create_string_buffer(1)
    results = {-errno.EINTR: 0, NOT_MADE: 0}
    for _ in range(3000):
        signal.setitimer(signal.ITIMER_REAL, chance.uniform(1e-6, 40e-6))
        results[signals.caller(state)(READ, rescue[0], buffer, 1)] += 1  # KeyError: it was not interrupted
        (caught,) = signals.take()
        assert (caught.number, caught.code) == (signal.SIGALRM, SI_KERNEL)
    assert min(results.values()) > 100, "the timer should go off on both sides of the call"


def test_a_signal_from_another_thread_interrupts_too(
    signals: HostSignals, state: CpuState, rescue: tuple[int, int]
) -> None:
    """Sent to the process: the kernel gives it to the main thread, or to any other."""
    main = threading.main_thread().ident
    assert main is not None
    buffer = ctypes.create_string_buffer(1)
    for delay in (0, 0.001, 0.01, 0.05):

        def send(after: float = delay) -> None:
            time.sleep(after)
            signal.pthread_kill(main, signal.SIGUSR1)

        thread = threading.Thread(target=send)
        thread.start()
        assert signals.caller(state)(READ, rescue[0], buffer, 1) in (-errno.EINTR, NOT_MADE)
        thread.join()
        assert [one.number for one in signals.take()] == [signal.SIGUSR1]
