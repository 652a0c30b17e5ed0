"""The entropy device."""

from __future__ import annotations

from dbt_disco.devices.virtio.entropy import REQUEST_MAX, EntropyDevice
from tests.dbt_disco.devices.surroundings import ManualSurroundings
from tests.dbt_disco.devices.virtio.driver import Driver, DriverQueue
from tests.dbt_disco.devices.virtio.guest import Guest


def started() -> tuple[Guest, DriverQueue]:
    guest = Guest(EntropyDevice(ManualSurroundings()))
    driver = Driver(guest)
    driver.start()
    return guest, driver.queues[0]


def test_buffers_are_filled_with_the_surroundings_random_bytes() -> None:
    _, queue = started()
    same = ManualSurroundings()
    assert queue.request([], [64]).data == same.random(64)
    assert queue.request([], [10, 20]).data == same.random(30)


def test_a_huge_buffer_is_filled_in_part() -> None:
    _, queue = started()
    transfer = queue.request([], [1 << 20])
    assert transfer.written == REQUEST_MAX
    assert not any(transfer.data[REQUEST_MAX:])


def test_a_buffer_that_is_none_gets_nothing() -> None:
    guest, queue = started()
    assert queue.request([b"read me"]).written == 0
    assert guest.transport.failure is None
