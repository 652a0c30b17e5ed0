"""How long a native idle loop sleeps: until deadlines that are near each other have all come, and none is too late."""

from __future__ import annotations

import ctypes

import pytest

from runtime.system.idle_loop import _routines
from translator.system.idle_loop import FOR_EVER, TAKEN, LoopRecord, VcpuRecord

OWNER = 8


@pytest.mark.parametrize(
    ("waits", "until"),
    [
        ([(1000, 1250)], 1000),
        ([(1000, 1250), (1200, 1500)], 1200),
        ([(1200, 1500), (1000, 1250)], 1200),
        ([(1000, 1250), (1250, 1300), (1251, 1300)], 1250),
        ([(1000, 1250), (1300, 1400)], 1000),
        ([(1000, 2000), (1100, 1150), (1160, 3000)], 1100),  # the second would be too late with the third
        ([(1000, 1000), (1001, 2000)], 1000),
        ([(FOR_EVER, FOR_EVER), (1000, 1250)], 1000),
    ],
)
def test_deadlines_are_waited_for_together(waits: list[tuple[int, int]], until: int) -> None:
    records = [VcpuRecord(claim=OWNER, deadline=deadline, latest=latest) for deadline, latest in waits]
    records.append(VcpuRecord(claim=TAKEN, deadline=1, latest=1))  # nobody's business here
    addresses = (ctypes.c_uint64 * len(records))(*map(ctypes.addressof, records))
    loop = LoopRecord(owner=OWNER, vcpus=ctypes.addressof(addresses), count=len(records))
    first = _routines().first(ctypes.addressof(loop))
    assert first == ctypes.addressof(min(records[:-1], key=lambda record: record.deadline))
    assert loop.first == min(deadline for deadline, _ in waits)
    assert loop.until == until


def test_nobody_idles() -> None:
    record = VcpuRecord(claim=TAKEN, deadline=1, latest=1)
    addresses = (ctypes.c_uint64 * 1)(ctypes.addressof(record))
    loop = LoopRecord(owner=OWNER, vcpus=ctypes.addressof(addresses), count=1)
    assert _routines().first(ctypes.addressof(loop)) == 0
    assert loop.first == FOR_EVER
