"""What a compilation of a region gives the run time, as it travels over a pipe or lies in the disk cache."""

from __future__ import annotations

import marshal
from dataclasses import dataclass
from typing import Final, NamedTuple

PAGES_SYMBOL: Final = "region_pages"
"""Of a table in a virtual machine's region: what the fetch table must hold for its pages."""

ALTERNATIVES_SYMBOL: Final = "region_alternatives"
"""Of another one: for each entry the offset of the handler that has its turn where they do not."""
FIXUPS_SECTION = ".fixups"
"""Of object code: the accesses that may fault, and where to go then (`runtime.access_fixups`)."""


@dataclass(frozen=True)
class Mode:
    """What a translation depends on besides the code: part of the key of every translation."""

    big_endian: bool = False
    wide_fpu: bool = False
    float_checked: bool = False
    count_instructions: bool = False
    precise: bool = False
    """Whether the guest's state can be recovered at every memory access that faults."""

    system: bool = False
    """Whether it is a virtual machine's, with memory through tables, rather than a user program's."""

    def flags(self) -> tuple[bool, ...]:
        """As they travel to the compile worker."""
        return (
            self.big_endian,
            self.wide_fpu,
            self.float_checked,
            self.count_instructions,
            self.precise,
            self.system,
        )

    def key(self) -> str:
        flags = self.flags()
        return "".join("01"[flag] for flag in flags)


class AccessPoint(NamedTuple):
    """A memory access of a precise region, which notes its number in the CPU state (`access_point`).

    Before the access everything else is in the CPU state, too: registers, the clock at the start of the block,
    and the branch target if the access is in a delay slot.
    """

    pc: int
    retired: int
    """Instructions of the block retired before this one."""
    in_delay_slot: bool


@dataclass(frozen=True)
class Translation:
    """Object code of a region and what is needed to install it, and to find the guest's state inside it."""

    seed: int
    object_code: bytes
    entries: dict[int, str]
    """Guest address → symbol."""
    code: list[tuple[int, bytes]]
    """The guest code it was made from: (address, bytes in guest order)."""
    blocks: list[int]
    """Addresses of the blocks in it."""
    instructions: int
    mode: str
    """`Mode.key` of the request."""
    precise: bool
    access_points: bytes
    """Marshalled; see `AccessPoint`. Only needed when an access faults."""
    is_movable: bool = False
    """Whether it serves wherever the guest has its pages, as long as they keep their distances."""
    generation: int = 0
    """How often what is at the seed has been translated once more, to have in it what control leaves it for."""
    reached_from_elsewhere: tuple[int, ...] = ()
    """Those of its entries where a region that control comes from could have its blocks, too."""

    @property
    def merges(self) -> bool:
        """Whether it is to be entered where regions are that have less than it, but nothing else."""
        return self.generation > 0

    def displacement(self, pc: int, here: int) -> int | None:
        """How far the code is from where it was translated, a multiple of the page size, if what was at `pc` is `here`.

        None: it does not serve there.
        """
        return here - pc if self.is_movable or here == pc else None

    def contains(self, pc: int) -> bool:
        """Whether the instruction at guest address `pc` is among what it translates."""
        return any(start <= pc < start + len(code) for start, code in self.code)

    def to_bytes(self) -> bytes:
        return marshal.dumps(tuple(getattr(self, name) for name in self.__dataclass_fields__))

    @classmethod
    def from_bytes(cls, data: bytes) -> Translation:
        """ValueError, EOFError or TypeError if `data` is not what `to_bytes` gave."""
        return cls(*marshal.loads(data))

    def access_point(self, number: int) -> AccessPoint:
        """Access point `number`."""
        return AccessPoint(*marshal.loads(self.access_points)[number])
