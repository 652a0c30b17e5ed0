"""What a cluster is made of."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from dbt_disco.virtual_machine.configuration import Configuration
from runtime.system.placement_policy import DEFAULT_POLICY


class Restart(Enum):
    """When a virtual machine that has ended is started again."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    """If it could not go on, or ended with another status than 0."""
    ALWAYS = "always"
    """However it ended, unless somebody stopped it."""


class Shutdown(Enum):
    """How a guest is asked to end."""

    NONE = "none"
    """Not at all."""
    SYSRQ = "sysrq"
    """Linux, by magic SysRq on its serial line."""


@dataclass(frozen=True)
class MachineConfiguration:
    """The machine that virtual machines share."""

    nodes: int = 1
    cpus_per_node: int = 1
    memory_per_node: int = 1 << 30
    """In bytes."""
    policy: str = DEFAULT_POLICY
    """What decides which pages move between nodes: see `load_policy`."""
    content_sharing: bool = True
    """Whether pages of virtual machines that hold the same become one."""

    @property
    def memory_size(self) -> int:
        """Of all nodes, in bytes."""
        return self.nodes * self.memory_per_node


@dataclass(frozen=True)
class MemberConfiguration:
    """A virtual machine of the cluster."""

    name: str
    virtual_machine: Configuration
    home_node: int
    """Of its vCPU."""
    restart: Restart = Restart.NEVER
    shutdown: Shutdown = Shutdown.NONE
    memory_node: int | None = None
    """Where its memory is taken from, as long as there is some; None: from the node that it runs on."""
    autostart: bool = True
    """Whether it is started with the cluster."""


@dataclass(frozen=True)
class ClusterConfiguration:
    """All of it."""

    name: str
    machine: MachineConfiguration
    members: tuple[MemberConfiguration, ...]
    file: Path
    """Where it was read from."""
