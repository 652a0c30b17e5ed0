"""The first difference between two virtual machines, and how it is shown."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from translator.decode import disassemble

_SHOWN_INSTRUCTIONS: Final = 64


@dataclass
class MachineDifference(Exception):
    """Ends a lockstep run of two machines."""

    names: tuple[str, str]
    """The engines."""
    before: dict[str, int]
    """Registers at the beginning of the stretch that both have run."""
    after: tuple[dict[str, int], dict[str, int]]
    """Registers at its end, and what else may differ."""
    executed: Sequence[tuple[int, int]] = ()
    """Address and word of its instructions, as far as they are known."""
    memory: dict[int, tuple[bytes, bytes]] = field(default_factory=dict)
    """Physical address → differing contents."""
    ends: tuple[object, object] = (None, None)
    """How each machine has ended, if it has."""

    def __str__(self) -> str:
        """What differs, in one line."""
        differing = [*self.differing(), *(f"memory at {address:#010x}" for address in self.memory)]
        first, second = self.names
        where = f"after {self.before['instructions']:,} instructions, at {self.before['pc']:#010x}"
        return f"lockstep: {first} and {second} differ {where}: {', '.join(differing)}"

    def differing(self) -> list[str]:
        """The registers that differ, and `end` if only one machine has ended, or otherwise."""
        first, second = self.after
        names = [name for name in {**first, **second} if first.get(name) != second.get(name)]
        return names + (["end"] if self.ends[0] != self.ends[1] else [])

    def report(self) -> str:
        """Both states, and the code that made them."""
        return "\n".join([*self._registers(), *self._memory(), *self._code()]) + "\n"

    def _registers(self) -> Iterator[str]:
        yield f"{'':22}{'before':>18}{self.names[0]:>18}{self.names[1]:>18}"
        first, second = self.after
        for name in {**first, **second}:
            values = (self.before.get(name), first.get(name), second.get(name))
            shown = "".join("".rjust(18) if value is None else f"{value:18x}" for value in values)
            if values[1] != values[2]:
                yield f"{name:22}{shown}  <-- differs"
            elif name in self.before:
                yield f"{name:22}{shown}"
        if any(self.ends):
            yield f"end: {self.ends[0]} | {self.ends[1]}"

    def _memory(self) -> Iterator[str]:
        for address, (first, second) in self.memory.items():
            yield f"{address:08x}: {first.hex(' ', 4)} | {second.hex(' ', 4)}"

    def _code(self) -> Iterator[str]:
        for address, word in list(self.executed)[-_SHOWN_INSTRUCTIONS:]:
            yield f"  {address:08x}: {word:08x}  {disassemble(word, address)}"
