"""Timers by time."""

from __future__ import annotations

from dbt_disco.virtual_machine.timer_queue import TimerQueue


def test_order_and_time() -> None:
    queue = TimerQueue()
    called: list[str] = []
    for time, name in ((30, "c"), (10, "a"), (30, "d"), (20, "b")):
        queue.add(time, lambda name=name: called.append(name))  # type: ignore[misc]
    assert queue.first() == 10
    queue.run(9)
    assert called == []
    queue.run(25)
    assert called == ["a", "b"]
    assert queue.first() == 30
    queue.run(1000)
    assert called == ["a", "b", "c", "d"]
    assert queue.first() is None


def test_cancelled_timers_are_not_called() -> None:
    queue = TimerQueue()
    called: list[int] = []
    timers = [queue.add(time, lambda time=time: called.append(time)) for time in range(5)]  # type: ignore[misc]
    timers[0].cancel()
    timers[3].cancel()
    timers[3].cancel()
    assert queue.first() == 1
    queue.run(4)
    timers[1].cancel()  # too late, and no harm
    assert called == [1, 2, 4]


def test_a_callback_cancels_the_next_one() -> None:
    queue = TimerQueue()
    called: list[str] = []
    queue.add(1, lambda: second.cancel())
    second = queue.add(1, lambda: called.append("second"))
    queue.run(1)
    assert called == []


def test_what_a_callback_adds_waits_even_if_it_is_due() -> None:
    queue = TimerQueue()
    calls = []

    def again() -> None:
        calls.append(None)
        queue.add(0, again)

    again()
    queue.run(5)
    assert len(calls) == 2
    queue.run(5)
    assert len(calls) == 3


def test_cancelled_timers_do_not_pile_up() -> None:
    """A UART restarts its timer with every character, whoever sends them."""
    queue = TimerQueue()
    kept = [queue.add(1_000_000 + n, lambda: None) for n in range(100)]
    for time in range(100_000):
        queue.add(2_000_000 + time, lambda: None).cancel()
    assert len(queue) < 1000
    assert queue.first() == 1_000_000
    for timer in kept:
        timer.cancel()
    assert queue.first() is None
