"""Buffers of a request as one run of bytes, however they are cut."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dbt_disco.devices.device import NotMemory
from dbt_disco.devices.virtio.descriptor_chain import Buffer, DescriptorChain
from dbt_disco.devices.virtio.driver_error import DriverError
from runtime.addresses import PhysicalAddress
from tests.dbt_disco.devices.virtio.guest import RAM_START, GuestRam

lengths = st.lists(st.integers(1, 50), min_size=1, max_size=8)


def buffers(cuts: list[int]) -> list[Buffer]:
    """Buffers of these lengths, 100 bytes apart."""
    return [Buffer(PhysicalAddress(RAM_START + 100 * number), length) for number, length in enumerate(cuts)]


@given(lengths, st.data())
def test_any_part_is_written_and_read(cuts: list[int], data: st.DataObject) -> None:
    total = sum(cuts)
    offset = data.draw(st.integers(0, total))
    length = data.draw(st.integers(0, total - offset))
    ram = GuestRam(1000)
    chain = DescriptorChain(0, ram, buffers(cuts), buffers(cuts))
    assert chain.readable_length == chain.writable_length == total
    before = chain.read(0, total)
    written = bytes(range(1, length + 1))
    chain.write(offset, written)
    assert chain.read(offset, length) == written
    assert chain.read(0, total) == before[:offset] + written + before[offset + length :]
    assert len(ram.data) - ram.data.count(0) == length, "bytes between the buffers were written"


def test_no_more_is_read_or_written_than_there_is() -> None:
    ram = GuestRam(1000)
    chain = DescriptorChain(0, ram, buffers([4, 4]), buffers([3, 3]))
    with pytest.raises(DriverError, match="request of 8 bytes, at least 9 expected"):
        chain.read(1, 8)
    with pytest.raises(DriverError, match="room for 6 bytes, at least 7 needed"):
        chain.write(6, b"x")
    assert not any(ram.data)


def test_buffers_outside_memory_are_noticed_when_used() -> None:
    outside = [Buffer(PhysicalAddress(RAM_START + 998), 4)]
    chain = DescriptorChain(0, GuestRam(1000), outside, outside)
    with pytest.raises(NotMemory):
        chain.read(0, 4)
    with pytest.raises(NotMemory):
        chain.write(0, b"four")
