"""Ctrl-C and time limits while native code runs."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from dbt_disco.engine import native_vcpu
from runtime.host_signals import host_signals

if TYPE_CHECKING:
    from dbt_disco.engine import AnyVcpu


@contextmanager
def keyboard_interrupts(vcpu: AnyVcpu) -> Iterator[None]:
    """Let Ctrl-C end a run: native code does not return to Python for Python's own handler to see it.

    The body must call `raise_interrupt` when a run has stopped. Only in the main thread, where Python
    delivers it.
    """
    native = native_vcpu(vcpu)
    handled = signal.getsignal(signal.SIGINT) not in (signal.SIG_IGN, signal.SIG_DFL, None)
    if native is None or not handled or threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = host_signals()
    signals.bind(vcpu.state)
    signals.catch(signal.SIGINT)
    try:
        yield
    finally:
        signals.release(signal.SIGINT)


def raise_interrupt(vcpu: AnyVcpu) -> None:
    """Give Python the SIGINT that has stopped the vCPU, if one has: usually that raises KeyboardInterrupt."""
    bit = 1 << signal.SIGINT
    if vcpu.state.pending_signals & bit:
        vcpu.state.pending_signals &= ~bit
        host_signals().release(signal.SIGINT)
        signal.raise_signal(signal.SIGINT)
        host_signals().catch(signal.SIGINT)


class TimeLimit:
    """Asks a vCPU to stop after `seconds`; None: never. A context manager around the run."""

    def __init__(self, vcpu: AnyVcpu, seconds: float | None) -> None:
        self.expired = False
        self._vcpu = vcpu
        self._timer = threading.Timer(seconds, self._expire) if seconds is not None else None

    def __enter__(self) -> TimeLimit:
        if self._timer is not None:
            self._timer.daemon = True
            self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer.join()

    def _expire(self) -> None:
        self.expired = True
        self._vcpu.request_stop()
