"""What the control socket reports about a cluster: one place, which `ps` and `top` read."""

from __future__ import annotations

from time import monotonic, monotonic_ns
from typing import Any, Final

from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.member import Member
from dbt_disco.cluster.task import Task
from dbt_disco.disks.block_backend import SECTOR_SIZE
from dbt_disco.disks.cached_image import CachedImage
from dbt_disco.disks.modified_disk import ModifiedDisk
from dbt_disco.disks.sector_cache import SectorCache
from dbt_disco.virtual_machine.virtual_machine import VirtualMachine
from runtime.addresses import MACHINE_PAGE_SIZE
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.vcpu import CLOCK_PER_INSTRUCTION, SystemVcpu

_NANOSECONDS: Final = 1_000_000_000


def member_summary(member: Member) -> dict[str, Any]:
    """What `ps` shows; times in seconds, memory in bytes."""
    task = member.task
    return {
        "vm": member.name,
        "state": member.state.value,
        "reason": member.reason,
        "home_node": member.configuration.home_node,
        "memory": member.configuration.virtual_machine.memory_size,
        "restarts": member.restarts,
        "up": 0.0 if task is None else (monotonic_ns() - task.virtual_machine.started) / _NANOSECONDS,
        "cpu": member.processor_time() / _NANOSECONDS,
    }


def cluster_statistics(cluster: Cluster) -> dict[str, Any]:
    """Everything that is counted. Counts are since the cluster's start, of a virtual machine since its last start."""
    memory = cluster.machine.memory
    tasks = [member.task for member in cluster.members.values()]  # a keeper may change them meanwhile
    vcpus = [task.vcpu for task in tasks if task is not None]
    return {
        "cluster": cluster.configuration.name,
        "up": monotonic() - cluster.started,
        "nodes": cluster.configuration.machine.nodes,
        "memory": {
            "machine": cluster.configuration.machine.memory_size,
            "in_use": memory.allocated * MACHINE_PAGE_SIZE,
            "in_use_of_nodes": [
                memory.allocated_on(node) * MACHINE_PAGE_SIZE for node in range(memory.nodes)
            ],
        },
        "content_sharing": None if cluster.page_sharing is None else cluster.page_sharing.statistics(),
        "cpus": [
            {"number": cpu.number, "node": cpu.node, "cpu": cpu.busy_time() / _NANOSECONDS}
            for cpu in cluster.scheduler.processors
        ],
        "disk_cache": _disk_cache(cluster.machine.cache),
        "translation_cache": _translation_cache(vcpus, cluster.machine.compile_service.remembered),
        "placement": None if cluster.placement is None else cluster.placement.statistics(),
        "vms": [
            _member_statistics(member, task) | {"local_fraction": _local_fraction(cluster, task)}
            for member, task in zip(cluster.members.values(), tasks, strict=True)
        ],
    }


def _local_fraction(cluster: Cluster, task: Task | None) -> float | None:
    """See `Placement.local_fraction`."""
    placement = cluster.placement
    return None if placement is None or task is None else placement.local_fraction(task)


def _disk_cache(cache: SectorCache | None) -> list[dict[str, Any]]:
    """For each file that pages have been asked of: images of disks, kernels, initrds; sizes in bytes."""
    return [
        {
            "file": str(file.path),
            "size": file.size,
            "cached": file.pages * MACHINE_PAGE_SIZE,
            "open": file.open_count,
            "hits": file.hits,
            "misses": file.misses,
        }
        for file in ([] if cache is None else cache.files())
    ]


def _translation_cache(vcpus: list[SystemVcpu], remembered: int) -> dict[str, int]:
    """The code arenas of this process, which all virtual machines share, and what is in them."""
    arenas = {id(vcpu.native): vcpu.native.arena for vcpu in vcpus}.values()
    return {
        "arena_used": sum(arena.used for arena in arenas),
        "arena_capacity": sum(arena.capacity for arena in arenas),
        "regions": sum(vcpu.translations.region_count for vcpu in vcpus),
        "code_bytes": sum(vcpu.translations.counts.code_bytes for vcpu in vcpus),
        "remembered": remembered,
    }


def _member_statistics(member: Member, task: Task | None) -> dict[str, Any]:
    summary = member_summary(member)
    if task is None:
        return summary
    vcpu, virtual_machine = task.vcpu, task.virtual_machine
    state = vcpu.state
    summary |= {
        "slices": task.slices,
        "migrations": task.migrations,
        "last_cpu": task.last_processor,
        "exits": {stop.name.lower(): count for stop, count in vcpu.stops.items() if count},
        "monitor_calls": dict(virtual_machine.monitor_calls),
        "tlb": {
            "refills": state.refills,
            "second_level_hits": state.second_hits,
            "fills": state.fills,
        },
        "translations": {**vars(vcpu.translations.counts), "regions": vcpu.translations.region_count},
        "memory_use": _memory_use(virtual_machine.memory),
        "disks": _disks(virtual_machine),
    }
    if virtual_machine.configuration.counts_instructions:
        summary["instructions"] = state.clock // CLOCK_PER_INSTRUCTION
    return summary


def _memory_use(memory: PhysicalMemory) -> dict[str, int]:
    """Bytes that the virtual machine sees, by who else has their pages."""
    shared = memory.count_shared()
    touched = max(memory.mapped, shared)  # it runs meanwhile
    return {
        "touched": touched * MACHINE_PAGE_SIZE,
        "private": (touched - shared) * MACHINE_PAGE_SIZE,
        "shared": shared * MACHINE_PAGE_SIZE,
        "copied_on_write": memory.copied * MACHINE_PAGE_SIZE,
    }


def _disks(virtual_machine: VirtualMachine) -> list[dict[str, Any]]:
    """How what was read of images has got into memory, in bytes; nothing of that where it is not cached."""
    found: list[dict[str, Any]] = []
    for disk, drive in zip(virtual_machine.disks, virtual_machine.configuration.drives, strict=True):
        found.append({"image": str(drive.file)})
        if isinstance(disk, ModifiedDisk) and isinstance(disk.base, CachedImage):
            delivered = disk.base.delivered
            sectors = {"mapped": delivered.mapped, "copied": delivered.copied}
            found[-1] |= {way: count * SECTOR_SIZE for way, count in sectors.items()}
    return found
