"""Windows hold what the tables say, however little of the host's mappings they may use."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from dbt_disco.virtual_machine.configuration import Configuration
from dbt_disco.virtual_machine.console.scripted_console import ScriptedConsole
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
from runtime.system.auditor import Disagreement, Tenant, audit
from runtime.system.vcpu import SystemVcpu
from runtime.system.windows import Windows

GUESTS = Path(__file__).parents[3] / "guests" / "prebuilt" / "mipsel" / "system"
FEW = 3


@pytest.fixture
def guest() -> Iterator[VirtualMachine]:
    """A user program's loops, of which every block is translated."""
    configuration = Configuration(GUESTS / "user_loops", memory_size=32 << 20, engine="translator")
    guest = VirtualMachine(configuration, ScriptedConsole())
    yield guest
    guest.close()


def run(guest: VirtualMachine) -> Windows:
    """To its end, with all its checks right."""
    console = guest.console
    assert isinstance(console, ScriptedConsole)
    console.start(guest.surroundings)
    guest.run()
    assert console.text().endswith("8 passed, 0 failed\n"), console.text()
    return windows_of(guest)


def windows_of(guest: VirtualMachine) -> Windows:
    assert isinstance(guest.vcpu, SystemVcpu)
    return guest.vcpu.tables.windows


def audit_of(guest: VirtualMachine) -> None:
    assert isinstance(guest.vcpu, SystemVcpu)
    audit(guest.memory.machine, [Tenant(guest.memory, guest.vcpu.tables)])


def test_what_is_in_the_windows_is_in_the_tables(guest: VirtualMachine) -> None:
    windows = run(guest)
    assert len({*windows.places()}) > 10
    assert {*windows.places()} == {*windows.mapped()}
    assert guest.vcpu.state.window_fills > 100
    audit_of(guest)


def test_there_may_be_few_mappings(guest: VirtualMachine) -> None:
    guest.vcpu.state.windows_most = FEW
    windows = run(guest)
    assert 0 < windows.count <= FEW
    audit_of(guest)


def test_emptied_slots_take_pages_out(guest: VirtualMachine) -> None:
    windows = run(guest)
    for host in {place.host for place in windows.places()}:
        page = guest.memory.machine.page_at(host)
        for _, frame in [*guest.memory.machine.places(page)]:
            guest.memory.zap(frame)
        assert all(place.host != host for place in [*windows.places(), *windows.mapped()])
        audit_of(guest)
    assert not [*windows.mapped()]


def test_cleared_tables_leave_nothing(guest: VirtualMachine) -> None:
    windows = run(guest)
    assert isinstance(guest.vcpu, SystemVcpu)
    guest.vcpu.tables.clear()
    assert not [*windows.places()]
    assert not [*windows.mapped()]
    assert windows.count == 0
    audit_of(guest)


def test_the_auditor_finds_what_windows_should_not_have(guest: VirtualMachine) -> None:
    place = next(run(guest).places())
    state = guest.vcpu.state
    state.window_places += 8  # every word is another page's
    with pytest.raises(Disagreement) as raised:
        audit_of(guest)
    state.window_places -= 8
    where = f"window page {place.page:#x} in space {place.space}"
    assert any(line.startswith(where) for line in raised.value.found), raised.value.found


def test_virtual_machines_share_the_hosts_mappings(guest: VirtualMachine) -> None:
    most = guest.vcpu.state.windows_most
    configuration = Configuration(GUESTS / "hello", memory_size=32 << 20)
    other = VirtualMachine(configuration, ScriptedConsole())
    assert guest.vcpu.state.windows_most == other.vcpu.state.windows_most < most
    other.close()
    assert guest.vcpu.state.windows_most == most
