"""The traditional memory balloon (5.5): the guest names pages it does not use, and the monitor takes them back.

Pages come by four ways: into the balloon (inflate), as reports of free pages, which the driver makes by itself, and
as hints, which it gives while it is asked to. All end in `GuestMemory.release`. Nothing needs to be done when pages
leave the balloon: memory that was released reads as zero when it is used again.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from enum import IntEnum, IntFlag
from typing import Any, ClassVar, Final

from dbt_disco.devices.device import GuestMemory
from dbt_disco.devices.virtio.descriptor_chain import Buffer, DescriptorChain
from dbt_disco.devices.virtio.driver_error import DriverError
from dbt_disco.devices.virtio.virtio_device import VirtioDevice
from dbt_disco.devices.virtio.virtqueue import Virtqueue
from runtime.addresses import PhysicalAddress

PAGE_SHIFT: Final = 12
PAGE_SIZE: Final = 1 << PAGE_SHIFT
"""Bytes in the unit of all counts and page numbers, whatever the guest's page size (5.5.6)."""
PAGES_MAX: Final = 1024
"""Page numbers in one request: a page full of them. Linux sends 256."""
STATISTICS_MAX: Final = 64
"""Entries in a report of statistics; there are 16 tags."""

_INFLATE, _DEFLATE, _STATISTICS, _FREE_PAGES, _REPORTING = range(5)
_CONFIGURATION: Final = struct.Struct("<III")  # num_pages, actual, free_page_hint_cmd_id
_ACTUAL_OFFSET: Final = 4
_STATISTIC: Final = struct.Struct("<HQ")
_COMMAND_LENGTH: Final = 4


class Feature(IntFlag):
    """Feature bits of the balloon (5.5.3)."""

    STATS_VQ = 1 << 1
    FREE_PAGE_HINT = 1 << 3
    PAGE_REPORTING = 1 << 5


class Statistic(IntEnum):
    """What a guest tells about its memory (5.5.6.4), in bytes or events."""

    SWAP_IN = 0
    SWAP_OUT = 1
    MAJOR_FAULTS = 2
    MINOR_FAULTS = 3
    FREE = 4
    TOTAL = 5
    AVAILABLE = 6
    CACHES = 7
    HUGE_PAGES_ALLOCATED = 8
    HUGE_PAGES_FAILED = 9


class Command(IntEnum):
    """Values of `free_page_hint_cmd_id` (5.5.6.5); greater ones number the rounds of hinting."""

    STOP = 0
    DONE = 1
    FIRST = 2


class BalloonDevice(VirtioDevice):
    """A virtio balloon, empty at first.

    All three optional queues are offered together: Linux numbers the queues it has, the specification those there
    could be, and so they agree.
    """

    DEVICE_ID: ClassVar[int] = 5
    QUEUE_SIZES: ClassVar[tuple[int, ...]] = (8, 8, 8, 128, 64)

    def __init__(self) -> None:
        super().__init__()
        self._target = 0
        self._statistics_wanted = False
        self._hint_round = int(Command.FIRST)
        self._forget_driver()

    def _forget_driver(self) -> None:
        self._actual = 0
        self._statistics: dict[Statistic, int] = {}
        self._hint_command = int(Command.DONE)
        self._hint_answer = int(Command.STOP)

    @property
    def features(self) -> int:
        return int(Feature.STATS_VQ | Feature.FREE_PAGE_HINT | Feature.PAGE_REPORTING)

    @property
    def actual(self) -> int:
        """Pages in the balloon, as the driver says."""
        return self._actual

    @property
    def statistics(self) -> dict[Statistic, int]:
        """What the guest has last told about its memory; ask with `request_statistics`."""
        return dict(self._statistics)

    def set_target(self, pages: int) -> None:
        """Have the guest put pages into the balloon, or take some out, until there are `pages`."""
        if pages != self._target:
            self._target = pages
            self._configuration_changed()

    def request_statistics(self) -> None:
        """Have the guest tell about its memory anew; the answer comes later, into `statistics`."""
        self._statistics_wanted = True
        self._serve(_STATISTICS)

    def request_hints(self) -> None:
        """Have the guest name all its free pages once, now."""
        self._hint_round = max(int(Command.FIRST), (self._hint_round + 1) & 0xFFFF_FFFF)
        self._set_hint_command(self._hint_round)

    def configuration(self) -> bytes:
        return _CONFIGURATION.pack(self._target, self._actual, self._hint_command)

    def write_configuration(self, offset: int, data: bytes) -> None:
        if offset == _ACTUAL_OFFSET and len(data) == 4:
            self._actual = int.from_bytes(data, "little")

    def serve(self, index: int, queue: Virtqueue) -> bool:
        if index == _STATISTICS:
            self._take_statistics(queue)
            return False
        answer = {
            _INFLATE: self._inflate,
            _DEFLATE: self._deflate,
            _FREE_PAGES: self._take_hint,
            _REPORTING: self._take_report,
        }[index]
        return queue.serve(lambda chain: answer(chain, queue.memory))

    def reset(self) -> None:
        self._forget_driver()

    def state(self) -> dict[str, Any]:
        return {
            "target": self._target,
            "actual": self._actual,
            "statistics": {tag.name: value for tag, value in self._statistics.items()},
            "statistics_wanted": self._statistics_wanted,
            "hint_round": self._hint_round,
            "hint_command": self._hint_command,
            "hint_answer": self._hint_answer,
        }

    def restore(self, state: dict[str, Any]) -> None:
        self._target = state["target"]
        self._actual = state["actual"]
        self._statistics = {Statistic[name]: value for name, value in state["statistics"].items()}
        self._statistics_wanted = state["statistics_wanted"]
        self._hint_round = state["hint_round"]
        self._hint_command = state["hint_command"]
        self._hint_answer = state["hint_answer"]

    def _inflate(self, chain: DescriptorChain, memory: GuestMemory) -> int:
        count = chain.readable_length // 4
        if count > PAGES_MAX:
            raise DriverError(f"{count} pages put into the balloon at once, {PAGES_MAX} are the most")
        numbers = struct.unpack(f"<{count}I", chain.read(0, 4 * count))
        _release(memory, (Buffer(PhysicalAddress(number << PAGE_SHIFT), PAGE_SIZE) for number in numbers))
        return 0

    def _deflate(self, chain: DescriptorChain, memory: GuestMemory) -> int:
        return 0

    def _take_report(self, chain: DescriptorChain, memory: GuestMemory) -> int:
        _release(memory, chain.writable)
        return 0

    def _take_hint(self, chain: DescriptorChain, memory: GuestMemory) -> int:
        """A command that opens or ends a round of hints, or free pages that belong to the round opened last.

        The driver may use a hinted page again before it gets the buffer back, if it stores to it first. It cannot
        have done so here: it notifies with every page, and the notification is answered before it goes on.
        """
        if chain.readable_length:
            self._hint_answer = int.from_bytes(chain.read(0, _COMMAND_LENGTH), "little")
            if self._hint_answer == Command.STOP and self._hint_command >= Command.FIRST:
                self._set_hint_command(Command.DONE)
        elif self._hint_answer == self._hint_command >= Command.FIRST:
            _release(memory, chain.writable)
        return 0

    def _set_hint_command(self, command: int) -> None:
        self._hint_command = int(command)
        self._configuration_changed()

    def _take_statistics(self, queue: Virtqueue) -> None:
        """The driver leaves one buffer with us; giving it back asks for the next (5.5.6.3)."""
        queue.look()
        if self._statistics_wanted and (chain := queue.pop()) is not None:
            self._statistics_wanted = False
            queue.push(chain, 0)
            queue.publish()
        elif (chain := queue.peek()) is not None:
            count = min(chain.readable_length // _STATISTIC.size, STATISTICS_MAX)
            for tag, value in _STATISTIC.iter_unpack(chain.read(0, count * _STATISTIC.size)):
                if tag in _STATISTIC_TAGS:
                    self._statistics[Statistic(tag)] = value


_STATISTIC_TAGS: Final = frozenset(Statistic)


def _release(memory: GuestMemory, ranges: Iterable[Buffer]) -> None:
    for start, end in _whole_pages(ranges):
        memory.release(PhysicalAddress(start), end - start)


def _whole_pages(ranges: Iterable[Buffer]) -> Iterator[tuple[int, int]]:
    """The pages that lie in `ranges`, each once, as (start, end) of runs that do not touch."""
    run_start = run_end = 0
    for address, length in sorted(ranges):
        start, end = -(-address // PAGE_SIZE) * PAGE_SIZE, (address + length) // PAGE_SIZE * PAGE_SIZE
        if start > run_end:
            if run_end > run_start:
                yield run_start, run_end
            run_start, run_end = start, end
        elif end > run_end:
            run_end = end
    if run_end > run_start:
        yield run_start, run_end
