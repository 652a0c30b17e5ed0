"""A serial line: what a UART or virtio console sends goes out through it, what comes in waits for the device."""

from __future__ import annotations

import os
import select
from abc import ABC, abstractmethod
from typing import Final, Protocol

from dbt_disco.command_error import CommandError
from dbt_disco.devices.character_backend import CharacterBackend, CharacterReceiver
from dbt_disco.devices.device import Timer
from dbt_disco.virtual_machine.descriptor_watch import DescriptorWatch
from dbt_disco.virtual_machine.run_surroundings import RunSurroundings

READ_SIZE: Final = 4096
_WRITE_SIZE: Final = select.PIPE_BUF
"""Bytes that can be written at once without blocking where poll(2) says that something can be."""
_COLLECTED_MAX: Final = 4096
_COLLECTING_TIME: Final = 10_000_000
"""Nanoseconds that output waits for more at most; less if a line ends or the guest idles."""


class LineError(CommandError):
    """What a serial line is to be connected to is not there, or has failed."""


class Line(CharacterBackend, Protocol):
    """The outside of a serial line. After `close` nothing else may be called."""

    def start(self, surroundings: RunSurroundings) -> None:
        """The virtual machine is about to run: from now on take input. May wait for the other side."""

    def close(self) -> None:
        """Write out what has been collected, and give back what was opened; before the virtual machine is closed."""


class Output:
    """Characters on their way to a descriptor, collected to be written together."""

    def __init__(self, descriptor: int, descriptors: DescriptorWatch, *, waits: bool = True) -> None:
        """Where writing would block, `waits` says whether to, or to lose what has been collected."""
        self._descriptor = descriptor
        self._descriptors = descriptors
        self._waits = waits
        self._collected = bytearray()

    def __len__(self) -> int:
        return len(self._collected)

    def add(self, data: bytes) -> None:
        self._collected += data

    def flush(self) -> None:
        """Write out everything; OSError if that fails. If the virtual machine is stopped meanwhile, drop the rest."""
        collected, self._collected = self._collected, bytearray()
        while collected:
            if self._waits and not self._descriptors.wait_for(self._descriptor, select.POLLOUT):
                return
            try:
                written = os.write(self._descriptor, collected[:_WRITE_SIZE])
            except BlockingIOError:
                if self._waits:
                    continue
                return
            del collected[:written]


class InputQueue:
    """Characters that came in, on their way to the device, which takes a few at a time."""

    def __init__(self) -> None:
        self._receiver: CharacterReceiver | None = None
        self._waiting = bytearray()
        self._delivering = False

    def __len__(self) -> int:
        return len(self._waiting)

    def connect(self, receiver: CharacterReceiver) -> None:
        self._receiver = receiver

    def add(self, data: bytes) -> None:
        self._waiting += data
        self.deliver()

    def add_break(self) -> None:
        """The line's break condition, which does not queue up."""
        if self._receiver is not None:
            self._receiver.receive_break()

    def deliver(self) -> None:
        """Hand over what the device takes now."""
        if self._receiver is None or self._delivering:  # devices may ask for more while they receive
            return
        self._delivering = True
        try:
            while self._waiting and (capacity := self._receiver.receive_capacity()) > 0:
                part = bytes(self._waiting[:capacity])
                del self._waiting[:capacity]
                self._receiver.receive(part)
        finally:
            self._delivering = False


class DescriptorLine(ABC):
    """A `Line` on file descriptors, which a subclass opens and may exchange for others."""

    def __init__(self) -> None:
        self._surroundings: RunSurroundings | None = None
        self._incoming = InputQueue()
        self._outgoing: Output | None = None
        self._flush_timer: Timer | None = None
        self._watched: int | None = None
        self._readable: int | None = None

    # The device's side.

    def connect(self, receiver: CharacterReceiver) -> None:
        self._incoming.connect(receiver)

    def write(self, data: bytes) -> None:
        if self._outgoing is None or self._surroundings is None:
            return
        self._outgoing.add(data)
        if data.endswith(b"\n") or len(self._outgoing) >= _COLLECTED_MAX:
            self.flush()
        elif self._flush_timer is None:
            due = self._surroundings.now() + _COLLECTING_TIME
            self._flush_timer = self._surroundings.call_at(due, self._collected_long_enough)

    def flush(self) -> None:
        if self._outgoing:
            try:
                self._outgoing.flush()
            except OSError as error:
                self._output_failed(error)

    def _collected_long_enough(self) -> None:
        self._flush_timer = None
        self.flush()

    def input_wanted(self) -> None:
        self._incoming.deliver()
        self._watch_if_wanted()

    # The subclass's side.

    @abstractmethod
    def start(self, surroundings: RunSurroundings) -> None: ...

    def _use(self, surroundings: RunSurroundings, *, readable: int | None, output: Output | None) -> None:
        """Take input from a descriptor (None: there is none), and send output."""
        self._stop_watching()
        self._surroundings = surroundings
        self._readable, self._outgoing = readable, output
        self._watch_if_wanted()

    def _wants_input(self) -> bool:
        """Whether more is to be read now: not before the device has taken what came, so that nothing is lost."""
        return not self._incoming

    def _take(self, data: bytes) -> None:
        """What has been read."""
        self._incoming.add(data)

    def _input_ended(self) -> None:  # noqa: B027
        """Nothing comes any more, which is no reason to stop."""

    def _output_failed(self, error: OSError) -> None:
        raise error

    # The descriptors.

    def _watch_if_wanted(self) -> None:
        if self._readable is None or self._surroundings is None:
            return
        if not self._wants_input():
            self._stop_watching()
        elif self._watched is None:
            self._watched = self._readable
            self._surroundings.watch(self._readable, self._read)

    def _stop_watching(self) -> None:
        if self._watched is not None and self._surroundings is not None:
            self._surroundings.unwatch(self._watched)
        self._watched = None

    def _read(self) -> None:
        assert self._readable is not None
        try:
            data = os.read(self._readable, READ_SIZE)
        except (BlockingIOError, InterruptedError):
            return
        except OSError:
            data = b""  # a terminal or a connection that is gone
        if data:
            self._take(data)
            self._watch_if_wanted()
        else:
            self._stop_watching()
            self._readable = None
            self._input_ended()
