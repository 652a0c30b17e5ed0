"""Whatever a driver does: no exception, and never more than a bounded amount of work at once."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import pytest

from dbt_disco.devices.virtio.balloon import BalloonDevice
from dbt_disco.devices.virtio.block import REQUEST_MAX, BlockDevice
from dbt_disco.devices.virtio.console import ConsoleDevice
from dbt_disco.devices.virtio.entropy import EntropyDevice
from dbt_disco.devices.virtio.net import NetworkDevice
from dbt_disco.devices.virtio.virtio_device import VirtioDevice
from dbt_disco.devices.virtio.virtqueue import BUFFER_WORK, MAX_CHAIN, WORK_PER_VISIT
from tests.dbt_disco.devices.character_line import CharacterLine
from tests.dbt_disco.devices.surroundings import ManualSurroundings
from tests.dbt_disco.devices.virtio.hostile_driver import HostileDriver
from tests.dbt_disco.devices.virtio.ram_disk import RamDisk
from tests.dbt_disco.devices.virtio.test_net import MAC, Cable

STEPS = 20_000
"""For each of five devices."""
TURNS = 2 * 10
"""Visits that one step can cause: time passes for at most ten turns, and two queues of a device can be busy."""
ACCESSES_PER_STEP = TURNS * 4 * (WORK_PER_VISIT // BUFFER_WORK + MAX_CHAIN)
BYTES_PER_STEP = TURNS * (2 * WORK_PER_VISIT + REQUEST_MAX)


class BusyCable(Cable):
    """Answers whatever is sent with two frames."""

    def send(self, frame: bytes) -> None:
        if len(self.waiting) < 100:
            self.deliver(frame, frame[::-1])


class TalkativeLine(CharacterLine):
    """Echoes."""

    def write(self, data: bytes) -> None:
        if len(self.waiting) < 10_000:
            self.send(data)


DEVICES: dict[str, Callable[[], VirtioDevice]] = {
    "block": lambda: BlockDevice(RamDisk()),
    "net": lambda: NetworkDevice(BusyCable(), MAC),
    "console": lambda: ConsoleDevice(TalkativeLine()),
    "entropy": lambda: EntropyDevice(ManualSurroundings()),
    "balloon": BalloonDevice,
}


def torment(make_device: Callable[[], VirtioDevice], seed: int, steps: int = STEPS) -> HostileDriver:
    driver = HostileDriver(make_device, random.Random(seed))
    for _ in range(steps):
        accesses, moved = driver.guest.ram.accesses, driver.guest.ram.moved
        driver.step()
        assert driver.guest.ram.accesses - accesses < ACCESSES_PER_STEP
        assert driver.guest.ram.moved - moved < BYTES_PER_STEP
    return driver


@pytest.mark.parametrize("name", DEVICES)
def test_nothing_a_driver_does_raises(name: str, first_seed: int) -> None:
    driver = torment(DEVICES[name], first_seed)
    assert driver.failures > 100, "the driver was not hostile enough to be told so"


@pytest.mark.soak
@pytest.mark.parametrize("name", DEVICES)
def test_nothing_a_driver_ever_does_raises(name: str, soak_seeds: Iterator[int]) -> None:
    for seed in soak_seeds:
        torment(DEVICES[name], seed)
