"""Waiting for descriptors: nothing is overlooked, whatever the vCPU's thread is doing."""

from __future__ import annotations

import os
import random
import select
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from dbt_disco.virtual_machine.descriptor_watch import DescriptorWatch


class Vcpu:
    """Remembers that it has been asked for attention."""

    def __init__(self) -> None:
        self.asked = threading.Event()
        self.times = 0

    def attention(self) -> None:
        self.times += 1
        self.asked.set()


@pytest.fixture
def vcpu() -> Vcpu:
    return Vcpu()


@pytest.fixture
def watch(vcpu: Vcpu) -> Iterator[DescriptorWatch]:
    watch = DescriptorWatch(vcpu.attention)
    yield watch
    watch.close()


@pytest.fixture
def pipe() -> Iterator[tuple[int, int]]:
    ends = os.pipe()
    yield ends
    for end in ends:
        os.close(end)


def test_attention_comes_once_until_dispatch(
    watch: DescriptorWatch, vcpu: Vcpu, pipe: tuple[int, int]
) -> None:
    received: list[bytes] = []
    watch.watch(pipe[0], lambda: received.append(os.read(pipe[0], 1)))
    os.write(pipe[1], b"ab")
    assert vcpu.asked.wait(5)
    time.sleep(0.05)
    assert vcpu.times == 1
    assert received == []  # callbacks are for the vCPU's thread
    vcpu.asked.clear()
    watch.dispatch()
    assert received == [b"a"]
    assert vcpu.asked.wait(5)  # there is more
    watch.dispatch()
    assert received == [b"a", b"b"]


def test_what_is_not_watched_any_more_is_not_called(watch: DescriptorWatch, pipe: tuple[int, int]) -> None:
    watch.watch(pipe[0], lambda: pytest.fail("called"))
    os.write(pipe[1], b"a")
    watch.unwatch(pipe[0])
    watch.unwatch(pipe[0])
    watch.dispatch()
    assert not watch.sleep(0)


def test_a_callback_may_end_another_watch(watch: DescriptorWatch) -> None:
    pipes = [os.pipe(), os.pipe()]
    called: list[int] = []

    def callback(number: int) -> None:
        called.append(number)
        for read_end, _ in pipes:
            watch.unwatch(read_end)

    for number, (read_end, write_end) in enumerate(pipes):
        os.write(write_end, b"a")
        watch.watch(read_end, lambda number=number: callback(number))  # type: ignore[misc]
    watch.dispatch()
    assert len(called) == 1
    for end in (*pipes[0], *pipes[1]):
        os.close(end)


def test_files_are_always_ready(watch: DescriptorWatch, vcpu: Vcpu, tmp_path: Path) -> None:
    """Epoll refuses them; /dev/null as standard input is one, too."""
    (tmp_path / "input").write_bytes(b"abc")
    for path in (tmp_path / "input", Path("/dev/null")):
        descriptor = os.open(path, os.O_RDONLY)
        calls: list[bytes] = []
        vcpu.asked.clear()
        watch.watch(descriptor, lambda d=descriptor, c=calls: c.append(os.read(d, 2)))  # type: ignore[misc]
        assert vcpu.asked.wait(5)  # before anything is read: afterwards there may be nothing to ask for
        for expected in range(1, 4):
            assert watch.sleep(5_000_000_000)
            watch.dispatch()
            assert len(calls) == expected
        assert b"".join(calls) == path.read_bytes()
        watch.unwatch(descriptor)
        watch.dispatch()
        assert not watch.sleep(0)
        os.close(descriptor)


def test_sleep_ends_in_time(watch: DescriptorWatch) -> None:
    before = time.monotonic_ns()
    assert not watch.sleep(3_000_000)
    elapsed = time.monotonic_ns() - before
    assert 2_900_000 < elapsed < 1_000_000_000


def test_wake_ends_sleep(watch: DescriptorWatch) -> None:
    threading.Timer(0.05, watch.wake).start()
    assert watch.sleep(None)
    watch.dispatch()
    assert not watch.sleep(0)


def test_wake_before_sleep_is_not_lost(watch: DescriptorWatch) -> None:
    watch.wake()
    assert watch.sleep(None)


def test_wake_never_blocks(watch: DescriptorWatch) -> None:
    for _ in range(100_000):
        watch.wake()
    watch.dispatch()
    assert not watch.sleep(0)


def test_wait_for_output(watch: DescriptorWatch, pipe: tuple[int, int]) -> None:
    """Wakes that mean something else do not end it; `interrupt` does, before it, in it, and ever after."""
    assert watch.wait_for(pipe[1], select.POLLOUT)
    os.set_blocking(pipe[1], False)
    with pytest.raises(BlockingIOError):
        while True:
            os.write(pipe[1], bytes(4096))
    os.set_blocking(pipe[1], True)
    watch.wake()
    threading.Timer(0.05, lambda: os.read(pipe[0], 65536)).start()
    assert watch.wait_for(pipe[1], select.POLLOUT)
    os.write(pipe[1], bytes(65536))
    threading.Timer(0.05, watch.interrupt).start()
    assert not watch.wait_for(pipe[1], select.POLLOUT)
    assert not watch.wait_for(pipe[1], select.POLLOUT)
    os.read(pipe[0], 65536)
    assert watch.wait_for(pipe[1], select.POLLOUT)  # nobody has to wait


def test_close_while_everything_is_ready(vcpu: Vcpu, pipe: tuple[int, int]) -> None:
    for _ in range(50):
        watch = DescriptorWatch(vcpu.attention)
        watch.watch(pipe[0], lambda: None)
        os.write(pipe[1], b"a")
        watch.close()


def test_no_event_is_lost() -> None:
    """A thread sends at random moments while another sleeps, runs and dispatches: all of it arrives, soon."""
    running = threading.Event()
    watch = DescriptorWatch(running.clear)
    read_end, write_end = os.pipe()
    received = 0
    count = 3000

    def send() -> None:
        generator = random.Random(1)
        for _ in range(count):
            os.write(write_end, b"x")
            if generator.random() < 0.5:
                time.sleep(generator.random() * 0.0002)

    def receive() -> None:
        nonlocal received
        received += len(os.read(read_end, generator.randrange(1, 4)))

    generator = random.Random(2)
    watch.watch(read_end, receive)
    sender = threading.Thread(target=send)
    sender.start()
    deadline = time.monotonic() + 60
    while received < count:
        assert time.monotonic() < deadline, f"{received} of {count} have arrived"
        if generator.random() < 0.5:
            watch.sleep(None)
        else:  # as native code runs, which only `attention` ends
            running.set()
            if not watch.sleep(0):
                while running.is_set():
                    assert time.monotonic() < deadline, "attention did not come"
                    time.sleep(0)
        watch.dispatch()
    sender.join()
    watch.close()
    os.close(read_end)
    os.close(write_end)
