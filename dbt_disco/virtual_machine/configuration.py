"""What a virtual machine is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from dbt_disco.disks.drive import Drive
    from dbt_disco.virtual_machine.user_network_option import UserNetworkOption

DEFAULT_MEMORY_SIZE: Final = 256 << 20
DEFAULT_CPU: Final = "24Kf"
DEFAULT_MAC: Final = bytes.fromhex("525400123456")
"""QEMU's for the first network card."""

Clock = Literal["host", "instructions"]
Engine = Literal["auto", "translator", "interpreter", "reference"]


@dataclass(frozen=True)
class Configuration:
    """Everything about a virtual machine but what its serial line is connected to."""

    kernel: Path
    initrd: Path | None = None
    command_line: str = ""
    memory_size: int = DEFAULT_MEMORY_SIZE
    """In bytes."""
    drives: Sequence[Drive] = ()
    network: UserNetworkOption | None = None
    """None: there is no network device."""
    mac: bytes = DEFAULT_MAC
    entropy: bool = False
    balloon: bool = False
    cpu: str = DEFAULT_CPU
    """A name in `runtime.system.cpu_model.CPU_MODELS`."""
    big_endian: bool | None = None
    """None: as the kernel says, else little."""
    clock: Clock = "host"
    """What time follows: the host's clock, or the instructions executed, which makes runs repeatable."""
    seed: int = 0
    """Of all that is random under the instruction clock."""
    engine: Engine = "auto"
    """The reference engine goes with the instruction clock only."""
    count_instructions: bool = False
    """Whether translated code counts instructions under the host clock, too, which makes it slower."""
    privileged_page: bool = True
    """Whether the guest has the privileged-register page."""
    rewrites_privileged_page: bool = True
    """Whether accesses to that page are done as moves, natively; else each one stops native code and is emulated."""
    use_cache: bool = True
    """Whether decoded words and translations are read from and written to the cache on disk."""
    name: str = "vm"
    """What others are told who want a disk that this virtual machine has."""

    @property
    def counts_instructions(self) -> bool:
        """Whether all instructions are counted."""
        return self.count_instructions or self.clock == "instructions" or self.engine == "interpreter"
