"""What the control socket reports about a cluster: one place, which `ps` and `top` read."""

from __future__ import annotations

from time import monotonic, monotonic_ns
from typing import Any, Final

from dbt_disco.cluster.cluster import Cluster
from dbt_disco.cluster.member import Member
from runtime.addresses import MACHINE_PAGE_SHIFT, MACHINE_PAGE_SIZE
from runtime.system.physical_memory import PhysicalMemory
from runtime.system.vcpu import CLOCK_PER_INSTRUCTION

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
    """Everything that is counted."""
    memory = cluster.machine.memory
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
        "cpus": [
            {"number": cpu.number, "node": cpu.node, "cpu": cpu.busy_time() / _NANOSECONDS}
            for cpu in cluster.scheduler.processors
        ],
        "placement": None if cluster.placement is None else cluster.placement.statistics(),
        "vms": [
            _member_statistics(member) | {"local_fraction": _local_fraction(cluster, member)}
            for member in cluster.members.values()
        ],
    }


def _local_fraction(cluster: Cluster, member: Member) -> float | None:
    """See `Placement.local_fraction`."""
    placement, task = cluster.placement, member.task
    return None if placement is None or task is None else placement.local_fraction(task)


def _member_statistics(member: Member) -> dict[str, Any]:
    summary = member_summary(member)
    task = member.task
    if task is None:
        return summary
    vcpu = task.vcpu
    state = vcpu.state
    summary |= {
        "slices": task.slices,
        "migrations": task.migrations,
        "last_cpu": task.last_processor,
        "exits": {stop.name.lower(): count for stop, count in vcpu.stops.items() if count},
        "tlb": {
            "refills": state.refills,
            "second_level_hits": state.second_hits,
            "fills": state.fills,
        },
        "translations": vars(vcpu.translations.counts),
        "memory_use": _memory_use(task.virtual_machine.memory),
    }
    if task.virtual_machine.configuration.counts_instructions:
        summary["instructions"] = state.clock // CLOCK_PER_INSTRUCTION
    return summary


def _memory_use(memory: PhysicalMemory) -> dict[str, int]:
    """Bytes that the virtual machine sees, by who else has their pages."""
    machine, pmap = memory.machine, memory.pmap
    words = [word for part in memory.ranges for word in pmap[part.start : part.stop] if word]
    users, base = machine.users, machine.base
    shared = sum(users[word - base >> MACHINE_PAGE_SHIFT] > 1 for word in words)
    return {
        "touched": len(words) * MACHINE_PAGE_SIZE,
        "private": (len(words) - shared) * MACHINE_PAGE_SIZE,
        "shared": shared * MACHINE_PAGE_SIZE,
        "copied_on_write": memory.copied * MACHINE_PAGE_SIZE,
    }
