"""Reading a cluster's TOML file.

name = "demo"

[machine]
nodes = 2
memory_per_node = "512M"

[disks.data]
image = "data.ext4"
mode = "overlay"
overlay = "{vm}.overlay"

[vms.web]
kernel = "debian"
count = 4
disks = ["data"]
restart = "on-failure"
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Final, NamedTuple

from dbt_disco.cluster.configuration import (
    ClusterConfiguration,
    MachineConfiguration,
    MemberConfiguration,
    Restart,
    Shutdown,
)
from dbt_disco.cluster.toml_table import Document, Table
from dbt_disco.command_error import CommandError
from dbt_disco.disks.block_backend import SERIAL_LENGTH
from dbt_disco.disks.drive import Drive, SharingMode
from dbt_disco.virtual_machine.configuration import DEFAULT_CPU, Configuration
from dbt_disco.virtual_machine.platform import memory_ranges
from dbt_disco.virtual_machine.user_network_option import UserNetworkOption, parse_network
from runtime.system.cpu_model import CPU_MODELS
from runtime.system.placement_policy import DEFAULT_POLICY, PolicyError, load_policy
from translator.system.memory_map import NODES_MAX

DEBIAN: Final = "debian"
"""As a kernel: the guest that `dbt-disco fetch debian` has made."""
_VM: Final = "{vm}"
"""Stands for a virtual machine's name, in the texts of fields that allow it."""
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,62}")
_FORMATS: Final = ("raw", "qcow2")
_SUBNET_KINDS: Final = ("user",)
_MOST_CPUS: Final = 64
_MOST_COPIES: Final = 1000
_LEAST_MEMORY: Final = 1 << 20
_MOST_MEMORY: Final = 1 << 40
"""Of a node, in bytes."""
_FIRST_MAC: Final = bytes.fromhex("525400123456")


class _Machines(NamedTuple):
    """What virtual machines are described in terms of."""

    machine: MachineConfiguration
    disks: Mapping[str, Drive]
    subnets: Mapping[str, str]
    cluster: str


def read_cluster(path: Path) -> ClusterConfiguration:
    """Read the file. ConfigurationError, which names file, line and field, if it is wrong."""
    document = Document(path)
    root = document.root
    name = root.text("name", re.sub(r"[^A-Za-z0-9_.-]", "-", path.stem).lstrip("_.-") or "cluster")
    if not _NAME.fullmatch(name):
        root.fail("name", f"{name!r} is no name: letters, digits, and - _ . behind the first")
    known = _Machines(
        _machine(root.table("machine")),
        {name: _disk(table) for name, table in root.tables("disks").items()},
        {name: _subnet(table) for name, table in root.tables("subnets").items()},
        name,
    )
    members: list[MemberConfiguration] = []
    tables = root.tables("vms")
    root.close()
    for vm, table in tables.items():
        members += _members(vm, table, known, len(members))
    if not members:
        document.fail(("vms",), "there is no virtual machine; describe one in [vms.NAME]")
    names = [member.name for member in members]
    for member in members:
        if names.count(member.name) > 1:
            document.fail(("vms", member.name), "another virtual machine's copies have the same name")
    return ClusterConfiguration(name, known.machine, tuple(members), path)


def _machine(table: Table) -> MachineConfiguration:
    machine = MachineConfiguration(
        nodes=table.integer("nodes", 1, least=1, most=NODES_MAX),
        cpus_per_node=table.integer("cpus_per_node", 1, least=1, most=_MOST_CPUS),
        memory_per_node=table.size("memory_per_node", "1G"),
        policy=table.text("policy", DEFAULT_POLICY),
        content_sharing=table.switch("content_sharing", True),
    )
    try:
        load_policy(machine.policy)
    except PolicyError as error:
        table.fail("policy", str(error))
    table.close()
    if not _LEAST_MEMORY <= machine.memory_per_node <= _MOST_MEMORY:
        table.fail("memory_per_node", "it is at least 1M and at most 1024G")
    return machine


def _disk(table: Table) -> Drive:
    image = table.file("image")
    mode = SharingMode(table.choice("mode", [mode.value for mode in SharingMode], SharingMode.SHARED.value))
    overlay = None
    if mode is SharingMode.OVERLAY:
        overlay = table.file("overlay")
    elif table.has("overlay"):
        table.fail("overlay", f'it needs mode = "overlay", not "{mode.value}"')
    serial = table.text("serial", "")
    if not serial.isascii() or len(serial) > SERIAL_LENGTH:
        table.fail("serial", f"it has at most {SERIAL_LENGTH} ASCII characters")
    form = table.choice("format", _FORMATS) if table.has("format") else None
    drive = Drive(image, mode, overlay, form, serial.encode(), table.switch("readonly", False))
    table.close()
    return drive


def _subnet(table: Table) -> str:
    kind = table.choice("kind", _SUBNET_KINDS, "user")
    table.close()
    return kind


def _members(name: str, table: Table, known: _Machines, number: int) -> list[MemberConfiguration]:
    """A virtual machine, or its copies."""
    if not _NAME.fullmatch(name):
        table.document.fail(table.path, f"{name!r} is no name: letters, digits, and - _ . behind the first")
    count = table.integer("count", 1, least=1, most=_MOST_COPIES)
    names = [name] if count == 1 else [f"{name}-{copy}" for copy in range(1, count + 1)]
    home_node, memory_node = (_node(table, field, known) for field in ("home_node", "memory_node"))
    restart = Restart(table.choice("restart", [restart.value for restart in Restart], Restart.NEVER.value))
    autostart = table.switch("autostart", True)
    base = _base(table, known)
    network = _network(table, known, names)
    drives = _drives(table, known, names)
    append = table.text("append", "")
    boots_debian = base.kernel == Path()
    usual = Shutdown.SYSRQ if boots_debian else Shutdown.NONE
    shutdown = Shutdown(table.choice("shutdown", [way.value for way in Shutdown], usual.value))
    table.close()
    members = []
    for place, vm in enumerate(names, number):
        configuration = replace(
            base,
            drives=tuple(_of_vm(drive, vm) for drive in drives),
            network=network,
            mac=(int.from_bytes(_FIRST_MAC, "big") + place).to_bytes(6, "big"),
            command_line=append.replace(_VM, vm),
            name=f"{vm} of cluster {known.cluster}",
        )
        if boots_debian:
            configuration = _debian(table, configuration)
        node = place % known.machine.nodes if home_node is None else home_node
        members.append(
            MemberConfiguration(vm, configuration, node, restart, shutdown, memory_node, autostart)
        )
    return members


def _node(table: Table, field: str, known: _Machines) -> int | None:
    """One of the machine's nodes, if it is given."""
    return table.integer(field, 0, least=0, most=known.machine.nodes - 1) if table.has(field) else None


def _base(table: Table, known: _Machines) -> Configuration:
    """What all copies have."""
    kernel = table.text("kernel")
    memory_size = table.size("memory", "256M")
    try:
        memory_ranges(memory_size)
    except CommandError as error:
        table.fail("memory", str(error))
    return Configuration(
        kernel=Path() if kernel == DEBIAN else table.file("kernel"),
        initrd=table.file("initrd") if table.has("initrd") else None,
        memory_size=memory_size,
        entropy=table.switch("rng", False),
        balloon=table.switch("balloon", kernel == DEBIAN),  # whose initramfs has the driver
        cpu=table.choice("cpu", tuple(CPU_MODELS), DEFAULT_CPU),
        count_instructions=table.switch("count_instructions", False),
    )


def _debian(table: Table, configuration: Configuration) -> Configuration:
    from dbt_disco.debian.boot_configuration import debian_configuration

    try:
        return debian_configuration(configuration)
    except CommandError as error:
        table.fail("kernel", str(error))


def _drives(table: Table, known: _Machines, names: list[str]) -> list[Drive]:
    drives: list[Drive] = []
    for disk in table.texts("disks") or ():
        if disk not in known.disks:
            there = ", ".join(known.disks) or "none"
            table.fail("disks", f"there is no [disks.{disk}]; there are: {there}")
        drive = known.disks[disk]
        if drive.mode is SharingMode.EXCLUSIVE and not drive.read_only and len(names) > 1:
            table.fail("disks", f"copies cannot have {disk}, which is exclusive, at the same time")
        if drives.count(drive):
            table.fail("disks", f"{disk} is there twice")
        if drive.overlay is not None and len(names) > 1 and _VM not in str(drive.overlay):
            table.fail("disks", f"copies cannot share the overlay of {disk}; put {_VM} into its file's name")
        drives.append(drive)
    return drives


def _of_vm(drive: Drive, vm: str) -> Drive:
    if drive.overlay is None:
        return drive
    return replace(drive, overlay=Path(str(drive.overlay).replace(_VM, vm)))


def _network(table: Table, known: _Machines, names: list[str]) -> UserNetworkOption | None:
    forwards = table.texts("forward") or []
    if not table.has("subnet"):
        if forwards:
            table.fail("forward", "it needs a subnet")
        return None
    subnet = table.text("subnet")
    if subnet not in known.subnets:
        table.fail(
            "subnet", f"there is no [subnets.{subnet}]; there are: {', '.join(known.subnets) or 'none'}"
        )
    if forwards and len(names) > 1:
        table.fail("forward", "copies cannot have the same port of the host; describe them one by one")
    try:
        return parse_network(",".join(["user", *(f"hostfwd={forward}" for forward in forwards)]))
    except ValueError as error:
        table.fail("forward", str(error))
